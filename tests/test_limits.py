"""The limits of the compiled ops are those of their counterparts in Python."""

import re
from pathlib import Path

from pg_tf import _limits

HEADER = Path(__file__).parent.parent / "kernels" / "limits.h"


def test_limits_are_the_same_in_cpp_and_in_python() -> None:
    declared = re.findall(r"constexpr double k(\w+) = ([\d.e/ -]+);", HEADER.read_text())
    in_cpp = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper(): value.partition("/") for name, value in declared}
    in_python = {name: value for name, value in vars(_limits).items() if name.isupper()}
    assert {name: float(over) / float(under or 1) for name, (over, _, under) in in_cpp.items()} == in_python
