"""How fast pg_tf is, always beside a rival in the same run: `python -m benchmarks --help`."""
