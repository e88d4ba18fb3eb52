"""Structures from XYZ and extended XYZ files."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pg_tf.datasets.readers.record import Path
from pg_tf.formats.xyz import checked_count, frames, parsed_frame
from pg_tf.structures._reading import Doubts, checked_structure
from pg_tf.structures._text import read_text
from pg_tf.structures.structure import Structure


def read_xyz(
    path: Path, frame: int | None = None, *, elements: Mapping[str, str] | None = None, strict: bool = False
) -> Structure:
    """Reads one frame of an XYZ or extended XYZ file.

    Args:
      path: the file, plain or gzipped. Without a `Lattice` in the second line there is no cell.
      frame: which frame; negative numbers count from the end. None is the first, and tells of others.
      elements: element symbols by what the file calls its atoms, such as `{"OW": "O"}`, in place of what that says.
      strict: raise where otherwise a warning is given: several frames and none chosen.

    Returns:
      The structure; what was doubtful is in its `notes` as well.

    Raises:
      ValueError: if it cannot be read, or has no such frame.
      OSError: if the file cannot be opened.
    """
    with Doubts(path, strict) as doubts:
        found = list(frames(read_text(path).splitlines()))
        if frame is None and len(found) > 1:
            doubts.add(f"it has {len(found)} frames, and the first is read; choose one by frame=")
        if not -len(found) <= (frame or 0) < len(found):
            raise ValueError(f"it has no frame {frame or 0}; it has {len(found)}")
        for raw in found:
            checked_count(raw)
        atoms = parsed_frame(found[frame or 0], elements)
        return checked_structure(atoms, os.path.basename(os.fspath(path)), doubts)
