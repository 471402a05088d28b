"""What features of records say of a parameter of the state, by a linear read-out judged on held-out states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtomo.errors import Code, InputError
from qtomo.seeds import stream
from qtomo.statistics.estimate import Estimate

__all__ = ["ReadOut", "read_out"]

Reals = NDArray[np.float64]

_RIDGES = np.geomspace(1e-6, 1e2, 17)
_RESAMPLES = 2000


@dataclass(frozen=True)
class ReadOut:
    """A linear read-out and how well it does on states that it has not seen.

    Args:
        predictions: of the held-out states, in their order.
        r_squared: 1 - (mean squared error)/(variance of the parameter), over held-out states.
        ridge: the penalty that was chosen by leaving out one learned state at a time.
    """

    predictions: Reals
    r_squared: Estimate
    ridge: float

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return {
            "predictions": self.predictions.tolist(),
            "r_squared": self.r_squared.to_dict(),
            "ridge": self.ridge,
        }


def read_out(
    features: ArrayLike,
    parameter: ArrayLike,
    held_out_features: ArrayLike,
    held_out_parameter: ArrayLike,
    seed: int = 0,
    level: float = 0.95,
) -> ReadOut:
    """Learn a parameter as a linear function of features, and test it.

    Ridge regression on standardised features, its penalty chosen by the leave-one-out error (its closed form: Golub,
    Heath and Wahba 1979, Technometrics 21, eq. 1.3 ff.); the interval of R^2 is the percentile bootstrap over
    held-out states.

    Args:
        features: (states, D), such as the mean over a state's records of a critic's last layer.
        parameter: (states,), such as the field.
        held_out_features: of other states.
        held_out_parameter: of these.
        seed: of the bootstrap.
        level: of the interval.

    Raises:
        InputError: fewer than 3 states on either side, numbers that do not fit, or one value of the parameter only.

    >>> x = np.arange(10.0)[:, None]
    >>> round(read_out(x, x[:, 0], x + 0.5, x[:, 0] + 0.5).r_squared.value, 3)
    1.0
    """
    x, y, x_new, y_new = (
        np.asarray(a, np.float64) for a in (features, parameter, held_out_features, held_out_parameter)
    )
    for rows, values in ((x, y), (x_new, y_new)):
        if rows.ndim != 2 or values.shape != (len(rows),) or len(rows) < 3 or rows.shape[1] != x.shape[1]:
            raise InputError(
                Code.SHAPE,
                f"features {rows.shape} of a parameter {values.shape}, expected (states, {x.shape[-1]}) and (states,) "
                "with 3 states or more",
            )
        if np.ptp(values) == 0:
            raise InputError(Code.VALUE, f"the parameter is {values[0]} in all states, expected different ones")
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread == 0] = 1.0
    x, x_new = ((rows - centre) / spread for rows in (x, x_new))
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    along = u.T @ (y - y.mean())

    def left_out_error(ridge: float) -> float:
        shrink = s**2 / (s**2 + ridge)
        leverage = (u**2) @ shrink + 1 / len(y)
        return float(np.mean(((y - y.mean() - u @ (shrink * along)) / (1 - leverage)) ** 2))

    ridge = float(min(_RIDGES * len(y), key=left_out_error))
    weights = vt.T @ (s / (s**2 + ridge) * along)
    predictions = x_new @ weights + y.mean()
    return ReadOut(predictions, _r_squared(predictions, y_new, seed, level), ridge)


def _r_squared(predictions: Reals, truth: Reals, seed: int, level: float) -> Estimate:
    def value(chosen: NDArray[np.intp]) -> Reals:
        errors = np.square(predictions - truth)[chosen].mean(axis=-1)
        return np.asarray(1 - errors / truth[chosen].var(axis=-1))

    n = len(truth)
    chosen = stream(seed, "read-out").integers(n, size=(_RESAMPLES, n))
    resampled = value(chosen[np.ptp(truth[chosen], axis=1) > 0])  # states all alike have no R^2
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    error = float(np.std(resampled))
    method = "held-out states, percentile bootstrap over them"
    return Estimate(float(value(np.arange(n))), error, float(low), float(high), level, n, method)
