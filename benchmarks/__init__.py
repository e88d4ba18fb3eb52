"""How fast pg_tf is, always beside a rival in the same run: `python -m benchmarks --help`."""

import os

# Read when NumPy, TensorFlow and the rivals are imported. One thread for everybody; cases with more say so themselves.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
