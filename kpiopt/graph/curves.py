"""Nodes that hand a change on along a response curve: what reaches them is bent, and led on by ordinary edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.curve import Curve, Floats

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ResponseCurves:
    """The nodes of curves.

    Attributes
    ----------
    node : (n_curves,) int
        Ascending; each has one edge that leads to it, of coefficient 1.
    tail : (n_curves,) int
        The node that this edge comes from.
    label : tuple of str
        Path of the driver or effect in the file, and the unit of its cause.
    """

    node: Integers
    tail: Integers
    curve: tuple[Curve, ...]
    label: tuple[str, ...]

    def between(self, start: int, stop: int) -> list[tuple[int, Curve]]:
        """Return the curves of the nodes start … stop - 1."""
        first, last = np.searchsorted(self.node, [start, stop]).tolist()
        return list(zip(self.node[first:last].tolist(), self.curve[first:last], strict=True))

    def bend(self, change: Floats, start: int, stop: int) -> None:
        """Replace what reaches the nodes start … stop - 1 by what their curves make of it, in place.

        Parameters
        ----------
        change : (n_nodes,) or (n_nodes, k) float
        """
        if len(self.node):
            for node, curve in self.between(start, stop):
                change[node] = curve.at(change[node])

    def place(self, node: Integers) -> Integers:
        """Return the position of nodes among those of curves, -1 where they are none."""
        at = np.minimum(np.searchsorted(self.node, node), len(self.node) - 1)
        return np.where(self.node[at] == node, at, -1) if len(self.node) else np.full(len(node), -1)


@dataclass
class CurveDraft:
    """Curves while edges are collected: their nodes are numbered after all others.

    Attributes
    ----------
    tails : list of int
        Where the edge into each comes from, in the numbers of the draft.
    curves, paths : list
        Curve and path of each.
    """

    tails: list[int] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of nodes."""
        return len(self.tails)

    def add(self, tail: Integers, path: str, curve: Curve, first: int) -> tuple[Integers, tuple[Integers, Integers]]:
        """Put a curve behind each of some nodes.

        Parameters
        ----------
        first : int
            Number of the first of all curves' nodes.

        Returns
        -------
        the curve's node in place of each tail, and the edges into these nodes: tails and heads
        """
        each, which = np.unique(tail, return_inverse=True)
        node = first + self.count + np.arange(len(each))
        self.tails += each.tolist()
        self.curves += [curve] * len(each)
        self.paths += [path] * len(each)
        return node[which], (each, node)

    def freeze(self, number: Integers, first: int, name: Callable[[int], str]) -> ResponseCurves:
        """Return the curves by the final numbers of nodes."""
        node = number[first + np.arange(self.count)]
        order = np.argsort(node)
        label = [f"{path}{name(tail)}" for path, tail in zip(self.paths, self.tails, strict=True)]
        return ResponseCurves(
            node[order],
            number[np.array(self.tails, dtype=np.int64)][order],
            tuple(self.curves[i] for i in order.tolist()),
            tuple(label[i] for i in order.tolist()),
        )
