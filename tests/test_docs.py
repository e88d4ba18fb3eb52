"""The code on the pages of docs/ runs."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.mark.skipif(not DOCS.is_dir(), reason="the pages are not part of an installation")
def test_page_on_crystals_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", (DOCS / "crystals.md").read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    assert names["grid"].numpy().sum(axis=(1, 2, 3)) == pytest.approx([96, 192], rel=1e-5)
    assert names["found"].converged
    assert len(names["again"]) == len(names["zeolite"])
    # The lattice is orthorhombic: to first order no shear changes anything.
    stress = names["stress_like"].numpy()
    assert abs(stress - stress.diagonal() * [[1, 0, 0], [0, 1, 0], [0, 0, 1]]).max() < 1e-9
    assert 1e-6 < names["henry"].numpy() < 2e-5
