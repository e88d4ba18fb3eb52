"""Sources of molecules; every one yields `Molecules`."""

from pg_tf.datasets.molecules import Molecules, concatenate
from pg_tf.datasets.read import read_molecules
from pg_tf.datasets.sample import load_sample
from pg_tf.datasets.sdf import read_sdf
from pg_tf.datasets.smiles import read_smiles_csv
from pg_tf.datasets.source import Source

__all__ = ["Molecules", "Source", "concatenate", "load_sample", "read_molecules", "read_sdf", "read_smiles_csv"]
