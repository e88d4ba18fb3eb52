"""Sources of molecules: in memory they are `Molecules`, on disk `Shards`; `load` finds either."""

from pg_tf.datasets.load import MissingPart, load
from pg_tf.datasets.molecules import Molecules, concatenate
from pg_tf.datasets.read import read_molecules, read_sdf, read_smiles_csv
from pg_tf.datasets.sample import load_sample
from pg_tf.datasets.source import Source
from pg_tf.datasets.stored import Shards
from pg_tf.datasets.summary import Summary, summarize

__all__ = [
    "MissingPart",
    "Molecules",
    "Shards",
    "Source",
    "Summary",
    "concatenate",
    "load",
    "load_sample",
    "read_molecules",
    "read_sdf",
    "read_smiles_csv",
    "summarize",
]
