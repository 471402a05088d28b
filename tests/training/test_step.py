"""One step of training: in parts, in mixed precision, compiled."""

import pytest
import torch
from safetensors.torch import load_file

from qtomo import train
from qtomo.errors import Code
from qtomo.models.registry import FAMILIES
from tests.conftest import SMALL
from tests.refusing import refused


def settings(family: str = "gru", **training: object) -> dict[str, dict[str, object]]:
    model = SMALL["model"] if family == "gru" else {"family": family}
    return {"model": model, "training": {**SMALL["training"], **training}}


@pytest.mark.parametrize("parts", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(parts, small_run, small_records, tmp_path):
    """Batches of 100 and a last one of 50, in unequal parts or a record each."""
    run = train(small_records, tmp_path / "run", settings(accumulation=parts))
    assert run.progress.step == small_run.progress.step
    expected = small_run.model.state_dict()
    for name, weight in run.model.state_dict().items():
        torch.testing.assert_close(weight, expected[name], atol=1e-4, rtol=0)
    assert run.progress.best_loss == pytest.approx(small_run.progress.best_loss, abs=1e-5)


def test_a_part_holds_no_more_records_than_its_share(small_records, tmp_path, monkeypatch):
    sizes, loss = set(), FAMILIES["gru"].loss

    def watched(self, outcomes):
        if self.training:
            sizes.add(len(outcomes))
        return loss(self, outcomes)

    monkeypatch.setattr(FAMILIES["gru"], "loss", watched)
    train(small_records, tmp_path / "run", settings(accumulation=4))
    assert sizes == {25, 12, 13}


def test_a_game_is_not_played_in_parts(small_records, tmp_path):
    with refused(Code.CONFLICT, r"training\.accumulation = 2"):
        train(small_records, tmp_path / "run", settings("gan", accumulation=2))
    assert not (tmp_path / "run").exists()


def test_mixed_precision_trains_and_validates_in_single(small_run, small_records, tmp_path, monkeypatch):
    kinds, score = set(), FAMILIES["gru"]._log_prob

    def watched(self, outcomes):
        kinds.add((self.training, torch.is_autocast_enabled("cpu")))
        return score(self, outcomes)

    monkeypatch.setattr(FAMILIES["gru"], "_log_prob", watched)
    run = train(small_records, tmp_path / "run", settings(precision="bfloat16"))
    assert kinds == {(True, True), (False, False)}
    assert {weight.dtype for weight in run.model.parameters()} == {torch.float32}
    assert run.progress.best_loss == pytest.approx(small_run.progress.best_loss, abs=0.02)
    assert run.progress.best_loss != small_run.progress.best_loss


compiles = pytest.mark.filterwarnings("ignore")  # torch's own


@pytest.mark.slow
@compiles
def test_a_compiled_run_learns_the_same_under_the_same_names(small_run, small_records, tmp_path):
    run = train(small_records, tmp_path / "run", settings(compile=True))
    expected = load_file(small_run.folder.checkpoint)
    found = load_file(run.folder.checkpoint)
    assert found.keys() == expected.keys()
    assert run.progress.best_loss == pytest.approx(small_run.progress.best_loss, abs=1e-3)


@compiles
@pytest.mark.slow
def test_no_compiler_is_told(small_records, tmp_path, monkeypatch):
    import torch._inductor.config

    torch._dynamo.reset()
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(torch._inductor.config, "force_disable_caches", True)
    with refused(Code.UNSUPPORTED, r"training\.compile"):
        train(small_records, tmp_path / "run", settings("cnn", compile=True))
