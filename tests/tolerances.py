"""How far results may lie from the truth, each number with its reason. All tests of grids and gradients use these."""

# What pg_tf promises for float32 grids with sigma from 0.05 to 10 voxel widths, of the largest voxel, against the
# float64 truth at the same inputs. Measured: 8e-7 at most.
FLOAT32_GRID = 2e-6

# The promise for float64 grids. Differences of erf lose the digits that a voxel narrower than sigma takes: 1e-13 at 10.
FLOAT64_GRID = 1e-12

# Half precision is float32 rounded once: half a unit in the last place, relative, ...
FLOAT16_ROUNDING = 2.0**-11
BFLOAT16_ROUNDING = 2.0**-8
# ... and absolute where float16 is subnormal.
FLOAT16_SMALLEST = 2.0**-25

# Sums over many float32 voxels: what one voxel may be off, and the part of a Gaussian outside of the atom's window.
FLOAT32_MASS = 2e-6
FLOAT64_MASS = 1e-12

# Analytic gradients against analytic truth, of the largest entry. A gradient sums terms of both signs, so some digits
# go.
FLOAT32_GRADIENT = 5e-6
FLOAT64_GRADIENT = 1e-11

# Against central differences in float64 with a step of 1e-4: they are off by the third derivative times 1e-9, and by
# rounding, 1e-12 / 1e-4.
NUMERIC_GRADIENT = 1e-6

# The same number by two ways in float64, where neither is exact: rounding over some thousand terms.
FLOAT64_SAME = 1e-11

# Rotations in float32, of coordinates of about 10 Å: a few units in the last place, in Å.
FLOAT32_ROTATION = 5e-6


# Grids of oblique voxels, of the largest voxel: what `pg_tf.voxelize` promises. Measured: 7e-7 in float32 (a
# quadrature error of 2e-7 along each of two edges), 1e-13 in float64.
FLOAT32_CELL = 2e-6
FLOAT64_CELL = 1e-12

# The golden grids of cells were made by quadrature: they are 5e-10 off themselves.
GOLDEN_CELL = 1e-8

GRID = {"float32": FLOAT32_GRID, "float64": FLOAT64_GRID}
CELL = {"float32": FLOAT32_CELL, "float64": FLOAT64_CELL}
GRADIENT = {"float32": FLOAT32_GRADIENT, "float64": FLOAT64_GRADIENT}
MASS = {"float32": FLOAT32_MASS, "float64": FLOAT64_MASS}

# Coordinates from an inverted float32 grid, Å: the rounding of float32 coordinates of some 10 Å, and that of the grid
# times a condition of some tens where atoms overlap. Measured: 3e-7.
INVERSION = 1e-5

# Lennard-Jones energies, of each energy itself or of 100 K where it is smaller: the sum of much larger terms of both
# signs.
# float32: (sigma / r)^12 multiplies the rounding of r by 12. Measured: 6e-6 with any energy up to 1e9 K, 6e-13.
ENERGY = {"float32": 1e-5, "float64": 1e-11}
