"""Formats that molecules come in: a function of files that makes a `Reader`, which says how to cut them
into chunks of raw records and how a chunk becomes molecules.

`read_molecules` reads a file into memory by its reader, `prepare` makes shards by it, `predict_file` predicts by it.
"""

from pg_tf.datasets.readers.molecule_files import mol2, pdbqt, sdf, xyz
from pg_tf.datasets.readers.npz import npz
from pg_tf.datasets.readers.pcqm4mv2 import pcqm4mv2
from pg_tf.datasets.readers.qm9 import qm9
from pg_tf.datasets.readers.reader import Chunk, Reader
from pg_tf.datasets.readers.smiles import smiles
from pg_tf.datasets.readers.suffix import SUFFIXES, by_suffix

__all__ = [
    "SUFFIXES",
    "Chunk",
    "Reader",
    "by_suffix",
    "mol2",
    "npz",
    "pcqm4mv2",
    "pdbqt",
    "qm9",
    "sdf",
    "smiles",
    "xyz",
]
