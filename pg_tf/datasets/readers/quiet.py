"""RDKit without its own messages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def quiet(parse: Callable[_P, _R]) -> Callable[_P, _R]:
    """A function that calls RDKit, without the lines that RDKit writes to stderr: `BadRecord` says what is wrong.

    Such a function imports RDKit itself, so that readers of other formats do not load it.
    """

    @functools.wraps(parse)
    def silent(*arguments: _P.args, **options: _P.kwargs) -> _R:
        from rdkit import rdBase

        with rdBase.BlockLogs():
            return parse(*arguments, **options)

    return silent
