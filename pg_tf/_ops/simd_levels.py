"""PgTf>SimdLevels: the instruction sets of this CPU."""

from pg_tf import _library

_ops = _library.load()


def simd_levels() -> tuple[list[str], str]:
    """The instruction sets that the compiled kernels can use on this CPU, slowest first, and the one in use.

    The environment variable PG_TF_SIMD names another one to use; it is read once, at the first grid.
    """
    supported, active = _ops.pg_tf_simd_levels()
    return [level.decode() for level in supported.numpy()], active.numpy().decode()
