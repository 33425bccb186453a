"""One stream of uniform numbers per named quantity, keyed by (seed, name): never by position, worker or block.

Any number of any stream is computed from its key and its index alone, so that adding a quantity leaves the others'
draws unchanged and every division of the work among workers gives the same bits.

Two methods:

random
    A counter-based generator: number i of a stream is the SplitMix64 output for state key + (i + 1) g.
sobol
    A randomised digital net in base 2 of Sobol's kind, in `REPLICATES` independent replicates. Each stream is one
    dimension. Its generator matrix is L U with U a random unit upper triangular matrix (Sobol's direction numbers with
    all their free bits chosen at random) and L a random unit lower triangular one (linear matrix scrambling), followed
    by a digital shift; all of them are drawn from (seed, name, replicate). Every stream is therefore perfectly
    stratified: 2^m successive points put exactly one in each interval of length 2^-m. Unlike dimensions of a fixed
    table of direction numbers, streams keyed by name neither run out nor move when the scenario grows.

References
----------
Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators. DOI 10.1145/2660193.2660195
Sobol' (1967), On the distribution of points in a cube. DOI 10.1016/0041-5553(67)90144-9
Matousek (1998), On the L2-discrepancy for anchored boxes. DOI 10.1006/jcom.1998.0489
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.scenario import Floats

Words = NDArray[np.uint64]

REPLICATES = 16
"""Independent randomisations of the net; their spread gives the interval."""

_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_TOP_BIT = np.uint64(1 << 63)
_EXPONENT_OF_ONE = np.uint64(0x3FF0000000000000)
_WORDS_PER_REPLICATE = 128


@dataclass(frozen=True, slots=True)
class Layout:
    """How draws are laid out: `replicates` times `size` points.

    Attributes
    ----------
    method : str
        "sobol" or "random".
    replicates : int
        `REPLICATES` for the net, 1 for random draws.
    size : int
        Points in each replicate; a power of 2 for the net.
    """

    method: str
    replicates: int
    size: int

    @property
    def draws(self) -> int:
        """Number of draws in all."""
        return self.replicates * self.size


def lay_out(draws: int, method: str) -> Layout:
    """Return the layout that holds at least `draws` draws.

    A net is balanced only at powers of two, so "sobol" rounds up to 16 times a power of two (at least 32 draws):
    1,000 becomes 16 x 64 = 1,024. "random" uses exactly what is asked.
    """
    if method == "random":
        return Layout(method, 1, draws)
    size = max(2, -(-draws // REPLICATES))
    return Layout(method, REPLICATES, 1 << (size - 1).bit_length())


def stream_keys(seed: int, names: Iterable[str]) -> Words:
    """Return the keys of the streams of some names, (n,) uint64: a hash of seed and name."""
    prefix = f"kpiopt/{seed}/".encode()
    digests = b"".join(hashlib.blake2b(prefix + name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def mix(state: Words) -> Words:
    """Return the SplitMix64 output for each state, in the shape of `state`."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def as_uniform(words: Words) -> Floats:
    """Return (top 52 bits + 1/2) 2^-52, exactly: strictly between 0 and 1 and symmetric about 1/2.

    Overwrites `words`.
    """
    words >>= np.uint64(12)
    words |= _EXPONENT_OF_ONE
    uniform: Floats = words.view(np.float64)
    uniform -= 1.0 - 2.0**-53
    return uniform


class Streams:
    """The uniform numbers of some named streams.

    Parameters
    ----------
    seed : int
        0 is a seed like any other.
    names : sequence of str
        One stream each; the name alone decides its numbers.
    layout : Layout
    """

    def __init__(self, seed: int, names: Iterable[str], layout: Layout) -> None:
        self.layout = layout
        self.keys = stream_keys(seed, names)

    def replicate(self, replicate: int) -> Points:
        """Return the points of one replicate."""
        if self.layout.method == "random":
            return RandomPoints(self.keys)
        columns, shift = net_columns(self.keys, replicate, (self.layout.size - 1).bit_length())
        return NetPoints(columns, shift)


class Points(ABC):
    """Points of one replicate."""

    @abstractmethod
    def uniforms(self, start: int, stop: int, rows: slice = slice(None)) -> Floats:
        """Return points start … stop - 1 of some streams, (n_rows, stop - start) float in (0, 1)."""

    def scores(self, start: int, stop: int) -> Callable[[slice], Floats]:
        """Return a function of rows: the standard normal scores of the same points."""
        from scipy.special import ndtri

        def scores_of(rows: slice) -> Floats:
            uniforms = self.uniforms(start, stop, rows)
            return np.asarray(ndtri(uniforms, out=uniforms))

        return scores_of


@dataclass(frozen=True, slots=True)
class RandomPoints(Points):
    """Random streams by their keys, (n,) uint64."""

    keys: Words

    def uniforms(self, start: int, stop: int, rows: slice = slice(None)) -> Floats:
        """Return numbers start … stop - 1 of some streams, (n_rows, stop - start) float in (0, 1)."""
        with np.errstate(over="ignore"):
            counter = np.arange(start + 1, stop + 1, dtype=np.uint64) * _INCREMENT
            return as_uniform(mix(self.keys[rows, None] + counter))


@dataclass(frozen=True, slots=True)
class NetPoints(Points):
    """One replicate of the net: generator columns (n_columns, n) and digital shifts (n,), both uint64."""

    columns: Words
    shift: Words

    def uniforms(self, start: int, stop: int, rows: slice = slice(None)) -> Floats:
        """Return points start … stop - 1 of some streams, (n_rows, stop - start) float in (0, 1).

        `stop - start` is a power of two that divides `start`: the points of such a block differ by sums of the first
        columns only, and doubling builds them with one exclusive-or each.
        """
        count = stop - start
        columns, origin = self.columns[:, rows], self.shift[rows].copy()
        for bit in range(start.bit_length()):
            if start >> bit & 1:
                origin ^= columns[bit]
        points = np.empty((len(origin), count), dtype=np.uint64)
        points[:, 0] = origin
        for bit in range(count.bit_length() - 1):
            half = 1 << bit
            np.bitwise_xor(points[:, :half], columns[bit][:, None], out=points[:, half : 2 * half])
        return as_uniform(points)


def net_columns(keys: Words, replicate: int, n_columns: int) -> tuple[Words, Words]:
    """Return the generator matrices' columns and the digital shifts of one replicate.

    Column j of L U is column j of L plus those columns k < j of L for which bit k of a random word (the entries of U
    above its diagonal) is set, all modulo 2. The first bit of a number is the most significant one.

    Returns
    -------
    columns : (n_columns, n_keys) uint64
    shift : (n_keys,) uint64
    """
    with np.errstate(over="ignore"):
        first = np.uint64(replicate * _WORDS_PER_REPLICATE)
        counter = (first + np.arange(1, 2 * n_columns + 2, dtype=np.uint64)) * _INCREMENT
        # The net's words come from states of their own, so that the two methods never share numbers.
        words = mix(mix(~keys) + counter[:, None])
    shift, lower, upper = words[0], words[1::2], words[2::2]
    columns = np.empty((n_columns, len(keys)), dtype=np.uint64)
    for j in range(n_columns):
        lower[j] = lower[j] >> np.uint64(j) | _TOP_BIT >> np.uint64(j)
        columns[j] = lower[j]
        for k in range(j):
            columns[j] ^= lower[k] * (upper[j] >> np.uint64(k) & np.uint64(1))
    return columns, shift
