"""Bad input: what an error must say. Its prose may change; the argument, the place and the value must be in it."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

BAD_VALUE = tf.errors.InvalidArgumentError
"""What the compiled ops raise. It is no ValueError."""


def changed(values: Any, *place_and_value: Any) -> np.ndarray:
    """A copy with another value at one place."""
    *place, value = place_and_value
    result = np.array(values)
    if isinstance(value, float) and result.dtype.kind != "f":
        result = result.astype(np.float64)
    result[tuple(place)] = value
    return result


def refuses(error: type[Exception], says: tuple[Any, ...], call: Callable[[], Any]) -> None:
    """That `call` raises `error` with the words of `says` in its text, in this order: argument, place, value."""
    with pytest.raises(error) as caught:
        call()
    words = ".*".join(rf"(?<![\w.-]){re.escape(str(word))}(?!\w)" for word in says)
    assert re.search(words, str(caught.value), re.DOTALL), f"{says} are not in: {caught.value}"


def refuses_in_both_modes(error: type[Exception], says: tuple[Any, ...], call: Callable[[], Any]) -> None:
    """`refuses`, eagerly and in a graph."""
    refuses(error, says, call)
    refuses(error, says, tf.function(call, autograph=False))


def names(cases: list[Any]) -> list[Any]:
    """Cases (error, says, ...) as parameters of a test, each with the words of its error as its name."""
    return [pytest.param(*case, id=f"{number} {', '.join(map(str, case[1]))}") for number, case in enumerate(cases)]
