"""What pg_tf is measured against.

* `handwritten.py`, `handwritten.cc`: voxelizers written for this purpose, from what one writes first to the method of
  the ParticleGrid paper; they run in this process.
* `floor.py`, `floor.cc`: writing the memory of a grid once. No voxelizer can be faster.
* `packages/`: voxelizers that others have published, each in a process with a Python environment of its own.
* `voxmol.py`: another way from a grid back to its atoms.
"""
