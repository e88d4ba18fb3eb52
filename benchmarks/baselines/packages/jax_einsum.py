"""The three 1-D factors and their contraction in JAX, jitted, a padded batch a call, one thread."""

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.remote import Prepared


def prepare(task: dict[str, Any]) -> Prepared:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # XLA takes one thread a core
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    from jax import numpy as jnp
    from jax.scipy.special import erf

    data = np.load(task["workload"])
    count, sigma = task["molecules"], task["sigma"]
    atoms = np.diff(data["offsets"][: count + 1])
    coords = np.zeros((count, atoms.max(), 3), np.float32)
    weights = np.zeros((count, atoms.max()), np.float32)
    for b in range(count):
        coords[b, : atoms[b]] = data["pos"][data["offsets"][b] : data["offsets"][b + 1]] - data["origin"][b]
        weights[b, : atoms[b]] = 1

    def grids(coords: Any, weights: Any, edges: Any, extent: int) -> Any:
        faces = edges[:, None] * jnp.arange(extent + 1) / extent
        scaled = (faces[:, None, None, :] - coords[..., None]) / (np.sqrt(2) * sigma)
        parts = jnp.diff(erf(scaled), axis=-1) / 2
        x, y, z = parts[:, :, 0] * weights[..., None], parts[:, :, 1], parts[:, :, 2]
        return jnp.einsum("bax,bay,baz->bxyz", x, y, z)

    jitted = jax.jit(grids, static_argnums=3)
    arguments = [jnp.asarray(coords), jnp.asarray(weights), jnp.asarray(data["edges"][:count])]

    def run(extent: int) -> None:
        jitted(*arguments, extent).block_until_ready()

    runs: dict[str, Callable[[], object]] = {str(extent): functools.partial(run, extent) for extent in task["extents"]}
    np.save(task["grid"], np.asarray(jitted(*arguments, task["extents"][0])[0]))
    return runs, {"version": jax.__version__}
