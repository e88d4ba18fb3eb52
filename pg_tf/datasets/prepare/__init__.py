"""From files of molecules to a folder of shards: `prepare(recipe, root)`; a recipe for each kind of source."""

from pg_tf.datasets.prepare.npz import npz
from pg_tf.datasets.prepare.pcqm4mv2 import pcqm4mv2
from pg_tf.datasets.prepare.qm9 import qm9
from pg_tf.datasets.prepare.recipe import Chunk, Recipe
from pg_tf.datasets.prepare.run import prepare
from pg_tf.datasets.prepare.sdf import sdf
from pg_tf.datasets.prepare.smiles import smiles
from pg_tf.datasets.prepare.xyz import xyz

__all__ = ["Chunk", "Recipe", "npz", "pcqm4mv2", "prepare", "qm9", "sdf", "smiles", "xyz"]
