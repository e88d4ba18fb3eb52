"""Small odd files, each with the outcomes that are right.

`cases.json` holds the files and the cases. Right answers come from the text of a format, from two other libraries that
agree, or from evidence in the file; where neither tells, a refusal or a warning is right that names the atom, the line
or the value. An outcome is one of

    {"composition": {"Na": 4}}    these atoms, each times its weight; beside it may stand "labels", the "volume" of the
                                  cell (Å^3) and the "closest" distance of two atoms (Å)
    {"refuse": "word"}            a ValueError whose text holds that word
    {"warn": "word"}              any atoms, with a warning that holds that word

A case that is "open" is not answered right yet: it must be taken off that list when it is.
"""

from __future__ import annotations

import base64
import collections
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pg_tf import structures
from pg_tf.datasets import read_molecules
from pg_tf.datasets.read import _read
from pg_tf.datasets.readers import qm9
from pg_tf.elements import SYMBOLS

TABLE = json.loads(Path(__file__).with_name("cases.json").read_text(encoding="utf-8"))
NOT_YET = pytest.mark.xfail(strict=True, reason="a file that is not read or refused in the right way yet")
CASES = [
    pytest.param(case, id=f"{case['file']}-{case['reader']}-{number}", marks=[NOT_YET] if "open" in case else [])
    for number, case in enumerate(TABLE["cases"])
]


def read(reader: str, path: Path, **arguments: Any) -> Any:
    if reader == "qm9":
        return _read(path, qm9([path], **arguments), False, None)
    readers = {
        "structure": structures.read_structure,
        "xyz": structures.read_xyz,
        "pdb": structures.read_pdb,
        "molecules": read_molecules,
    }
    return readers[reader](path, **arguments)


def composition(found: Any) -> dict[str, float]:
    counts: dict[str, float] = collections.defaultdict(float)
    weights = getattr(found, "weights", np.ones(len(found.atomic_numbers)))
    for number, weight in zip(found.atomic_numbers, weights, strict=True):
        counts[SYMBOLS[number]] += float(weight)
    return {symbol: round(count, 3) for symbol, count in counts.items() if count}


def has_geometry(found: Any, wanted: dict[str, Any]) -> bool:
    if "volume" in wanted and not np.isclose(abs(np.linalg.det(found.cell)), wanted["volume"], rtol=0.01):
        return False
    if "closest" in wanted:
        first = np.asarray(found.coords)[: found.row_splits[1] if hasattr(found, "row_splits") else None]
        apart = np.linalg.norm(first[:, None] - first, axis=-1)[np.triu_indices(len(first), 1)]
        return bool(np.isclose(apart.min(), wanted["closest"], atol=0.0101))
    return True


def says(text: str, word: str, path: Path) -> bool:
    """Whether a message holds a word; the name of the file does not count. Short words, and those with capitals or
    digits, must stand alone."""
    text = text.replace(str(path), "").replace(path.name, "")
    if len(word) > 3 and re.fullmatch(r"[^A-Z0-9]+", word):
        return word in text.lower()
    left, right = (r"(?<![A-Za-z0-9])" if word[0].isalnum() else ""), (r"(?![A-Za-z0-9])" if word[-1].isalnum() else "")
    return re.search(left + re.escape(word) + right, text, re.IGNORECASE * (len(word) > 3)) is not None


@pytest.mark.parametrize("case", CASES)
def test_odd_file_is_read_right_or_refused_with_the_reason(case: dict[str, Any], tmp_path: Path) -> None:
    content = TABLE["files"][case["file"]]
    path = tmp_path / case["file"]
    path.write_bytes(content.encode() if isinstance(content, str) else base64.b64decode(content["base64"]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found, refusal = read(case["reader"], path, **case.get("args", {})), ""
        except ValueError as error:
            found, refusal = None, str(error)
    said = [str(warning.message) for warning in caught]

    def holds(outcome: dict[str, Any]) -> bool:
        if found is None:
            return "refuse" in outcome and says(refusal, outcome["refuse"], path)
        if "warn" in outcome:
            return any(says(text, outcome["warn"], path) for text in said)
        if "refuse" in outcome or composition(found) != outcome["composition"] or not has_geometry(found, outcome):
            return False
        labels = outcome.get("labels")
        return labels is None or np.allclose(found.labels, labels, atol=1e-4)

    got = refusal or (composition(found), said)
    assert any(map(holds, case["accept"])), f"{case['what']}: {got}"
