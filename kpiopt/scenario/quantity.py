"""A quantity: a number, or a distribution of which planning uses the exact mean."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or a distribution.

    Attributes
    ----------
    kind : str
        "number", "normal", "lognormal", "triangular", "pert", "uniform", "beta", "discrete" or "samples".
    parameters : tuple of float
        The distribution's own parameters.
    """

    kind: str
    parameters: tuple[float, ...]

    @classmethod
    def number(cls, value: float) -> Quantity:
        """Return the quantity that is certainly `value`."""
        return cls("number", (float(value),))

    @property
    def is_number(self) -> bool:
        """Whether the quantity is certain."""
        return self.kind == "number"

    @property
    def mean(self) -> float:
        """The exact mean, which planning uses."""
        return self.parameters[0]
