"""What the autoregressive families share: P(a) = prod_t P(a_o(t) | a_o(0) ... a_o(t-1)), in a chosen order o of sites.

A family reads outcomes in that order and gives the probabilities of the next. Order, likelihood, sampling and the
mirror image of the chain are here. Any order gives an exact likelihood; which one is learned best depends on the state.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn import functional

from qtomo.config import Config
from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.models.base import Model

__all__ = ["Autoregressive", "AutoregressiveConfig", "site_order"]

_ORDERS: dict[str, Callable[[int], list[int]]] = {
    "left_to_right": lambda n_sites: list(range(n_sites)),
    # By distance from the middle; of two at the same distance the left one is first.
    "from_the_middle": lambda n_sites: sorted(range(n_sites), key=lambda site: abs(2 * site - n_sites + 1)),
}


class AutoregressiveConfig(Config):
    """Settings of every autoregressive family."""

    #: Order in which sites are read and drawn: `left_to_right`, `from_the_middle` (outwards, left and right in
    #: turns), or every site number once.
    order: str | list[int] = "left_to_right"
    #: Average the distribution over the chain and its mirror image, for states that are their own mirror image.
    reflection: bool = Field(False, strict=True)
    #: Average the distribution over this relabelling of the outcomes of all sites at once, and its powers: outcome k
    #: becomes the number at place k. Empty: none. A chain with the parity of the Ising model has [0, 1, 3, 2, 5, 4] (Y
    #: and Z change sign) for outcomes of Pauli-6.
    relabelling: list[int] = Field(default_factory=list)

    @field_validator("order", mode="before")
    @classmethod
    def _order_is_known(cls, value: Any) -> Any:
        listed = isinstance(value, list | tuple) and all(type(site) is int for site in value)
        if not listed and not (isinstance(value, str) and value in _ORDERS):
            raise ValueError(f"expected {', '.join(_ORDERS)} or a list of site numbers")
        return value


def site_order(order: str | list[int], n_sites: int) -> list[int]:
    """The sites of a chain in the order that `AutoregressiveConfig.order` says.

    >>> site_order("from_the_middle", 5)
    [2, 1, 3, 0, 4]

    Raises:
        InputError: a list that does not hold each of the sites 0 to `n_sites` - 1 once.
    """
    if isinstance(order, str):
        return _ORDERS[order](n_sites)
    expected = f"expected each of the sites 0 to {n_sites - 1} once"
    for place, site in enumerate(order):
        if not 0 <= site < n_sites:
            raise InputError(Code.VALUE, f"model.order: there is no site {site}, {expected}")
        if site in order[:place]:
            raise InputError(Code.VALUE, f"model.order: site {site} stands there twice, {expected}")
    missing = sorted(set(range(n_sites)) - set(order))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(Code.VALUE, f"model.order: site {missing[0]}{more} missing, {expected}")
    return list(order)


def _powers(relabelling: list[int], n_outcomes: int) -> list[list[int]]:
    """A relabelling of the outcomes applied 0, 1, 2 ... times, until it has come round.

    >>> _powers([0, 2, 1], 3)
    [[0, 1, 2], [0, 2, 1]]

    Raises:
        InputError: a list that does not hold each outcome once.
    """
    same = list(range(n_outcomes))
    if relabelling and sorted(relabelling) != same:
        expected = f"expected each of the outcomes 0 to {n_outcomes - 1} once"
        raise InputError(Code.VALUE, f"model.relabelling: {relabelling}, {expected}")
    found, power = [same], relabelling
    while power and power != same:
        found.append(power)
        power = [relabelling[outcome] for outcome in power]
    return found


class Autoregressive(Model):
    """A distribution Q(a) = prod_t Q(a_o(t) | a_o(0) ... a_o(t-1)), from a network that reads place after place.

    A family gives `_start` and `_read`; training reads all places at once, sampling one at a time, both by `_read`.

    With `reflection` the distribution is P(a) = [Q(a) + Q(mirror of a)]/2, in likelihood, training and sampling alike,
    and with a `relabelling` the mean over its powers too. It is right only where the measured distribution is the same
    after the change: for the mirror, a state and a measurement that do not change when the chain is read from the other
    end (uniform couplings and fields, the same POVM and noise at every site). There it can only help, because KL is
    convex: KL(target‖P) is at most the mean of KL(target‖Q) and KL(target‖mirror of Q), which are equal. Elsewhere no
    weights can give the target's distribution. Training reads each record after a change drawn at random: -ln Q of it
    is, on average, at least -ln P, and costs no more than without.
    """

    config: AutoregressiveConfig
    order: Tensor
    place: Tensor
    powers: Tensor

    def __init__(self, n_sites: int, n_outcomes: int, config: AutoregressiveConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        order = torch.tensor(site_order(config.order, n_sites))
        self.register_buffer("order", order, persistent=False)  # a setting, not a weight
        self.register_buffer("place", torch.argsort(order), persistent=False)
        powers = torch.tensor(_powers(config.relabelling, n_outcomes))
        self.register_buffer("powers", powers, persistent=False)  # (powers, n_outcomes), the identity first
        #: Changes that the distribution is averaged over, the identity among them.
        self.n_images = len(powers) * (2 if config.reflection else 1)

    @abstractmethod
    def _start(self, n: int) -> Any:
        """The state of `n` records of which nothing has been read."""

    @abstractmethod
    def _read(self, before: Tensor, first: int, state: Any) -> tuple[Tensor, Any]:
        """What comes at the places from `first` on.

        Args:
            before: the outcome before each place, int64 (batch, places); `n_outcomes` before place 0: nothing.
            first: the first place.
            state: what `_start` or the reading of the places before `first` gave.

        Returns:
            Logits (batch, places, n_outcomes), each of which depends on what was read up to its place, and the state.
        """

    def loss(self, outcomes: Tensor) -> Tensor:
        """Mean negative log-likelihood a record; in training with a symmetry, an upper bound of it."""
        if not self.training or self.n_images == 1:
            return -self._log_prob(outcomes).mean()
        read = self._changed(outcomes, None)
        return -self._score(read, self._start(len(read))).mean()

    def conditionals(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """Q(each outcome | those before it in this model's order): (batch, n_sites) to (batch, n_sites, n_outcomes).

        Sites stand in the chain's order. Of a distribution that is averaged over symmetries, those of Q before the
        average.

        Raises:
            InputError: records of another shape or range.
        """

        def of(rows: Tensor) -> Tensor:
            logits = self._logits(rows[:, self.order], self._start(len(rows)))
            return torch.softmax(logits.double(), dim=-1)[:, self.place]

        return self.by_record(outcomes, of)

    def _log_prob(self, outcomes: Tensor) -> Tensor:
        images = [self._image(outcomes, index) for index in range(self.n_images)]
        scores = torch.stack([self._score(image, self._start(len(image))) for image in images])
        return torch.logsumexp(scores, dim=0) - math.log(self.n_images)

    def _image(self, outcomes: Tensor, index: int) -> Tensor:
        """Records (n, n_sites) after change number `index`."""
        mirrored, power = divmod(index, len(self.powers))
        image = self.powers[power][outcomes] if power else outcomes
        return image.flip(1) if mirrored else image

    def _score(self, outcomes: Tensor, state: Any) -> Tensor:
        """ln Q of records (batch, n_sites), read from `state` on: (batch,), float64."""
        read = outcomes[:, self.order]
        logits = self._logits(read, state)
        losses = functional.cross_entropy(logits.flatten(0, 1), read.flatten(), reduction="none")
        return -losses.reshape(read.shape).sum(dim=1, dtype=torch.float64)

    def _logits(self, read: Tensor, state: Any) -> Tensor:
        """Outcomes by place (batch, n_sites) to (batch, n_sites, n_outcomes), each place given those before it."""
        before = functional.pad(read[:, :-1], (1, 0), value=self.n_outcomes)
        return self._read(before, 0, state)[0]

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        records = self._draw(n, generator, self._start(n))
        return self._changed(records, generator) if self.n_images > 1 else records

    def _changed(self, records: Tensor, generator: torch.Generator | None) -> Tensor:
        """Each of the records (n, n_sites) after a change drawn at random, all equally likely."""
        drawn = torch.rand(len(records), 1, generator=generator, device=records.device)
        changed = records
        for index in range(1, self.n_images):
            changed = torch.where(drawn * self.n_images >= index, self._image(records, index), changed)
        return changed

    def _draw(self, n: int, generator: torch.Generator, state: Any) -> Tensor:
        """`n` records of the distribution Q, read from `state` on: (n, n_sites)."""
        outcome = self.order.new_full((n, 1), self.n_outcomes)
        drawn = []
        for place in range(self.n_sites):
            logits, state = self._read(outcome, place, state)
            outcome = torch.multinomial(torch.softmax(logits[:, 0], dim=-1), 1, generator=generator)
            drawn.append(outcome)
        return torch.cat(drawn, dim=1)[:, self.place]

    def _one_hot(self, before: Tensor) -> Tensor:
        """Outcomes below `n_outcomes` as unit vectors, and nothing as zeros: (..., n_outcomes)."""
        return functional.one_hot(before, self.n_outcomes + 1)[..., :-1].to(next(self.parameters()).dtype)
