"""Distributions learned from one half of the records and held against the target on the other half.

The alternative is chosen by its likelihood on records that it was not learned from, so that the best of several can
win: k-grams, and from enough whole records on a network. All are P(bits | settings) where there are settings.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtomo.config import near_miss
from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import BASES
from qtomo.models.autoregressive import Autoregressive
from qtomo.models.baselines import KGram
from qtomo.models.registry import FAMILIES, build_model
from qtomo.records.records import Records
from qtomo.seeds import stream
from qtomo.statistics.evidence import log_mean_exp
from qtomo.training.config import TrainingConfig
from qtomo.training.feed import in_memory
from qtomo.training.loop import fit
from qtomo.training.run import RunFolder
from qtomo.verification.context import Context, Options

__all__ = ["KGRAM", "Learned", "check_alternative", "learned_ratios"]

Reals = NDArray[np.float64]
#: ln q of records, given their settings where there are some.
LogProb = Callable[[Records], Reals]

KGRAM = "kgram"
_ORDERS = range(5)
_STRENGTHS = (16.0, 200.0)
_HELD_OUT = 10  # one record in so many chooses the alternative
_EPOCHS = 4
_LARGE = 10_000  # records from which a network is learned as well
_MOST = 60_000  # records that are learned from
_NETWORK = 500_000  # numbers in the records that a network is learned from
_FEWEST = 20
_TABLE = 2**22  # numbers of a k-gram at most


@dataclass(frozen=True, eq=False)
class Learned:
    """What alternatives say of the records of each half that they have not seen.

    Args:
        names: of the alternative chosen in each half.
        rows: row numbers of both halves.
        log_q: ln q of these records, given their settings.
    """

    names: tuple[str, str]
    rows: tuple[NDArray[np.int64], NDArray[np.int64]]
    log_q: tuple[Reals, Reals]

    @property
    def name(self) -> str:
        """Of the alternative, or of both."""
        return " or ".join(dict.fromkeys(self.names))

    def log_ratios(self, log_prob: Reals) -> list[Reals]:
        """ln q/P of the records of each half, from ln P of all, given their settings."""
        return [q - log_prob[rows] for q, rows in zip(self.log_q, self.rows, strict=True)]

    def log_e(self, log_prob: Reals) -> float:
        """ln of the mean of both halves' likelihood ratios, an e-value whatever was learned (arXiv 1912.11436, eq.
        5).
        """
        return log_mean_exp([float(ratio.sum()) for ratio in self.log_ratios(log_prob)])


def check_alternative(family: str) -> None:
    """Be sure that a family may be an alternative.

    Raises:
        InputError: an unknown one, or one without an exact likelihood.
    """
    if family in ("auto", "none", KGRAM):
        return
    if family not in FAMILIES:
        raise InputError(
            Code.UNKNOWN, f"no alternative is called '{family}'{near_miss(family, ['auto', 'none', KGRAM, *FAMILIES])}"
        )
    if build_model({"family": family}, 2, 4).likelihood != "exact":
        raise InputError(
            Code.UNSUPPORTED, f"alternative '{family}' has no exact likelihood, which a likelihood ratio needs"
        )


def learned_ratios(context: Context) -> Learned | None:
    """The best alternative of each half; None where none is asked for or there are too few records."""
    records, options = context.records, context.options
    if options.alternative == "none" or len(records) < _FEWEST:
        return None
    halves = records.halves(stream(options.seed, "halves"))
    found = [_best(records.take(mine), options) for mine in halves]
    return Learned(
        (found[0][0], found[1][0]),
        (halves[1], halves[0]),
        (found[0][1](records.take(halves[1])), found[1][1](records.take(halves[0]))),
    )


def _best(records: Records, options: Options) -> tuple[str, LogProb]:
    """The alternative with the best likelihood of records held out for the choice."""
    family, seed = options.alternative, options.seed
    if len(records) > _MOST:
        records = records.take(np.sort(stream(seed, "learned").choice(len(records), _MOST, replace=False)))
    order = stream(seed, "held out").permutation(len(records))
    cut = max(1, len(records) // _HELD_OUT)
    held_out, training = records.take(np.sort(order[:cut])), records.take(np.sort(order[cut:]))
    candidates: dict[str, LogProb] = {}
    if family in ("auto", KGRAM):
        candidates |= _kgrams(training)
    whole = training.whole()
    network = "gru" if family == "auto" else family
    enough = family != "auto" or 2 * len(records) >= _LARGE
    if network != KGRAM and enough and len(whole) == len(training) and not held_out.lost.any():
        few = whole.take(np.arange(min(len(whole), max(_LARGE // 2, _NETWORK // whole.n_sites))))
        candidates[f"a {network}"] = _network(network, few, held_out, options)
    if not candidates:
        return "k-gram", next(iter(_kgrams(training).values()))
    scores = {name: float(log_prob(held_out).mean()) for name, log_prob in candidates.items()}
    best = max(scores, key=lambda name: scores[name])
    return best.partition(" of ")[0], candidates[best]


def _kgrams(records: Records) -> dict[str, LogProb]:
    """k-grams of several orders and strengths, by name."""
    n_bases = len(BASES) if records.has_settings else 1
    n_outcomes, lost = records.povm.n_outcomes, bool(records.lost.any())
    found: dict[str, LogProb] = {}
    for order in _ORDERS:
        if order >= max(records.n_sites, 1) or records.n_sites * (n_outcomes + lost) ** (order + 1) > _TABLE:
            continue
        for strength in _STRENGTHS:
            gram = KGram(records.labels, n_outcomes, order, strength, n_bases)
            found[f"a k-gram of order {order}, strength {strength:g}"] = _of_gram(gram)
    return found


def _of_gram(gram: KGram) -> LogProb:
    def log_prob(records: Records) -> Reals:
        labels = records.labels
        whole = ~records.lost.any(axis=1)
        if whole.all() or gram._with_lost:
            return gram.log_prob(labels)
        found = np.full(len(labels), -np.inf)  # a loss that it has never seen
        found[whole] = gram.log_prob(labels[whole])
        return found

    return log_prob


def _network(family: str, records: Records, held_out: Records, options: Options) -> LogProb:
    """A model of the registry, trained on whole records."""
    model = build_model({"family": family}, records.n_sites, records.povm.n_outcomes)
    model.measured_by(records.povm)
    config = TrainingConfig.parse({"seed": options.seed, "epochs": _EPOCHS, "checkpoint_seconds": 1e9}, "[training]")
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        run.checkpoint.parent.mkdir()
        fit(model, in_memory(records.labels, config), held_out.labels, config, run, progress=options.progress)
    trained = model.eval()

    def log_prob(given: Records) -> Reals:
        if not given.has_settings:
            return np.asarray(trained.log_prob(given.labels))
        if isinstance(trained, Autoregressive):
            return given_bases(trained.conditionals(given.labels), given.labels)
        # A distribution of bases and bits together, of which the bases have at most what is left.
        return np.asarray(trained.log_prob(given.labels)) + math.log(len(BASES)) * given.n_sites

    return log_prob


def given_bases(table: NDArray[np.float64], labels: Outcomes) -> Reals:
    """ln P(bits | bases) from probabilities of 2 * basis + bit given what comes before, (n, n_sites, 6)."""
    pairs = table.reshape(*table.shape[:2], len(BASES), 2)
    chosen = np.take_along_axis(pairs, (labels // 2)[..., None, None].astype(np.int64), axis=2)[:, :, 0]
    taken = np.take_along_axis(chosen, (labels % 2)[..., None].astype(np.int64), axis=2)[..., 0]
    found: Reals = np.log(taken / chosen.sum(axis=2)).sum(axis=1)
    return found
