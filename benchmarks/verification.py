"""How often does `qtomo verify` raise a false alarm, cover the size of a fault, and call it by its name?

    python benchmarks/verification.py nulls --sets 3000 --output nulls.jsonl
    python benchmarks/verification.py faults --sets 4000 --output faults.jsonl
    python benchmarks/verification.py kinds --sets 800 --output kinds.jsonl
    python benchmarks/verification.py pairs --sets 50 --output pairs.jsonl
    python benchmarks/verification.py certificates --sets 500 --output certificates.jsonl
    python benchmarks/verification.py plans --sets 200 --output plans.jsonl

Every study draws data sets at random from a grid of targets, designs, sizes and strengths, data set number i by seed
i, and appends one line of JSON per data set to its output. Started again with the same output it goes on where it
stopped; files of several runs are merged by `cat`. Rates have Clopper-Pearson intervals. Work is split over
processes, one thread each.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import stats
from studies import Result, Studies, by, command, rate

from qtomo.distribution import LOST
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import POVM, named_povm
from qtomo.measurement.readout import with_bit_confusion
from qtomo.observables.certificates.energy import energy_witnesses
from qtomo.records.records import Records
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.density import DensityMatrix
from qtomo.states.library import GHZ, Cluster, Product, System, W
from qtomo.states.mps import MPS
from qtomo.states.state import State
from qtomo.states.tfim import TFIM, ground_state
from qtomo.states.xxz import XXZ
from qtomo.statistics.evidence import likelihood_interval
from qtomo.verification.context import Context, Options
from qtomo.verification.diagnosis import diagnose
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS, applied, everywhere_curve, fit_strength, site_curve
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.pipeline import tested
from qtomo.verification.planning import plan

ALPHA = 0.01
LEVEL = 0.95

TARGETS = ("tfim 0.5", "tfim 1", "tfim 1.3", "tfim 2", "ghz", "w", "cluster", "product", "xxz", "circuit")
DESIGNS = ("pauli4", "random", "listed", "unequal", "sic", "counts")


# Targets and designs


@lru_cache(maxsize=64)
def target(name: str, n_sites: int) -> tuple[State, System | None]:
    """A state of the grid, with its parameters where it has some."""
    family, _, field = name.partition(" ")
    if family == "circuit":
        return brickwork(n_sites, 7), None
    if family == "xxz":
        n_sites += n_sites % 2
    systems: dict[str, Callable[[], System]] = {
        "tfim": lambda: TFIM(n_sites, 1.0, float(field)),
        "ghz": lambda: GHZ(n_sites),
        "w": lambda: W(n_sites),
        "cluster": lambda: Cluster(n_sites),
        "product": lambda: Product(n_sites, 0.9, 0.4),
        "xxz": lambda: XXZ(n_sites),
    }
    system = systems[family]()
    return system.state(), system


def brickwork(n_sites: int, seed: int) -> MPS:
    """Two layers of random gates on neighbours of |0...0>: a matrix-product state of bond dimension at most 4."""
    rng = stream(seed, "circuit")

    def gate() -> np.ndarray:
        q, r = np.linalg.qr(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))
        return q * (np.diag(r) / np.abs(np.diag(r)))

    tensors = [np.array([1.0, 0.0], dtype=complex).reshape(1, 2, 1) for _ in range(n_sites)]
    for layer in (0, 1):
        for site in range(layer, n_sites - 1, 2):
            left, right = tensors[site], tensors[site + 1]
            both = np.einsum("asb,btc->astc", left, right)
            both = np.einsum("uvst,astc->auvc", gate().reshape(2, 2, 2, 2), both)
            u, s, v = np.linalg.svd(both.reshape(2 * left.shape[0], -1), full_matrices=False)
            keep = int(np.sum(s > 1e-12))
            tensors[site] = u[:, :keep].reshape(left.shape[0], 2, keep)
            tensors[site + 1] = (s[:keep, None] * v[:keep]).reshape(keep, 2, right.shape[2])
    return MPS(tensors)


def settings_of(design: str, n: int, n_sites: int, rng: np.random.Generator) -> np.ndarray | None:
    """The basis of each qubit in each shot, or None for outcomes of a POVM."""
    if design in ("pauli4", "sic"):
        return None
    if design == "random":
        return rng.integers(0, 3, (n, n_sites), dtype=np.uint8)
    listed = rng.integers(0, 3, (27, n_sites), dtype=np.uint8)
    if n_sites <= 3:
        listed = np.array(np.meshgrid(*[[0, 1, 2]] * n_sites)).reshape(n_sites, -1).T.astype(np.uint8)
    shares = np.full(len(listed), 1 / len(listed))
    if design == "unequal":
        shares = rng.dirichlet(np.full(len(listed), 0.5))
    return listed[np.sort(rng.choice(len(listed), n, p=shares))]


def measured(
    state: State,
    true: Callable[[POVM], POVM],
    declared: Callable[[POVM], POVM],
    design: str,
    n: int,
    rng: np.random.Generator,
) -> Records:
    """Records of a state through the measurement as it is, told to be the measurement as it is declared."""
    name = design if design in ("pauli4", "sic") else "pauli6"
    settings = settings_of(design, n, state.n_sites, rng)
    born = BornDistribution(state, true(named_povm(name)))
    if settings is None:
        return Records(born.sample(n, rng), declared(named_povm(name)))
    bits = born.sample_bits(settings, rng)
    kind = "random" if design == "random" else "listed"
    if design != "counts":
        return Records(bits, declared(named_povm(name)), settings=settings, design=kind)
    order = np.lexsort(np.concatenate([bits, settings], axis=1).T)  # by setting, then by the bits as a number
    ordered = bool(rng.random() < 0.5)  # some programs say that their rows are in no order, others do not
    return Records(bits[order], declared(named_povm(name)), settings=settings[order], design=kind, ordered=ordered)


def same(povm: POVM) -> POVM:
    """The measurement as it is."""
    return povm


# Studies: one data set each


def nulls(index: int) -> Result:
    """Exact records of the target: what does a verification say?"""
    rng = stream(index, "nulls")
    name, design = TARGETS[index % len(TARGETS)], DESIGNS[index // len(TARGETS) % len(DESIGNS)]
    n_sites, n = int(rng.choice([1, 3, 6, 12, 20])), int(rng.choice([200, 2000, 8000]))
    extra = str(rng.choice(["plain", "calibrated", "lost"]))
    state, system = target(name, n_sites)
    n_sites = state.n_sites
    true = declared = same
    calibration = None
    if extra == "calibrated" and design != "sic":
        flips = rng.uniform(0.005, 0.04, (n_sites, 2))
        calibration = Calibration(rng.binomial(300, flips), np.full((n_sites, 2), 300))
        true, declared = (_misread(p, n_sites) for p in (flips, calibration.flips))
    records = measured(state, true, declared, design, n, rng)
    records = records._with(calibration=calibration)
    if extra == "lost":
        outcomes = records.outcomes.copy()
        outcomes[rng.random(outcomes.shape) < 0.03] = LOST
        records = records._with(outcomes=outcomes)
        if design == "counts":  # which are counted after the loss
            order = np.lexsort(np.concatenate([outcomes, records.shot_settings], axis=1).T)
            records = records.take(order)
    context = Context(records, Hypothesis.of(state, records.povm, system), Options(ALPHA, LEVEL, seed=index))
    started = time.monotonic()
    _, tests, _ = tested(context)
    return {
        "target": name,
        "design": design,
        "N": n_sites,
        "n": n,
        "extra": extra if extra != "calibrated" or calibration is not None else "plain",
        "seconds": time.monotonic() - started,
        "rejected": bool(tests[0].adjusted <= ALPHA),
        "first": tests[0].name,
        "p": {test.name: float(f"{test.p_value:.3g}") for test in tests},
    }


def _misread(flips: np.ndarray, n_sites: int) -> Callable[[POVM], POVM]:
    confusion = np.array([[1 - flips[:, 0], flips[:, 1]], [flips[:, 0], 1 - flips[:, 1]]]).transpose(2, 0, 1)
    return lambda povm: with_bit_confusion(povm, confusion, n_sites)


_KINDS = {
    "depolarizing": (FaultKind.DEPOLARIZING,),
    "dephasing": (FaultKind.DEPHASING,),
    "damping": (FaultKind.AMPLITUDE_DAMPING,),
    "readout": (FaultKind.READOUT_0_TO_1, FaultKind.READOUT_1_TO_0),
    "rotation": (FaultKind.ROTATION_X, FaultKind.ROTATION_Y, FaultKind.ROTATION_Z),
}


def faults(index: int) -> Result:
    """Records with one listed fault: is it named, and does its interval hold its size?"""
    rng = stream(index, "faults")
    name, design = TARGETS[index % len(TARGETS)], DESIGNS[index // len(TARGETS) % len(DESIGNS)]
    n_sites, n = int(rng.choice([4, 8, 12])), int(rng.choice([2000, 8000]))
    what, where = str(rng.choice(list(_KINDS))), str(rng.choice(["one", "every"]))
    if what == "readout" and design == "sic":
        design = "random"
    share = float(rng.choice([0.005, 0.02, 0.1, 0.3]))
    kind = _KINDS[what][int(rng.integers(len(_KINDS[what])))]
    strength = share if LOCAL_KINDS[kind].parameter != "angle" else 2 * math.asin(math.sqrt(share))
    state, system = target(name, n_sites)
    site = int(rng.integers(n_sites)) if where == "one" else None

    def faulty(povm: POVM) -> POVM:
        return applied(Hypothesis.of(state, povm), kind, strength, site).povm

    records = measured(state, faulty, same, design, n, rng)
    context = Context(records, Hypothesis.of(state, records.povm, system), Options(ALPHA, LEVEL, seed=index))
    started = time.monotonic()
    fitted, tests, learned = tested(context)
    rejected = bool(tests[0].adjusted <= ALPHA)
    found: Result = {
        "target": name,
        "design": design,
        "N": n_sites,
        "n": n,
        "fault": what,
        "where": where,
        "strength": share,
        "kind": kind.value,
        "rejected": rejected,
    }
    curve = everywhere_curve(fitted, kind) if site is None else site_curve(fitted, kind, site)
    local = LOCAL_KINDS[kind]
    best, top = fit_strength(curve, [*local.grid, strength], local.bounds)
    low, high, _ = likelihood_interval(curve, best, local.bounds, LEVEL)
    found |= {"true": strength, "size": best, "low": low, "high": high, "covered": bool(low <= strength <= high)}
    found["power"] = _power(fitted, kind, strength, site, n)
    if rejected:
        diagnosis = diagnose(fitted, learned)
        named = [(fault.kind.value, list(fault.sites or [])) for fault in diagnosis.faults]
        tied = [(fault.kind.value, list(fault.sites or [])) for others in diagnosis.tied for fault in others]
        truth = (kind.value, [] if site is None else [site])
        reached = diagnosis.context.log_likelihood if len(diagnosis.context.records) == n else -math.inf
        found |= {
            "named": [fault.describe() for fault in diagnosis.faults],
            "explains": diagnosis.explains,
            "right": named == [truth],
            "tied": truth in tied and len(named) == 1,
            "exact": len(named) == 1 and abs(reached - top) < 0.02,
            "share": diagnosis.share,
        }
    found["seconds"] = time.monotonic() - started
    return found


def _power(context: Context, kind: FaultKind, strength: float, site: int | None, n: int) -> float:
    """Probability that the evidence for the true fault alone passes the threshold of all tests, about."""
    faulty = applied(context.hypothesis, kind, strength, site)
    part = context.part(1000, "power")
    labels = faulty.sample_like(part.records, stream(0, "power")).labels
    gains = faulty.log_prob(labels) - context.hypothesis.log_prob(labels)
    finite = gains[np.isfinite(gains)]
    seen = 1 - (len(finite) / len(gains)) ** n if len(finite) < len(gains) else 0.0
    if not len(finite) or finite.std() == 0:
        return float(seen)
    threshold = math.log(40 * 16 * (context.records.n_sites if site is not None else 1) / ALPHA)
    by_sum = float(stats.norm.sf((threshold - n * finite.mean()) / (math.sqrt(n) * finite.std())))
    return max(float(seen), by_sum)


UNLISTED = (
    "far swap", "shift by a site", "inverted bits", "pair errors", "rotations", "sign of J", "thermal", "duplicates",
    "drift", "bits reversed", "bases reversed", "both reversed", "bits of Y", "X and Z exchanged", "numbers of bases",
    "one inverted",
)  # fmt: skip


def kinds(index: int) -> Result:
    """Records with a fault that the studies of old did not simulate: is it named, or said not to be explained?"""
    rng = stream(index, "kinds")
    what = UNLISTED[index % len(UNLISTED)]
    n_sites, field, n = int(rng.choice([12, 20])), float(rng.choice([1.0, 1.3])), 8000
    design = str(rng.choice(["pauli4", "random"]))
    if what in _OF_SHOTS:
        design = "random"
    state, system = target(f"tfim {field:g}", n_sites)
    records = _made(what, state, n_sites, field, design, n, rng)
    context = Context(records, Hypothesis.of(state, records.povm, system), Options(ALPHA, LEVEL, seed=index))
    return {"kind": what, "N": n_sites, "field": field, "design": design, **_diagnosed(context)}


_OF_SHOTS = ("bits reversed", "bases reversed", "numbers of bases")


def _diagnosed(context: Context) -> Result:
    started = time.monotonic()
    fitted, tests, learned = tested(context)
    found: Result = {"rejected": bool(tests[0].adjusted <= ALPHA), "named": [], "tied": [], "explains": False}
    if found["rejected"]:
        diagnosis = diagnose(fitted, learned)
        found |= {
            "kinds": [fault.kind.value for fault in diagnosis.faults],
            "sites": [list(fault.sites or []) for fault in diagnosis.faults],
            "named": [fault.describe() for fault in diagnosis.faults],
            "tied": [[fault.describe() for fault in others] for others in diagnosis.tied],
            "tied_kinds": [[fault.kind.value for fault in others] for others in diagnosis.tied],
            "explains": diagnosis.explains,
            "share": diagnosis.share,
        }
    return found | {"seconds": time.monotonic() - started}


def _made(
    what: str, state: State, n_sites: int, field: float, design: str, n: int, rng: np.random.Generator
) -> Records:
    """Records of the kind."""
    if what in ("rotations", "pair errors", "sign of J", "thermal"):
        return _prepared(what, state, n_sites, field, design, n, rng)
    records = measured(state, same, same, design, n, rng)
    labels, shots = records.labels.copy(), design == "random"
    bases, bits = labels // 2, labels % 2
    if what == "far swap":
        i, j = sorted(rng.choice(n_sites, 2, replace=False).tolist())
        labels[:, [i, j]] = labels[:, [j, i]]
    elif what == "shift by a site":
        labels = np.roll(labels, 1, axis=1)
    elif what == "both reversed":
        labels = labels[:, ::-1]
    elif what in ("bits reversed", "bases reversed"):
        labels = 2 * bases + bits[:, ::-1] if what == "bits reversed" else 2 * bases[:, ::-1] + bits
    elif what == "duplicates":
        copied = rng.random(n) < 0.1
        labels[copied] = labels[rng.integers(0, n, int(copied.sum()))]
    elif what == "drift":
        late = int(0.6 * n)
        noisy = measured(state, lambda p: parse_noise(p, ["depolarizing:0.2"], n_sites), same, design, n - late, rng)
        labels[late:] = noisy.labels
    elif what == "numbers of bases":
        labels = 2 * np.array([2, 0, 1], dtype=np.uint8)[bases] + bits
    else:
        labels = _relettered(what, labels, shots, int(rng.integers(n_sites)))
    return Records.from_labels(np.ascontiguousarray(labels).astype(np.uint8), records.povm, design=records.design)


#: Outcomes of Pauli-4 with poles |1>, |->, |-i> in place of |0>, |+>, |+i> are another measurement.
def _relettered(what: str, labels: np.ndarray, shots: bool, site: int) -> np.ndarray:
    """Bits or bases called by another's name: of shots by their labels, of Pauli-4 outcomes where labels can tell."""
    if not shots:
        order = {"X and Z exchanged": [1, 0, 2, 3]}.get(what, [0, 2, 1, 3])  # else X and Y exchanged
        moved = np.array(order, dtype=np.uint8)
        if what == "one inverted":
            labels[:, site] = moved[labels[:, site]]
            return labels
        return moved[labels]
    bases, bits = labels // 2, labels % 2
    if what == "inverted bits":
        return 2 * bases + (1 - bits)
    if what == "one inverted":
        labels[:, site] ^= 1
        return labels
    if what == "bits of Y":
        return 2 * bases + (bits ^ (bases == 1))
    return 2 * np.array([2, 1, 0], dtype=np.uint8)[bases] + bits


def _prepared(
    what: str, state: State, n_sites: int, field: float, design: str, n: int, rng: np.random.Generator
) -> Records:
    """Records of another state, or of this one after a channel."""
    if what == "rotations":
        kind = (FaultKind.ROTATION_X, FaultKind.ROTATION_Y, FaultKind.ROTATION_Z)[int(rng.integers(3))]
        where = None if rng.random() < 0.5 else int(rng.integers(n_sites))
        return measured(
            state,
            lambda p: applied(Hypothesis.of(state, p), kind, 0.3 if where is None else 0.8, where).povm,
            same,
            design,
            n,
            rng,
        )
    if what == "pair errors":
        i = int(rng.integers(n_sites - 1))
        clean = measured(state, same, same, design, n, rng)

        def flipped(povm: POVM) -> POVM:
            x = np.array([[0, 1], [1, 0]])
            elements = np.array(povm.site_elements(n_sites))
            elements[[i, i + 1]] = x @ elements[[i, i + 1]] @ x
            return POVM(elements)

        wrong = measured(state, flipped, same, design, n, rng)
        chosen = rng.random(n) < 0.2
        if clean.has_settings:
            born = BornDistribution(state, flipped(named_povm("pauli6")))
            bits = clean.outcomes.copy()
            bits[chosen] = born.sample_bits(clean.shot_settings[chosen], rng)
            return clean._with(outcomes=bits)
        labels = clean.labels.copy()
        labels[chosen] = wrong.labels[chosen]
        return clean.with_labels(labels)
    if what == "sign of J":
        return measured(_other_sign(n_sites, field), same, same, design, n, rng)
    return measured(_thermal(n_sites, field), same, same, design, n, rng)


@lru_cache(maxsize=8)
def _other_sign(n_sites: int, field: float) -> State:
    return TFIM(n_sites, -1.0, field).state()


@lru_cache(maxsize=8)
def _thermal(n_sites: int, field: float) -> State:
    from qtomo.states.thermal import thermal_states

    (_, state), = thermal_states(TFIM(n_sites, 1.0, field).terms(), n_sites, [2.5])  # fmt: skip
    return state


def pairs(index: int) -> Result:
    """Two faults at once: are both named?"""
    rng = stream(index, "pairs of faults")
    n_sites, n = int(rng.choice([8, 12])), 8000
    name = str(rng.choice(["tfim 1", "tfim 1.3", "cluster", "xxz"]))
    state, system = target(name, n_sites)
    first, second = rng.choice(n_sites, 2, replace=False).tolist()
    choices = [FaultKind.DEPOLARIZING, FaultKind.DEPHASING, FaultKind.READOUT_1_TO_0, FaultKind.ROTATION_Y]
    one, other = (choices[int(i)] for i in rng.choice(len(choices), 2))
    made = [(one, int(first), 0.25), (other, int(second), 0.25)]
    made = [(kind, site, t if LOCAL_KINDS[kind].parameter != "angle" else 0.6) for kind, site, t in made]

    def faulty(povm: POVM) -> POVM:
        found = Hypothesis.of(state, povm)
        for kind, site, t in made:
            found = applied(found, kind, t, site)
        return found.povm

    records = measured(state, faulty, same, "random", n, rng)
    context = Context(records, Hypothesis.of(state, records.povm, system), Options(ALPHA, LEVEL, seed=index))
    found = _diagnosed(context)
    truth = sorted((kind.value, [site]) for kind, site, _ in made)
    named = sorted(zip(found.get("kinds", []), found.get("sites", []), strict=True))
    return {"target": name, "N": n_sites, "truth": truth, "right": named == truth, **found}


def certificates(index: int) -> Result:
    """Mixtures of ground and excited state: is a bound above the true fidelity?"""
    rng = stream(index, "certificates")
    fields, sizes = (0.5, 1.0, 2.0, 10.0, 50.0), (20, 100, 1000, 20_000)
    field, n = fields[index % len(fields)], sizes[index // len(fields) % len(sizes)]
    design, share = str(rng.choice(["pauli4", "random", "two settings"])), float(rng.choice([0.0, 0.05, 0.3]))
    model = TFIM(4, 1.0, field)
    rho = _mixture(field, share)
    if design == "two settings":
        settings = np.repeat(np.array([[0] * 4, [2] * 4], np.uint8), [n // 2, n - n // 2], axis=0)
        born = BornDistribution(rho, named_povm("pauli6"))
        records = Records(born.sample_bits(settings, rng), settings=settings, design="listed")
    else:
        records = measured(rho, same, same, design, n, rng)
    parity = None
    if rng.random() < 0.5:
        bits = np.zeros((max(20, n // 4), 4), np.uint8)
        parity = BornDistribution(rho, named_povm("pauli6")).sample_bits(bits, rng)
    found = {f"{one.guarantee}": one.value for one in energy_witnesses(model, records, LEVEL, parity)}
    fidelity = 1 - share
    return {
        "field": field,
        "n": n,
        "design": design,
        "share": share,
        "values": found,
        "above": {name: bool(value > fidelity + 1e-9) for name, value in found.items()},
    }


@lru_cache(maxsize=32)
def _mixture(field: float, share: float) -> DensityMatrix:
    model = TFIM(4, 1.0, field)
    ground, excited = (s.to_statevector() for s in (model.state(), ground_state(model, -1)))
    return DensityMatrix(sum(w * np.outer(v, v.conj()) for w, v in ((1 - share, ground), (share, excited))))


_PLANS = (
    ("ghz", 6, "depolarizing:0.05"), ("ghz", 10, "depolarizing:0.02"), ("tfim 1", 6, "depolarizing:0.05"),
    ("tfim 1.3", 10, "dephasing:0.03"), ("w", 5, "readout-1-to-0:0.05"), ("tfim 1", 8, "field:0.2"),
)  # fmt: skip


@lru_cache(maxsize=32)
def _planned(which: int) -> dict[str, float]:
    name, n_sites, fault = _PLANS[which]
    state, system = target(name, n_sites)
    needed = plan(system or state, [fault], alpha=ALPHA, power=0.95).needed[fault]  # type: ignore[arg-type]
    return {povm: estimate.value for povm, estimate in needed.items()}


def plans(index: int) -> Result:
    """The planned number of records with the planned fault: are they called inconsistent?"""
    rng = stream(index, "plans")
    which = index % len(_PLANS)
    design = ("pauli4", "random")[index // len(_PLANS) % 2]
    name, n_sites, fault = _PLANS[which]
    needed = _planned(which)
    n = max(1, round(needed["pauli6" if design == "random" else design]))
    state, system = target(name, n_sites)
    kind, _, size = fault.partition(":")
    if kind == "field":
        made = TFIM(n_sites, 1.0, float(name.split()[1]) * (1 + float(size))).state()
        records = measured(made, same, same, design, n, rng)
    else:
        records = measured(
            state,
            lambda p: applied(Hypothesis.of(state, p), FaultKind(kind), float(size), None).povm,
            same,
            design,
            n,
            rng,
        )
    context = Context(records, Hypothesis.of(state, records.povm, system), Options(ALPHA, LEVEL, seed=index))
    _, tests, _ = tested(context)
    return {
        "target": f"{name} N={n_sites}",
        "fault": fault,
        "design": design,
        "n": n,
        "needed": needed,
        "rejected": bool(tests[0].adjusted <= ALPHA),
    }


# What a study says


def report_nulls(found: list[Result]) -> None:
    """False alarms, over all tests and of each."""

    def line(results: list[Result]) -> str:
        hits, n = sum(r["rejected"] for r in results), len(results)
        allowed = int(stats.binom.ppf(0.995, n, ALPHA))
        return f"{rate(hits, n)}, at most {allowed} within the 99 % range{'' if hits <= allowed else '  ABOVE'}"

    print(f"rejected at α = {ALPHA}")
    by(found, ("target", "design", "N", "n", "extra"), line)
    print("each test alone, p <= 0.01")
    names = sorted({name for result in found for name in result["p"]})
    for name in names:
        values = [result["p"][name] for result in found if name in result["p"]]
        hits = sum(p <= 0.01 for p in values)
        allowed = int(stats.binom.ppf(0.995, len(values), 0.01))
        print(f"  {name:44} {hits:4d} of {len(values)}, at most {allowed}{'' if hits <= allowed else '  ABOVE'}")


def report_faults(found: list[Result]) -> None:
    """Coverage of the true fault's interval, and how often it is named."""

    def coverage(results: list[Result]) -> str:
        hits, n = sum(r["covered"] for r in results), len(results)
        low = int(stats.binom.ppf(0.005, n, LEVEL))
        return f"{rate(hits, n)}, at least {low} within the 99 % range{'' if hits >= low else '  BELOW'}"

    print(f"{LEVEL:.0%} intervals of the true fault's size cover")
    by(found, ("target", "design", "fault", "where", "strength", "N", "n"), coverage)
    sure = [r for r in found if r["power"] > 0.99]

    def naming(results: list[Result]) -> str:
        told = [r for r in results if not (r.get("exact") and not r.get("right"))]
        right = sum(bool(r.get("right")) for r in told)
        tied = sum(bool(r.get("tied")) and not r.get("right") for r in told)
        none = sum(r["rejected"] and not r["explains"] for r in told)
        missed = sum(not r["rejected"] for r in told)
        wrong = len(told) - right - tied - none - missed
        exact = len(results) - len(told)
        counts = f"tied with it {tied}, none explains {none}, wrong {wrong}, missed {missed}; exact ties {exact}"
        return f"right {rate(right, len(told))}; {counts}"

    print("named, where the power is above 0.99")
    by(sure, ("target", "design", "fault", "where", "strength", "N"), naming)
    wrong = [r for r in sure if r["rejected"] and r["explains"] and not (r["right"] or r["tied"] or r["exact"])]
    for r in wrong[:40]:
        print(
            f"    {r['target']} {r['design']} N={r['N']} n={r['n']}: {r['kind']} {r['where']} {r['strength']}: ",
            r["named"],
        )


#: What counts as the right name of a kind.
RIGHT = {
    "far swap": ("qubits-exchanged",), "shift by a site": ("sites-shifted", "qubits-exchanged"),
    "inverted bits": ("bits-exchanged", "bases-relabelled"), "pair errors": ("pair-error",),
    "rotations": ("rotation-x", "rotation-y", "rotation-z"), "sign of J": ("bits-exchanged",), "thermal": ("thermal",),
    "duplicates": ("duplicates",), "drift": ("drift",), "bits reversed": ("order-reversed",),
    "bases reversed": ("order-reversed",), "both reversed": ("order-reversed",),
    "bits of Y": ("bits-exchanged", "bases-relabelled"), "X and Z exchanged": ("bases-relabelled",),
    "numbers of bases": ("bases-relabelled",), "one inverted": ("bits-exchanged", "bases-relabelled"),
}  # fmt: skip


def report_kinds(found: list[Result]) -> None:
    """How often each kind is named, said not to be explained, or named wrongly with an interval."""

    def line(results: list[Result]) -> str:
        right = sum(_right(r) for r in results)
        none = sum(r["rejected"] and not r["explains"] for r in results)
        missed = sum(not r["rejected"] for r in results)
        unchanged = sum(not r["rejected"] and r["kind"] in ("both reversed",) for r in results)
        wrong = len(results) - right - none - missed
        extra = f" (the target is its own mirror image: {unchanged})" if unchanged else ""
        return f"right {rate(right, len(results))}; none explains {none}, wrong {wrong}, not rejected {missed}{extra}"

    by(found, ("kind", "N", "field", "design"), line)
    for r in found:
        if r["rejected"] and r["explains"] and not _right(r):
            print(f"    {r['kind']} N={r['N']} h={r['field']} {r['design']}: {r['named']} tied {r['tied']}")


def _right(r: Result) -> bool:
    if not (r["rejected"] and r["explains"]):
        return False
    near = set(r["kinds"]) | {kind for others in r["tied_kinds"] for kind in others}
    return bool(near & set(RIGHT[r["kind"]]))


def report_pairs(found: list[Result]) -> None:
    """How often both faults are named."""

    def line(results: list[Result]) -> str:
        right = sum(r["right"] for r in results)
        none = sum(r["rejected"] and not r["explains"] for r in results)
        return f"both named {rate(right, len(results))}; none explains {none}"

    by(found, ("target", "N"), line)
    for r in found:
        if not r["right"]:
            print(f"    {r['target']} N={r['N']} {r['truth']}: {r['named']} explains {r['explains']} tied {r['tied']}")


def report_certificates(found: list[Result]) -> None:
    """How often bounds are above the truth, for 1 - level at most."""
    for guarantee in ("finite-sample", "asymptotic"):

        def line(results: list[Result], guarantee: str = guarantee) -> str:
            given = [r for r in results if guarantee in r["values"]]
            hits = sum(r["above"][guarantee] for r in given)
            allowed = int(stats.binom.ppf(0.995, len(given), 1 - LEVEL)) if given else 0
            return f"{rate(hits, len(given))} above the truth, at most {allowed}{'' if hits <= allowed else '  ABOVE'}"

        print(guarantee)
        by(found, ("field", "n", "design", "share"), line)


def report_plans(found: list[Result]) -> None:
    """Power of the planned numbers, stated as 0.95."""
    groups = defaultdict(list)
    for r in found:
        groups[r["target"], r["fault"], r["design"], r["n"]].append(r["rejected"])
    for (where, fault, design, n), hits in sorted(groups.items()):
        print(f"  {where:14} {fault:22} {design:7} n = {n:7,d}: {rate(sum(hits), len(hits))}")


STUDIES: Studies = {
    "nulls": (nulls, report_nulls),
    "faults": (faults, report_faults),
    "kinds": (kinds, report_kinds),
    "pairs": (pairs, report_pairs),
    "certificates": (certificates, report_certificates),
    "plans": (plans, report_plans),
}


if __name__ == "__main__":
    command(STUDIES)()
