"""How much a file may hold. A file that was made to exhaust the machine, or a damaged one, ends in an error.

Both limits are read from the environment whenever a file is read:

    PG_TF_LONGEST_RECORD    the text of one molecule, or one line, MiB; 16
    PG_TF_LARGEST_FILE      a file that is read whole, or what a packed one unpacks to, MiB; 1024. A packed file may
                            always grow to 200 times its size
"""

from __future__ import annotations

import os

_MIB = 2**20
_DEFAULTS = {"PG_TF_LONGEST_RECORD": 16.0, "PG_TF_LARGEST_FILE": 1024.0}
_NAMES = {"record": "PG_TF_LONGEST_RECORD", "file": "PG_TF_LARGEST_FILE"}

# Text of molecules packs to a fifth, or a twentieth where it repeats itself.
_LARGEST_RATIO = 200


class TooLarge(ValueError):
    """A file has more than a limit allows.

    Args:
      what: is too large.
      limit: "record" or "file".
      size: the limit, bytes.
    """

    def __init__(self, what: str, limit: str, size: int) -> None:
        super().__init__(
            f"{what} is longer than {size / _MIB:.6g} MiB; where that is right, set {_NAMES[limit]} to more"
        )


def longest_record() -> int:
    """The most bytes of the text of one molecule, or of one line."""
    return _bytes("PG_TF_LONGEST_RECORD")


def largest_file(packed: int = 0) -> int:
    """The most bytes of a file that is read whole, or that one of `packed` bytes may unpack to."""
    return max(_bytes("PG_TF_LARGEST_FILE"), _LARGEST_RATIO * packed)


def _bytes(name: str) -> int:
    text = os.environ.get(name, "")
    try:
        size = float(text) if text else _DEFAULTS[name]
    except ValueError:
        size = 0.0
    if not 0 < size < 2**40:
        raise ValueError(f"{name}: must be a number of MiB, got {text!r}")
    return int(size * _MIB)
