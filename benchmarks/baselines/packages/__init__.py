"""Published voxelizers: `catalogue.py` lists them, `environment.py` installs them, and each other module runs one.

Such a module has a function `prepare(task)` (see `benchmarks.remote`) and imports nothing of pg_tf. The task holds
`workload` (a file of `Workload.save`), `extents`, `molecules` (how many of them a run does), `sigma`, and `grid` (the
file that the first molecule's grid at the first extent is written to, as float32).
"""
