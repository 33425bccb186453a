"""The distributions of quantities: exact moments, and quantiles by inverse transform.

Moments are closed forms of the standard library's mathematics. Quantiles work on arrays; NumPy and SciPy are loaded
when the first one is asked for, so that reading a file does not wait for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Z95 = 1.6448536269514722
"""The 95 % point of the standard normal distribution."""

PERT_LAMBDA = 4.0

LARGEST_LOGARITHM = 709.0
"""Lognormal quantiles stop at e^709, just inside what a floating-point number holds."""


def moments(kind: str, parameters: tuple[float, ...]) -> tuple[float, float]:
    """Return the exact mean and standard deviation of a distribution of `Quantity`.

    Raises
    ------
    OverflowError
        Where they are too large for a floating-point number.
    """
    return _MOMENTS[kind](*parameters)


def quantiles(kind: str, parameters: tuple[float, ...], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return quantiles at probabilities u, strictly between 0 and 1, in the shape of `u`."""
    import numpy as np

    values: NDArray[np.float64] = _QUANTILES[kind](parameters, np.asarray(u, dtype=np.float64))
    return values


def values_at_scores(kind: str, parameters: tuple[float, ...], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return quantiles at standard normal scores z, in the shape of `z`."""
    import numpy as np
    from scipy.special import ndtr

    line = score_line(kind, parameters)
    if line is None:
        return quantiles(kind, parameters, ndtr(z))
    values = line[0] + line[1] * np.asarray(z)
    return np.asarray(np.exp(np.minimum(values, LARGEST_LOGARITHM))) if kind == "lognormal" else values


def score_line(kind: str, parameters: tuple[float, ...]) -> tuple[float, float] | None:
    """Return (location, scale) where the quantity, or its logarithm, is a straight line of the normal score."""
    if kind == "normal":
        return parameters[0], parameters[1]
    return _log_parameters(*parameters) if kind == "lognormal" else None


def _log_parameters(p5: float, p95: float) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm, from the 5 % and 95 % points."""
    low, high = math.log(p5), math.log(p95)
    return (low + high) / 2, (high - low) / (2 * Z95)


def _pert_shape(low: float, mode: float, high: float) -> tuple[float, float]:
    """Alpha and beta of PERT: Malcolm et al. (1959), DOI 10.1287/opre.7.5.646."""
    if low == high:
        return 1.0, 1.0
    width = high - low
    return 1 + PERT_LAMBDA * (mode - low) / width, 1 + PERT_LAMBDA * (high - mode) / width


def _lognormal_moments(p5: float, p95: float) -> tuple[float, float]:
    location, scale = _log_parameters(p5, p95)
    mean = math.exp(location + scale * scale / 2)
    return mean, mean * math.sqrt(math.expm1(scale * scale))


def _triangular_moments(low: float, mode: float, high: float) -> tuple[float, float]:
    up, down, width = mode - low, high - mode, high - low
    return low + (up + width) / 3, math.sqrt((up * up + up * down + down * down) / 18)


def _uniform_moments(low: float, high: float) -> tuple[float, float]:
    return low / 2 + high / 2, (high - low) / math.sqrt(12)


def _beta_moments(alpha: float, beta: float, low: float, high: float) -> tuple[float, float]:
    total = alpha + beta
    share = alpha / total
    return low + (high - low) * share, (high - low) * math.sqrt(share * (beta / total) / (total + 1))


def _pert_moments(low: float, mode: float, high: float) -> tuple[float, float]:
    return _beta_moments(*_pert_shape(low, mode, high), low, high)


def _discrete_moments(*pairs: float) -> tuple[float, float]:
    values, weights = pairs[::2], pairs[1::2]
    total = math.fsum(weights)
    mean = math.fsum(v * p for v, p in zip(values, weights, strict=True)) / total
    return mean, math.sqrt(math.fsum(p * (v - mean) ** 2 for v, p in zip(values, weights, strict=True)) / total)


def _sample_moments(*values: float) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))


_MOMENTS: dict[str, Callable[..., tuple[float, float]]] = {
    "number": lambda value: (value, 0.0),
    "normal": lambda mean, sd: (mean, sd),
    "lognormal": _lognormal_moments,
    "triangular": _triangular_moments,
    "pert": _pert_moments,
    "uniform": _uniform_moments,
    "beta": _beta_moments,
    "discrete": _discrete_moments,
    "samples": _sample_moments,
    "rows": _sample_moments,
}


def _number_quantile(parameters: tuple[float, ...], u: Any) -> Any:
    import numpy as np

    return np.full_like(u, parameters[0])


def _score_quantile(kind: str) -> Callable[[tuple[float, ...], Any], Any]:
    """Quantiles of a distribution that is a function of the normal score."""

    def quantile(parameters: tuple[float, ...], u: Any) -> Any:
        from scipy.special import ndtri

        return values_at_scores(kind, parameters, ndtri(u))

    return quantile


def _uniform_quantile(parameters: tuple[float, ...], u: Any) -> Any:
    low, high = parameters
    return low + (high - low) * u


def _triangular_quantile(parameters: tuple[float, ...], u: Any) -> Any:
    import numpy as np

    low, mode, high = parameters
    if low == high:
        return np.full_like(u, low)
    width = high - low
    rising = low + np.sqrt(u * width * (mode - low))
    falling = high - np.sqrt((1 - u) * width * (high - mode))
    return np.where(u * width <= mode - low, rising, falling)


def _beta_quantile(parameters: tuple[float, ...], u: Any) -> Any:
    from scipy.special import betaincinv

    alpha, beta, low, high = parameters
    share = betaincinv(alpha, beta, u)
    if math.isnan(share.sum()):  # what SciPy returns far out in the lower tail, where the leading term is exact
        share = _fill_tail(share, alpha, beta, u)
    return low + (high - low) * share


def _fill_tail(share: Any, alpha: float, beta: float, u: Any) -> Any:
    """Put u^(1 / alpha) (alpha B(alpha, beta))^(1 / alpha) where a quantile of beta is not a number."""
    import numpy as np
    from scipy.special import betaln

    with np.errstate(divide="ignore"):
        leading = np.exp((np.log(u) + math.log(alpha) + betaln(alpha, beta)) / alpha)
    return np.where(np.isnan(share), np.clip(leading, 0.0, 1.0), share)


def _pert_quantile(parameters: tuple[float, ...], u: Any) -> Any:
    low, mode, high = parameters
    return _beta_quantile((*_pert_shape(low, mode, high), low, high), u)


def _discrete_quantile(parameters: tuple[float, ...], u: Any) -> Any:
    import numpy as np

    cumulative = np.array(list(accumulate(parameters[1::2])))
    # The last bound is dropped: whatever lies above all others belongs to the largest value, rounding or not.
    return np.array(parameters[::2])[np.searchsorted(cumulative[:-1] / cumulative[-1], u)]


def _sample_quantile(parameters: tuple[float, ...], u: Any) -> Any:
    import numpy as np

    n = len(parameters)
    rank = np.ceil(u * n).astype(np.int64) - 1
    return np.array(parameters)[np.clip(rank, 0, n - 1)]


_QUANTILES: dict[str, Callable[[tuple[float, ...], Any], Any]] = {
    "number": _number_quantile,
    "normal": _score_quantile("normal"),
    "lognormal": _score_quantile("lognormal"),
    "triangular": _triangular_quantile,
    "pert": _pert_quantile,
    "uniform": _uniform_quantile,
    "beta": _beta_quantile,
    "discrete": _discrete_quantile,
    "samples": _sample_quantile,
    "rows": _sample_quantile,
}
