"""Grids back to atoms (ParticleGrid paper, section IV): `grid_to_coords`, and below the way of a grid through it.

In the words of this package, a *grid* is one channel of one molecule, and a batch is so many grids, solved together.

1. `invert.py` has `grid_to_coords`. It checks the arguments (`arguments.py`) and turns them into a `Problem` of `K`
   grids (`problem.py`) and `Atoms` to start from (`atoms.py`). `frame.py` turns the caller's box or cell into a `Space`
   with a corner at the origin. The two kinds of space, with edges at right angles or not, are `orthogonal.py` and
   `oblique.py`; what they have in common is in `space.py`.
2. `strategy.py` does the search: seed, descend, judge, repair. The next steps are its parts.
3. The *noise* of a grid is the standard deviation of white noise in its voxels. `noise.py` estimates it before any atom
   is known; in a crystal from its shortest plane waves (`waves.py`).
4. *Seeds* are first guesses at the atoms. `sharpen.py` narrows the Gaussians, so that merged atoms show as peaks of
   their own (`sharpen_orthogonal.py`, `sharpen_oblique.py`). `peaks.py` finds peaks by persistent homology, and
   `seeds.py` puts atoms at the best of them: as many as the mass of the grid tells, if it tells.
5. The *descent* moves all atoms at once to lower the *loss*, the sum of the squared *residual* (the grid less that of
   the atoms). `least_squares.py` does it by Levenberg and Marquardt's method. The matrix that it needs, J^T J, is made
   of inner products of the Jacobian's columns (`columns.py`), which are products of one factor along each axis in
   orthogonal spaces (`factors.py`). With a Keras optimizer, `gradient_descent.py` does as the paper did.
6. A grid is *explained* if nothing is left of it but rounding or white noise; `noise.py` has the test.
7. Grids that are not have noise of another kind, or seeds that went astray. `noisy.py` searches those with a model of
   the noise, in which the variance of a voxel depends on its value (`likelihood.py`): seeds from grids sharpened as
   much as their shortest waves allow, a descent that trusts each voxel by its variance, and repair by likelihood.
8. *Repair* (`repair.py`) is for what is left. `proposals.py` names atoms to drop and places to fill, from each atom's
   *support*: by how much the loss would grow without it (`confidence.py`). Each proposal gets a descent of its own. It
   is kept if it is better, and an additional atom must lower the loss by a *price* that depends on the noise.
9. `invert.py` collects what was found, with the *uncertainty* of each atom (`confidence.py`), into an `Inversion`
   (`result.py`), in the caller's frame. `export.py` writes it as XYZ, RDKit molecules or structures.

Two more use the same parts. `differentiable.py` moves known atoms to the optimum and gives that a gradient
(`pg_tf.implicit`). `decoding.py` finds atoms and their elements in grids of feature vectors (`pg_tf.embedding`).
"""

from pg_tf.inversion.export import to_rdkit, to_structure, to_xyz
from pg_tf.inversion.invert import grid_to_coords
from pg_tf.inversion.likelihood import Noise
from pg_tf.inversion.result import Inversion

__all__ = ["Inversion", "Noise", "grid_to_coords", "to_rdkit", "to_structure", "to_xyz"]
