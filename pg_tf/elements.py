"""Elements and the grid channels they belong to."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_PERIODS = """
H He
Li Be B C N O F Ne
Na Mg Al Si P S Cl Ar
K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe
Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn
Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
SYMBOLS: tuple[str, ...] = ("", *_PERIODS.split())
"""Element symbols; the index is the atomic number, and 0 is no element."""

_ATOMIC_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS) if symbol}


def atomic_number(symbol: str) -> int:
    """The atomic number of an element symbol such as "Cl".

    Raises:
      ValueError: if there is no such element. Case matters: "CL" is none.
    """
    try:
        return _ATOMIC_NUMBERS[symbol]
    except KeyError:
        raise ValueError(f"symbol: {symbol!r} is not an element symbol; write it as in 'C' or 'Cl'") from None


@dataclasses.dataclass(frozen=True)
class ElementChannels:
    """Which channel of a grid each element goes to.

    Args:
      symbols: one entry a channel, in the order of the channels. An entry is an element symbol, or several
        joined by "+" that share the channel: `("C", "N", "O", "F+Cl+Br+I")`.
      unknown: None makes an element that is not listed an error. A name such as "other" adds one last channel
        of that name, which takes every element that is not listed.

    Raises:
      ValueError: if there is no channel at all, an entry is no element, or an element is listed twice.

    Example:
      >>> ElementChannels(("C", "N+O"), unknown="other").channels([6, 8, 1])
      array([0, 1, 2], dtype=int32)
    """

    symbols: tuple[str, ...]
    unknown: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.symbols, str):
            raise ValueError(f"symbols: {self.symbols!r} is a string; give a tuple with one entry a channel")
        object.__setattr__(self, "symbols", tuple(self.symbols))
        if self.num_channels == 0:
            raise ValueError("symbols: there is no channel; list an element or name a channel for the unknown ones")
        listed = [symbol for entry in self.symbols for symbol in entry.split("+")]
        for symbol in listed:
            atomic_number(symbol)
            if listed.count(symbol) > 1:
                raise ValueError(f"symbols: {symbol!r} is listed more than once; an element has one channel")
        if self.unknown in self.symbols:
            raise ValueError(f"unknown: {self.unknown!r} is a channel already; choose another name, such as 'other'")

    @classmethod
    def of(cls, value: ElementChannels | Sequence[str] | Mapping[str, Any]) -> ElementChannels:
        """`ElementChannels` as they are, or of symbols such as `("C", "N", "O", "H")`, or of a mapping with the
        arguments."""
        if isinstance(value, cls):
            return value
        return cls(**value) if isinstance(value, Mapping) else cls(value)  # type: ignore[arg-type]

    @classmethod
    def single(cls) -> ElementChannels:
        """One channel for every element: the one-channel grid of the ParticleGrid paper."""
        return cls((), unknown="all")

    @property
    def names(self) -> tuple[str, ...]:
        """One name a channel."""
        return self.symbols if self.unknown is None else (*self.symbols, self.unknown)

    @property
    def num_channels(self) -> int:
        return len(self.names)

    @functools.cached_property
    def lookup_table(self) -> npt.NDArray[np.int32]:
        """Channel of each atomic number, `[119]`, for `tf.gather(channels.lookup_table, atomic_numbers)`.

        Atomic number 0 marks padding and has channel -1. An element without a channel has `num_channels`,
        which the voxelising ops refuse: it cannot be dropped unnoticed.
        """
        table = np.full(len(SYMBOLS), self.num_channels - (self.unknown is not None), np.int32)
        for channel, entry in enumerate(self.symbols):
            table[[atomic_number(symbol) for symbol in entry.split("+")]] = channel
        table[0] = -1
        table.flags.writeable = False
        return table

    def channels(self, atomic_numbers: npt.ArrayLike, row_splits: npt.ArrayLike | None = None) -> npt.NDArray[np.int32]:
        """Channels of atoms.

        Args:
          atomic_numbers: integers of any shape; 0 marks padding.
          row_splits: `[B + 1]` where molecule i holds the atoms from `row_splits[i]` to `row_splits[i + 1]`
            of flat `atomic_numbers`; only there so that an error can name the molecule.

        Returns:
          int32 of the shape of `atomic_numbers`; -1 where it is 0.

        Raises:
          ValueError: if an atom is not an element, or its element has no channel and `unknown` is None.
        """
        numbers = np.asarray(atomic_numbers)
        if numbers.size and numbers.dtype.kind not in "iu":
            raise ValueError(f"atomic_numbers: must be integers, got dtype {numbers.dtype}")
        numbers = numbers.astype(np.int64)
        is_element = (numbers >= 0) & (numbers < len(SYMBOLS))
        result = self.lookup_table[np.where(is_element, numbers, 0)]
        refused = ~is_element | (result >= self.num_channels)
        if refused.any():
            index = tuple(int(i) for i in np.argwhere(refused)[0])
            place, number = place_of_atom(index, row_splits), int(numbers[index])
            if not is_element[index]:
                raise ValueError(f"atomic_numbers: {place} has {number}; an atomic number is 1 to {len(SYMBOLS) - 1}")
            raise ValueError(
                f"atomic_numbers: {place} is {SYMBOLS[number]} (atomic number {number}), which has no "
                f"channel among {', '.join(self.names)}; list it, or name a channel for such elements with "
                f"unknown='other'"
            )
        return result


def place_of_atom(index: tuple[int, ...], row_splits: npt.ArrayLike | None) -> str:
    """An atom as an error should name it.

    Args:
      index: of the atom in an array `[A]`, `[B, A]` or, with `row_splits`, of all atoms one after another.
      row_splits: as in `ElementChannels.channels`.
    """
    if row_splits is not None:
        splits = np.asarray(row_splits)
        molecule = int(np.searchsorted(splits, index[0], side="right")) - 1
        index = (molecule, index[0] - int(splits[molecule]))
    if len(index) == 2:
        return f"molecule {index[0]}, atom {index[1]}"
    return f"atom {index[0] if len(index) == 1 else index}"


ORGANIC = ElementChannels(("C", "N", "O", "S", "F", "Cl", "Br", "H"))
"""The eight channels of the original ParticleGrid benchmark, in its order; other elements are an error."""
