// Limits that the compiled ops share with their counterparts in Python. pg_tf/_limits.py holds the same numbers under
// the same names (kLeastVolume is LEAST_VOLUME there), and tests/test_limits.py compares the two files.

#ifndef PG_TF_KERNELS_LIMITS_H_
#define PG_TF_KERNELS_LIMITS_H_

namespace pg_tf {

// How far a Gaussian reaches, in sigma: where exp(-r^2 / 2) falls below 2^-24 and 2^-53, the resolutions of the types.
constexpr double kReachFloat32 = 5.77;
constexpr double kReachFloat64 = 8.58;
template <typename T>
constexpr double kDerivativeReach = sizeof(T) == 4 ? kReachFloat32 : kReachFloat64;

// The sum over the periodic images of a Gaussian wider than this many periods is constant to float64: its first Fourier
// component is 2 exp(-2 pi^2 1.4^2) = 3e-17 (Poisson's summation formula). Of an oblique lattice the longest of any
// three vectors that span it counts: no vector of the reciprocal lattice is shorter than 2 pi over its length.
constexpr double kWidestPeriods = 1.4;

// The least volume of a cell with a density grid, relative to the product of its edges: below it, rounding decides
// where the voxels are.
constexpr double kLeastVolume = 1e-3;

// The least sigma in an oblique cell, relative to the longest edge of a voxel, that the ops promise to accept: the
// quadrature over a voxel takes at most 32 nodes along an edge.
constexpr double kLeastSigma = 1.0 / 12;

// The same relative volume for a cell or a box with an energy grid: below it, a reciprocal lattice has no digits left.
constexpr double kLeastEnergyVolume = 1e-8;

// The squared distance of probe and atom, relative to sigma^2, below which the Lennard-Jones energy stays what it is
// there: some 1e24 epsilon, so that the derivatives are finite in float32. The second is added to it, Å^2, for atoms
// whose sigma is 0.
constexpr double kClosestSquared = 1e-4;
constexpr double kClosestAddend = 1e-12;

// The largest bound on an energy, K: with kClosestSquared, no derivative below it overflows float32.
constexpr double kLargestEnergy = 1e24;

// The largest coordinate, Å, of energy grids: beyond, too few digits are left for a distance.
constexpr double kLargestCoordinate = 1e9;

// The largest sigma (Å), epsilon (K) and cutoff (Å) of energy grids.
constexpr double kLargestParameter = 1e6;

// The most images of all atoms of a batch that an energy grid may need: some 2 GiB.
constexpr double kMostImages = 2e7;

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_LIMITS_H_
