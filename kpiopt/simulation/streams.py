"""One stream of uniform numbers per named quantity, keyed by (seed, name): never by position, worker or block.

Any number of any stream is computed from its key and its index alone, so that adding a quantity leaves the others'
draws unchanged and every division of the work among workers gives the same bits.

random
    A counter-based generator: number i of a stream is the SplitMix64 output for state key + (i + 1) g.
sobol
    Randomised quasi-Monte Carlo in `REPLICATES` independent replicates: every stream is a scrambled one-dimensional
    Sobol' net (2^m points, exactly one in each interval of length 2^-m), in a random order of its own (Latin supercube
    sampling with one dimension to each group). Sums and means gain orders of magnitude over random draws, and no
    estimate loses more than a share of 2^-m of its variance.

Nets of many dimensions have bad pairs of dimensions, which only a fixed assignment of dimensions can keep away from
each other; streams keyed by name alone cannot have one. docs/odds.md has the figures.

References
----------
Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators. DOI 10.1145/2660193.2660195
Sobol' (1967), On the distribution of points in a cube. DOI 10.1016/0041-5553(67)90144-9
McKay, Beckman and Conover (1979), Comparison of three methods. DOI 10.1080/00401706.1979.10489755
Owen (1998), Latin supercube sampling for very high-dimensional simulations. DOI 10.1145/272991.273010
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.scenario import Floats

Words = NDArray[np.uint64]

REPLICATES = 16
"""Independent randomisations of the nets; their spread gives the interval."""

_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_EXPONENT_OF_ONE = np.uint64(0x3FF0000000000000)
_ROUNDS = 3
_WORDS_PER_REPLICATE = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """How draws are laid out: `replicates` times `size` points.

    Attributes
    ----------
    method : str
        "sobol" or "random".
    replicates : int
        `REPLICATES` for nets, 1 for random draws.
    size : int
        Points in each replicate; a power of 2 for nets.
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

    A net needs a power of two of points, so "sobol" rounds up to 16 times a power of two (at least 32 draws):
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
    """Return the SplitMix64 output for each state, in the shape of `state`, which is overwritten."""
    for shift, multiplier in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state ^= state >> np.uint64(shift)
        state *= np.uint64(multiplier)
    state ^= state >> np.uint64(31)
    return state


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
    """

    def __init__(self, seed: int, names: Iterable[str], layout: Layout) -> None:
        self.layout = layout
        self.keys = stream_keys(seed, names)

    def replicate(self, replicate: int) -> Points:
        """Return the points of one replicate."""
        if self.layout.method == "random":
            return RandomPoints(self.keys)
        with np.errstate(over="ignore"):
            first = np.uint64(1 + replicate * _WORDS_PER_REPLICATE)
            counter = np.arange(first, first + np.uint64(_ROUNDS + 2), dtype=np.uint64) * _INCREMENT
            # States of their own, so that the two methods never share numbers.
            words = mix(mix(~self.keys) + counter[:, None])
        return NetPoints(words, self.layout.size)


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
    """One replicate of the nets: random words by stream, (_ROUNDS + 2, n) uint64, and the number of points."""

    words: Words
    size: int

    def uniforms(self, start: int, stop: int, rows: slice = slice(None)) -> Floats:
        """Return points start … stop - 1 of some streams, (n_rows, stop - start) float in (0, 1).

        A point is (interval + jitter) / size: the interval is the index under the stream's permutation; the jitter is a
        multiple of the interval, from a random start, modulo 1. It lies half a unit of its last bit off both ends.
        """
        words = self.words[:, rows]
        interval = permute(words[: _ROUNDS + 1], self.size, start, stop)
        uniform: Floats = interval.astype(np.float64)
        state = interval.astype(np.uint32)
        state *= _high_half(words[_ROUNDS + 1]) | np.uint32(1)
        state += _low_half(words[_ROUNDS + 1])
        bits = min(32, 52 - (self.size - 1).bit_length())
        if bits < 32:
            state >>= np.uint32(32 - bits)
        jitter: Floats = state.astype(np.float64)
        jitter += 0.5
        jitter *= 2.0**-bits
        uniform += jitter
        uniform *= 1 / self.size
        return uniform


def permute(words: Words, size: int, start: int, stop: int) -> NDArray[np.unsignedinteger[Any]]:
    """Return indices start … stop - 1 under random permutations of 0 … size - 1.

    Rounds of adding, multiplying by an odd number and folding the upper half of the bits into the lower one, each
    invertible modulo the power of two `size`.

    Parameters
    ----------
    words : (n_rounds + 1, n) uint64
        Random words that choose a permutation for each of n streams.
    size : int
        A power of 2, at most 2^31.

    Returns
    -------
    (n, stop - start) uint16 or uint32, whichever is enough: the narrower, the faster
    """
    kind: type[np.unsignedinteger[Any]] = np.uint16 if size <= 1 << 16 else np.uint32
    odd = [_low_half(word).astype(kind) | kind(1) for word in words[:-1]]
    add = [_high_half(word).astype(kind) for word in words[:-1]] + [_low_half(words[-1]).astype(kind)]
    mask, fold = kind(size - 1), kind(max(1, (size - 1).bit_length() + 1 >> 1))
    index: NDArray[Any] = np.arange(start, stop, dtype=kind) + add[0]
    for factor, term in zip(odd, add[1:], strict=True):
        index *= factor
        index &= mask
        index ^= index >> fold
        index += term
    index &= mask
    return index


def _low_half(word: Words) -> NDArray[np.uint32]:
    """Lower 32 bits of one word per stream, as a column."""
    return word.astype(np.uint32)[:, None]


def _high_half(word: Words) -> NDArray[np.uint32]:
    """Upper 32 bits of one word per stream, as a column."""
    return (word >> np.uint64(32)).astype(np.uint32)[:, None]
