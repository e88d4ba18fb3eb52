"""A structure from a file, by its name and content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pg_tf.formats.molecule_files import BY_SUFFIX
from pg_tf.formats.sources import Input, full_name, repeatable, suffix_of
from pg_tf.structures import molecule_files
from pg_tf.structures.cif import read_cif
from pg_tf.structures.cif_blocks import is_mmcif
from pg_tf.structures.pdb import read_pdb
from pg_tf.structures.poscar import read_poscar
from pg_tf.structures.structure import Structure

SUFFIXES = (".cif", ".mmcif", ".pdb", ".ent", ".vasp", ".poscar", *BY_SUFFIX)
"""Of files that hold a structure, before those of how they are packed."""


def read_structure(
    path: Input,
    *,
    elements: Mapping[str, str] | Sequence[str] | None = None,
    strict: bool = False,
    frame: int | None = None,
    format: str | None = None,
) -> Structure:
    """Reads a CIF, mmCIF, PDB, SDF, mol2, PDBQT, XYZ, extended XYZ or POSCAR file by the reader for it, plain or packed
    by gzip, bzip2, xz or zip.

    Args:
      path: the file: a path; an object that opens, such as `fsspec.open(url)`; or an open file, text or bytes, which
        is read to its end. A `str` is always a path: contents go in as `io.StringIO(text)`, with their `format`. The
        suffix tells the format: .cif (CIF or mmCIF, by content), .mmcif, .pdb, .ent, .sdf, .sd, .mol2, .pdbqt, .xyz,
        .extxyz, .vasp, .poscar; a name that begins with POSCAR or CONTCAR is one.
      elements: element symbols by what the file calls its atoms, in place of what that says; for POSCAR files also a
        sequence, one for each group of atoms.
      strict: raise where otherwise a warning is given.
      frame: which of several frames, records, models or blocks with atoms, from 0; negative numbers count from the end.
        None is the first, and tells of others.
      format: the suffix that tells the format, such as "cif" or "poscar", in place of that of the name.

    Returns:
      The structure; what was doubtful is in its `notes`.

    Raises:
      ValueError: if the format is not known, or as the readers.
      OSError: if the file cannot be opened.
    """
    source = repeatable(path)
    suffix = suffix_of(source, format)
    if suffix in (".vasp", ".poscar"):
        if frame not in (None, 0, -1):
            raise ValueError(f"frame: {full_name(source)} is a POSCAR file, which has one; got {frame}")
        return read_poscar(source, elements=elements, strict=strict)
    if elements is not None and not isinstance(elements, Mapping):
        name = full_name(source)
        raise ValueError(f"elements: must be a mapping from names in {name} to element symbols, got {elements!r}")
    if suffix in BY_SUFFIX:
        read = getattr(molecule_files, f"read_{BY_SUFFIX[suffix].kind}")
        return read(source, frame, elements=elements, strict=strict)
    if suffix in (".pdb", ".ent", ".mmcif") or (suffix == ".cif" and is_mmcif(source)):
        model = None if frame is None else frame + (frame >= 0)  # read_pdb counts as the format does
        return read_pdb(source, model=model, elements=elements, strict=strict)
    if suffix == ".cif":
        return read_cif(source, block=frame, elements=elements, strict=strict)
    if format is not None:
        raise ValueError(f"format: must be one of {', '.join(SUFFIXES)}; got {format!r}")
    raise ValueError(
        f"path: the format of {full_name(source)} is not known; it must end in {', '.join(SUFFIXES)}, with or without "
        f".gz, .bz2, .xz or .zip, or begin with POSCAR or CONTCAR; or say what it is by format"
    )
