"""How fast pg_tf is, always beside a baseline in the same run: `python -m benchmarks --help`."""

import os

# NumPy, TensorFlow and the baselines read these when they are imported. All get one thread; cases with more say so.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
