"""A quantity: a number, or a distribution of which planning uses the exact mean.

The mathematics of the distributions is in `distribution.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kpiopt.scenario.distribution import Z95, moments, quantiles, values_at_scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PROBABILITY_TOLERANCE = 1e-6

_NUMBER = r"[+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s+to\s+({_NUMBER})\s*")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or a distribution.

    Attributes
    ----------
    kind : str
        "number", "normal", "lognormal", "triangular", "pert", "uniform", "beta", "discrete" or "samples".
    parameters : tuple of float
        The distribution's own parameters: (value,), (mean, sd), (p5, p95), (low, mode, high), (low, mode, high),
        (low, high), (alpha, beta, low, high), (value 1, probability 1, value 2, …) in ascending order of the values,
        and all samples in ascending order; of kind "rows" samples in the order of their file. Parameters are checked by
        `parse_quantity`, not here.
    rows : tuple of float
        Samples in the order of their file: row i of it is one outcome for all columns that are used.
    file : str
        The file of samples; empty for other kinds.
    """

    kind: str
    parameters: tuple[float, ...]
    rows: tuple[float, ...] = ()
    file: str = ""

    @classmethod
    def number(cls, value: float) -> Quantity:
        """Return the quantity that is certainly `value`."""
        return cls("number", (float(value) + 0.0,))

    @classmethod
    def around_one(cls, sd: float) -> Quantity:
        """Return the lognormal quantity of mean 1 and a standard deviation."""
        variance = math.log1p(sd * sd)
        width = Z95 * math.sqrt(variance)
        return cls("lognormal", (math.exp(-variance / 2 - width), math.exp(-variance / 2 + width)))

    @property
    def is_number(self) -> bool:
        """Whether the quantity is certain."""
        return self.kind == "number"

    @property
    def mean(self) -> float:
        """The exact mean, which planning uses."""
        return moments(self.kind, self.parameters)[0]

    @property
    def standard_deviation(self) -> float:
        """The exact standard deviation; 0 for a number."""
        return moments(self.kind, self.parameters)[1]

    def by_row(self) -> Quantity:
        """Return the samples as a function of the row of their file instead of their rank."""
        return Quantity("rows", self.rows)

    @property
    def text(self) -> str:
        """The quantity as a planner would read it, such as "0.8 to 1.6" or "normal, mean 0, sd 1"."""
        return _describe(self)

    def quantile(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values that the quantity stays below with probability u (inverse transform).

        Parameters
        ----------
        u : (…) float
            Probabilities, strictly between 0 and 1.

        Returns
        -------
        (…) float
            In the quantity's own unit, in the shape of `u`.
        """
        return quantiles(self.kind, self.parameters, u)

    def at_score(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values at standard normal scores: `quantile(Phi(z))` without the detour where there is none.

        Parameters
        ----------
        z : (…) float
            Standard normal scores.

        Returns
        -------
        (…) float
            In the quantity's own unit, in the shape of `z`.
        """
        return values_at_scores(self.kind, self.parameters, z)


def parse_quantity(value: object, read_samples: Callable[[str], Sequence[float]] | None = None) -> Quantity:
    """Read a quantity as the planner writes it.

    Parameters
    ----------
    value : object
        A number; text "a to b" (5 % and 95 % points: lognormal where a > 0, else normal); or a table with exactly one
        key: `normal`, `lognormal`, `triangular`, `pert`, `uniform`, `beta`, `discrete` or `samples`.
    read_samples : callable, optional
        Returns the numbers behind a reference such as "file.csv#column"; without it `samples` is refused.

    Raises
    ------
    ValueError
        Where no distribution can be meant; the message says what is wrong and what to write instead.
    """
    if isinstance(value, str):
        return _parse_range(value)
    if isinstance(value, Mapping):
        return _parse_table(value, read_samples)
    return Quantity.number(_number(value, "a quantity"))


def _parse_range(text: str) -> Quantity:
    match = _RANGE.fullmatch(text)
    if not match:
        raise ValueError(f'"{text}" is not a quantity; write a number, or a 90 % range such as "0.8 to 1.6"')
    low, high = (_number(_float_of(part, text), "a range") for part in match.groups())
    if low > high:
        raise ValueError(f'"{text}" runs backwards; write the lower figure first: "{high:g} to {low:g}"')
    if low > 0:
        return _checked("lognormal", (low, high))
    return _checked("normal", (low / 2 + high / 2, (high / 2 - low / 2) / Z95))


def _float_of(part: str, text: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise ValueError(f'"{part}" in "{text}" is not a number; write it with digits, such as 1500 or 1.5e3') from None


def _parse_table(table: Mapping[Any, Any], read_samples: Callable[[str], Sequence[float]] | None) -> Quantity:
    known = ", ".join(_TABLE_KINDS)
    if len(table) != 1:
        keys = ", ".join(map(str, table)) or "none"
        raise ValueError(f"a distribution has exactly one key, found {keys}; write one of {known}")
    ((kind, given),) = table.items()
    if kind not in _TABLE_KINDS:
        raise ValueError(f'"{kind}" is no distribution; write one of {known}')
    if kind == "samples":
        return _parse_samples(given, read_samples)
    if kind == "discrete":
        return _parse_discrete(given)
    shape = _SHAPES[kind]
    if not isinstance(given, (list, tuple)) or len(given) != len(shape):
        raise ValueError(f"{kind} needs {len(shape)} numbers: {{ {kind} = [{', '.join(shape)}] }}")
    return _checked(kind, tuple(_number(v, f"{name} of {kind}") for v, name in zip(given, shape, strict=True)))


def _parse_samples(reference: object, read_samples: Callable[[str], Sequence[float]] | None) -> Quantity:
    if not isinstance(reference, str):
        raise ValueError('samples names a column of a file: { samples = "file.csv#column" }')
    if read_samples is None:
        raise ValueError(f'samples "{reference}" cannot be read here; write a number or another distribution')
    values = tuple(_number(v, f'a sample of "{reference}"') for v in read_samples(reference))
    if not values:
        raise ValueError(f'samples "{reference}" holds no value; give at least one')
    return replace(_checked("samples", tuple(sorted(values))), rows=values, file=reference.rpartition("#")[0])


def _parse_discrete(pairs: object) -> Quantity:
    rule = "discrete needs pairs of value and probability: { discrete = [[10, 0.25], [12, 0.75]] }"
    if not isinstance(pairs, (list, tuple)) or not pairs:
        raise ValueError(rule)
    if any(not isinstance(pair, (list, tuple)) or len(pair) != 2 for pair in pairs):
        raise ValueError(rule)
    rows = sorted((_number(v, "a value of discrete"), _number(p, "a probability of discrete")) for v, p in pairs)
    if any(p < 0 for _, p in rows):
        raise ValueError(f"a probability of discrete is negative ({min(p for _, p in rows):g}); it must be 0 or more")
    total = math.fsum(p for _, p in rows)
    if abs(total - 1) > PROBABILITY_TOLERANCE:
        raise ValueError(f"the probabilities of discrete sum to {total:.10g}, not to 1; correct them")
    return _checked("discrete", tuple(x for row in rows for x in row))


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        shown = "true" if value is True else "false" if value is False else repr(value)
        raise ValueError(f"{shown} is not a number; {what} must be one")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"the number given for {what} is too large to compute with") from None
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a finite number; {what} must be one")
    return number + 0.0


def _checked(kind: str, parameters: tuple[float, ...]) -> Quantity:
    """Return the quantity, or refuse parameters that cannot be."""
    if kind in _RULES:
        _RULES[kind](*parameters)
    try:
        mean_and_sd = moments(kind, parameters)
    except OverflowError:
        mean_and_sd = (math.inf, math.inf)
    if not all(map(math.isfinite, mean_and_sd)):
        raise ValueError(f"{kind} {_listed(parameters)} overflows: its mean or standard deviation is too large")
    return Quantity(kind, parameters)


def _listed(parameters: tuple[float, ...]) -> str:
    shown = [f"{p:g}" for p in parameters[:6]]
    return f"[{', '.join(shown + ['…'] * (len(parameters) > 6))}]"


def _check_normal(mean: float, sd: float) -> None:
    if sd < 0:
        raise ValueError(f"the standard deviation of normal is {sd:g}; it must be 0 or more")


def _check_lognormal(p5: float, p95: float) -> None:
    if p5 <= 0:
        raise ValueError(f"lognormal has the 5 % point {p5:g}; it must be above 0 (use normal for values around 0)")
    if p5 > p95:
        raise ValueError(f"lognormal has its 5 % point {p5:g} above its 95 % point {p95:g}; swap them")


def _check_ends(kind: str, low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"{kind} has its low end {low:g} above its high end {high:g}; swap them")


def _check_mode(kind: str, low: float, mode: float, high: float) -> None:
    _check_ends(kind, low, high)
    if not low <= mode <= high:
        raise ValueError(f"the mode {mode:g} of {kind} is outside {low:g} to {high:g}; put it between them")


def _check_beta(alpha: float, beta: float, low: float, high: float) -> None:
    _check_ends("beta", low, high)
    for name, value in (("alpha", alpha), ("beta", beta)):
        if value <= 0:
            raise ValueError(f"{name} of beta is {value:g}; it must be above 0")


_SHAPES: dict[str, tuple[str, ...]] = {
    "normal": ("mean", "sd"),
    "lognormal": ("p5", "p95"),
    "triangular": ("low", "mode", "high"),
    "pert": ("low", "mode", "high"),
    "uniform": ("low", "high"),
    "beta": ("alpha", "beta", "low", "high"),
}
_TABLE_KINDS = (*_SHAPES, "discrete", "samples")
_RULES: dict[str, Callable[..., None]] = {
    "normal": _check_normal,
    "lognormal": _check_lognormal,
    "triangular": lambda *p: _check_mode("triangular", *p),
    "pert": lambda *p: _check_mode("pert", *p),
    "uniform": lambda *p: _check_ends("uniform", *p),
    "beta": _check_beta,
}


def _describe(quantity: Quantity) -> str:
    kind, parameters = quantity.kind, quantity.parameters
    if kind == "number":
        return f"{_figure(parameters[0])}"
    if kind == "lognormal":
        return f"{_figure(parameters[0])} to {_figure(parameters[1])}"
    if kind == "samples":
        return f"{len(parameters)} samples, {_figure(parameters[0])} to {_figure(parameters[-1])}"
    if kind == "discrete":
        pairs = zip(parameters[::2], parameters[1::2], strict=True)
        return "discrete, " + ", ".join(f"{_figure(value)} with {share:.3g}" for value, share in pairs)
    return f"{kind}, " + ", ".join(f"{n} {_figure(p)}" for n, p in zip(_SHAPES[kind], parameters, strict=True))


def _figure(value: float) -> str:
    """Write a number as a planner would: thousands separated, five digits of a fraction."""
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.5g}"
