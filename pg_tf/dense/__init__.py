"""The grids in TensorFlow's own ops.

They are slower than the compiled ones on a CPU, but they differentiate to any order, compile with XLA and run on
accelerators.
"""

from pg_tf.dense.boxes import axis_factors, voxelize

__all__ = ["axis_factors", "voxelize"]
