"""Limits that the compiled ops (`kernels/limits.h`) and their counterparts in Python share.

`tests/test_limits.py` holds the two files equal.
"""

REACH_FLOAT32 = 5.77
"""How far a Gaussian reaches, in sigma: beyond, exp(-r^2 / 2) is below 2^-24, the resolution of float32."""

REACH_FLOAT64 = 8.58
"""The same for float64, 2^-53."""

WIDEST_PERIODS = 1.4
"""The sum over the periodic images of a Gaussian wider than this many periods is constant to float64: its first Fourier
component is 2 exp(-2 pi^2 1.4^2) = 3e-17 (Poisson's summation formula)."""

LEAST_VOLUME = 1e-3
"""The least volume of a cell with a density grid, relative to the product of its edges: below it, rounding decides
where the voxels are."""

LEAST_SIGMA = 1 / 12
"""The least sigma in an oblique cell, relative to the longest edge of a voxel: the quadrature over a voxel takes no
more than 32 nodes along an edge."""

LEAST_ENERGY_VOLUME = 1e-8
"""The least volume of a cell or a box with an energy grid, relative to the product of its edges: below it, a reciprocal
lattice has no digits left."""

CLOSEST_SQUARED = 1e-4
"""The squared distance of probe and atom, relative to sigma^2, below which the Lennard-Jones energy stays what it is
there: some 1e24 epsilon, so that the derivatives are finite in float32."""

CLOSEST_ADDEND = 1e-12
"""Added to the squared distance above, Å^2, for atoms whose sigma is 0."""

LARGEST_ENERGY = 1e24
"""The largest bound on an energy, K: with `CLOSEST_SQUARED`, no derivative below it overflows float32."""

LARGEST_COORDINATE = 1e9
"""The largest coordinate of energy grids, Å: beyond, too few digits are left for a distance."""

LARGEST_PARAMETER = 1e6
"""The largest sigma (Å), epsilon (K) and cutoff (Å) of energy grids."""

MOST_IMAGES = 2e7
"""The most images of all atoms of a batch that an energy grid may need: some 2 GiB in the compiled op."""
