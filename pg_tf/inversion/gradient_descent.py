"""The paper's own optimisation: first-order descent through the op (ParticleGrid paper, Eq. 7-16)."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from pg_tf.inversion.atoms import Atoms
from pg_tf.inversion.least_squares import Fit
from pg_tf.inversion.problem import Problem


def descend(
    problem: Problem, start: Atoms, optimizer: keras.optimizers.Optimizer, *, max_steps: int, epsilon: float
) -> Fit:
    """Minimises sum (G - G')^2 / sum G^2 over all coordinates, all grids at once.

    Ends when every grid is at epsilon, or after max_steps.
    """
    coords = tf.Variable(start.coords, dtype=tf.float64)
    energy = np.maximum(np.einsum("kxyz,kxyz->k", problem.grids, problem.grids), np.finfo(np.float64).tiny)
    target, scale = tf.constant(problem.grids), tf.constant(start.scale)
    step = 0
    while True:
        with tf.GradientTape() as tape:
            model = problem.model(start, coords, tf.constant(start.sigma), scale)
            losses = tf.reduce_sum((target - model) ** 2, axis=[1, 2, 3]) / energy
            loss = tf.reduce_sum(losses)
        if step == max_steps or bool(tf.reduce_all(losses <= epsilon)):
            break
        optimizer.apply_gradients([(tape.gradient(loss, coords), coords)])
        step += 1
    atoms = dataclasses.replace(start, coords=coords.numpy())
    return Fit(atoms, losses.numpy() * energy, np.full(len(energy), step))
