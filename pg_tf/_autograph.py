"""Functions that AutoGraph takes as they are."""

from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

Function = TypeVar("Function", bound=Callable[..., Any])


def plain(function: Function) -> Function:
    """Keeps AutoGraph from rewriting a function and all that it calls, at its first use in a `dataset.map` or
    `tf.function`: there is nothing in them to rewrite, and looking takes seconds."""
    return tf.autograph.experimental.do_not_convert(function)
