"""What all autoregressive families share: causality, sampling place by place, orders of sites, mirror images."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from qtomo.distribution import enumerate_outcomes
from qtomo.errors import Code
from qtomo.models.autoregressive import site_order
from qtomo.models.registry import build_model
from qtomo.training.config import read_settings
from tests.refusing import refused

N, K = 9, 3
FAMILIES = {
    "gru": {"family": "gru"},
    "gru bare": {"family": "gru", "site_size": 0, "learned_start": False, "latent_size": 3},
    "lstm stacked": {"family": "lstm", "layers": 2},
    "cnn": {"family": "cnn"},
    "cnn of three taps": {"family": "cnn", "kernel_size": 3, "site_size": 0, "dilations": [3, 1]},
    "transformer": {"family": "transformer"},
    "transformer rotary": {"family": "transformer", "positions": "rotary"},
}


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES)
def settings(request):
    return {**request.param, "hidden_size": 8}


def rough(settings, n_sites=N):
    """A double-precision model with random weights, away from the flat start."""
    model = build_model(settings, n_sites, K).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model


def every(n_sites):
    return np.concatenate(list(enumerate_outcomes(n_sites, K)))


@torch.no_grad()
def test_a_place_sees_every_place_before_it_and_nothing_else(settings):
    model = rough(settings)
    read = torch.randint(0, K, (1, N))
    logits = model._logits(read, model._start(1))
    for changed in range(N):
        other = read.clone()
        other[0, changed] = (read[0, changed] + 1) % K
        differs = (model._logits(other, model._start(1)) - logits).abs().amax(dim=(0, 2)) > 1e-12
        assert differs.tolist() == [place > changed for place in range(N)]


@torch.no_grad()
def test_drawing_place_by_place_is_drawing_with_the_whole_record_read_anew(settings):
    model, n = rough({**settings, "order": "from_the_middle"}), 200
    drawn = model._draw(n, torch.Generator().manual_seed(1), model._start(n))
    generator, read = torch.Generator().manual_seed(1), torch.zeros(n, N, dtype=torch.int64)
    for place in range(N):
        law = torch.softmax(model._logits(read, model._start(n))[:, place], dim=1)
        read[:, place] = torch.multinomial(law, 1, generator=generator)[:, 0]
    assert (drawn[:, model.order] == read).all()


@torch.no_grad()
def test_drawing_reads_each_place_once(settings):
    model, places = rough(settings), []
    head = model.head
    head.register_forward_hook(lambda _, given, __: places.append(given[0].shape[1]))
    model._sample(5, torch.Generator().manual_seed(0))
    assert places == [1] * N


@pytest.mark.parametrize("order", ["from_the_middle", [3, 0, 2, 1]])
def test_another_order_is_another_name_for_the_sites(settings, order):
    plain = rough(settings, 4)
    ordered = build_model({**settings, "order": order}, 4, K).double()
    ordered.load_state_dict(plain.state_dict())
    sites = site_order(order, 4)
    records = every(4)
    assert ordered.log_prob(records) == pytest.approx(plain.log_prob(records[:, sites]), abs=1e-12)
    assert np.ptp(ordered.log_prob(records) - plain.log_prob(records)) > 0.1
    drawn = [model.sample(50, np.random.default_rng(0)) for model in (ordered, plain)]
    assert (drawn[0][:, sites] == drawn[1]).all()


def test_orders():
    assert site_order("left_to_right", 4) == [0, 1, 2, 3]
    assert site_order("from_the_middle", 4) == [1, 2, 0, 3]
    assert site_order("from_the_middle", 5) == [2, 1, 3, 0, 4]
    assert site_order([2, 0, 1], 3) == [2, 0, 1]


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ([0, 1, 2, 4], "there is no site 4, expected each of the sites 0 to 3 once"),
        ([0, 1, 2, -1], "there is no site -1"),
        ([0, 1, 2, 1], "site 1 stands there twice"),
        ([0, 1, 2, 3, 0], "site 0 stands there twice"),
        ([0, 2, 1], "site 3 missing"),
        ([2], "site 0 and 2 more missing"),
        ([], "site 0 and 3 more missing"),
    ],
)
def test_an_order_that_does_not_fit_the_chain(settings, order, fault):
    with refused(Code.VALUE, rf"model\.order: {fault}"):
        build_model({**settings, "order": order}, 4, K)


@pytest.mark.parametrize("value", ["from_the_middel", "7", "true", "[0, 1.5]", "[true, false]", "['0']"])
def test_what_is_no_order(value):
    with refused(Code.VALUE, r"order = .*expected left_to_right, from_the_middle or a list of site numbers"):
        read_settings("gru", None, [f"model.order={value}"])


def test_an_order_from_the_command_line():
    assert read_settings("cnn", None, ["model.order=[2,0,1]"])["model"]["order"] == [2, 0, 1]
    assert read_settings("lstm", None, ["model.order=from_the_middle"])["model"]["order"] == "from_the_middle"


@pytest.mark.parametrize("order", ["left_to_right", [3, 0, 2, 1]])
def test_a_reflected_law_is_the_mean_of_a_law_and_its_mirror_image(settings, order):
    plain = rough({**settings, "order": order}, 4)
    both = build_model({**settings, "order": order, "reflection": True}, 4, K).double()
    both.load_state_dict(plain.state_dict())
    records = every(4)
    own, mirrored = np.exp(plain.log_prob(records)), np.exp(plain.log_prob(records[:, ::-1]))
    law = np.exp(both.log_prob(records))
    assert law == pytest.approx((own + mirrored) / 2, rel=1e-9)
    assert law.sum() == pytest.approx(1, abs=1e-12)
    assert np.abs(own - mirrored).max() > 1e-3
    batch = torch.as_tensor(records.astype(np.int64))
    assert both.eval().loss(batch).item() == pytest.approx(-np.log(law).mean(), rel=1e-9)
    drawn, unturned = (model.sample(1000, np.random.default_rng(0)) for model in (both, plain))
    turned = (drawn == unturned[:, ::-1]).all(axis=1)
    assert ((drawn == unturned).all(axis=1) | turned).all()
    symmetric = (unturned == unturned[:, ::-1]).all(axis=1)
    # Half of those that have another mirror image, within six standard deviations of a coin.
    rest = turned[~symmetric]
    assert abs(rest.mean() - 0.5) < 3 / np.sqrt(len(rest))


def test_training_a_reflected_law_reads_records_from_either_end(settings):
    plain = rough(settings, 4)
    both = build_model({**settings, "reflection": True}, 4, K).double()
    both.load_state_dict(plain.state_dict())
    record = np.array([[0, 1, 2, 2]])
    ends = [-plain.log_prob(turned)[0] for turned in (record, record[:, ::-1])]
    losses = [both.loss(torch.as_tensor(record)).item() for _ in range(40)]
    assert {round(loss, 9) for loss in losses} == {round(end, 9) for end in ends}
    assert np.mean(ends) > -both.log_prob(record)[0]


def test_a_relabelled_law_is_the_mean_over_the_powers_of_the_relabelling(settings):
    plain = rough(settings, 4)
    even = build_model({**settings, "relabelling": [1, 2, 0]}, 4, K).double()
    even.load_state_dict(plain.state_dict())
    records = every(4)
    once, twice = np.array([1, 2, 0])[records], np.array([2, 0, 1])[records]
    laws = [np.exp(plain.log_prob(image)) for image in (records, once, twice)]
    assert np.exp(even.log_prob(records)) == pytest.approx(np.mean(laws, axis=0), rel=1e-9)
    assert even.log_prob(once) == pytest.approx(even.log_prob(records), abs=1e-9)
    drawn, as_drawn = (model.sample(300, np.random.default_rng(0)) for model in (even, plain))
    found = (drawn - as_drawn.astype(int)) % 3
    assert (found == found[:, :1]).all()
    assert set(found[:, 0]) == {0, 1, 2}


@pytest.mark.parametrize("wrong", [[0, 1], [0, 1, 1], [1, 2, 3]])
def test_a_relabelling_that_is_no_permutation_is_refused(wrong):
    with refused(Code.VALUE, r"model\.relabelling"):
        build_model({"family": "gru", "relabelling": wrong}, 4, 3)


def test_a_distant_outcome_is_learned(settings):
    """The last outcome repeats the first, all others are random: the entropy is (n - 1) ln K."""
    model = build_model({**settings, "hidden_size": 16}, 6, K)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(250):
        records = torch.randint(0, K, (64, 6))
        records[:, -1] = records[:, 0]
        optimizer.zero_grad()
        loss = model.loss(records)
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(5 * np.log(K), abs=0.1)


def test_weights_of_recurrent_networks_keep_their_names():
    cell = {f"rnn.{kind}_l0" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    for family in ("gru", "lstm"):
        model = build_model({"family": family, "latent_size": 2, "order": "from_the_middle"}, 4, K)
        assert set(model.state_dict()) == {"start", "sites", "latent", "head.weight", "head.bias"} | cell


def test_a_recurrent_network_is_its_cell_run_by_hand():
    model = rough({"family": "gru", "hidden_size": 5, "layers": 1}, 4)
    records = torch.randint(0, K, (3, 4))
    cell = torch.nn.GRUCell(K + 8, 5).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in model.rnn.state_dict().items()})
    hidden, total = model.start[0, 0].expand(3, -1), torch.zeros(3, dtype=torch.float64)
    before = torch.zeros(3, K, dtype=torch.float64)
    for site in range(4):
        hidden = cell(torch.cat([before, model.sites[site].expand(3, -1)], dim=1), hidden)
        law = torch.log_softmax(model.head(hidden), dim=1)
        total += law[torch.arange(3), records[:, site]]
        before = functional.one_hot(records[:, site], K).double()
    assert model.log_prob(records.numpy()) == pytest.approx(total.tolist(), abs=1e-10)
