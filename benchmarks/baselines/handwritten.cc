// Plain C++ voxelizers to measure the kernel against: what one would write first, and with each idea of the
// ParticleGrid paper added. Compiled twice: with the scalar erf of the C library, and (VECTOR_ERF) with one that the
// compiler can vectorise.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace {

#if defined(VECTOR_ERF)
// Rational approximation over [-4, 4], as in Eigen's perf; absolute error below 1e-6.
inline float Erf(float t) {
  t = t < -4.0f ? -4.0f : t;
  t = t > 4.0f ? 4.0f : t;
  const float s = t * t;
  float p = -2.72614225801306e-10f;
  p = p * s + 2.77068142495902e-08f;
  p = p * s - 2.10102402082508e-06f;
  p = p * s - 5.69250639462346e-05f;
  p = p * s - 7.34990630326855e-04f;
  p = p * s - 2.95459980854025e-03f;
  p = p * s - 1.60960333262415e-02f;
  float q = -1.45660718464996e-05f;
  q = q * s - 2.13374055278905e-04f;
  q = q * s - 1.68282697438203e-03f;
  q = q * s - 7.37332916720468e-03f;
  q = q * s - 1.42647390514189e-02f;
  return t * p / q;
}
#else
inline float Erf(float t) { return std::erf(t); }
#endif

// One atom on one axis.
struct Axis {
  float distance;  // of the lower face of the box from the atom, in units of sqrt2 sigma
  float step;      // a voxel, in the same unit
  int begin, end;  // the voxels within reach

  // Equation 2 of the paper: the part of the Gaussian in voxel i.
  float Part(int i) const { return 0.5f * (Erf(distance + (i + 1) * step) - Erf(distance + i * step)); }
};

// What lies further out is below the resolution of float32: exp(-r^2 / 2) < 2^-24.
constexpr float kReach = 5.77f;

void Prepare(const float* atom, float sigma, const float* origin, float length, int n, bool whole_grid, Axis* axes) {
  const float voxel = length / n, scale = 0.70710678f / sigma;
  for (int d = 0; d < 3; ++d) {
    const float position = (atom[d] - origin[d]) / voxel, reach = kReach * sigma / voxel;
    const float low = std::floor(position - reach), high = std::ceil(position + reach);
    axes[d].distance = (origin[d] - atom[d]) * scale;
    axes[d].step = voxel * scale;
    axes[d].begin = whole_grid ? 0 : std::clamp(static_cast<int>(low), 0, n);
    axes[d].end = whole_grid ? n : std::clamp(static_cast<int>(high), 0, n);
  }
}

// Equation 1 in nested loops, each factor where it changes.
void AddAtoms(const float* coords, int64_t atoms, float sigma, const float* origin, float length, int n,
              bool whole_grid, float* grid) {
  std::fill(grid, grid + static_cast<int64_t>(n) * n * n, 0.0f);
  for (int64_t a = 0; a < atoms; ++a) {
    Axis axes[3];
    Prepare(coords + 3 * a, sigma, origin, length, n, whole_grid, axes);
    for (int i = axes[0].begin; i < axes[0].end; ++i) {
      const float x = axes[0].Part(i);
      for (int j = axes[1].begin; j < axes[1].end; ++j) {
        const float xy = x * axes[1].Part(j);
        float* row = grid + (static_cast<int64_t>(i) * n + j) * n;
        const Axis z = axes[2];
        for (int k = z.begin; k < z.end; ++k) row[k] += xy * z.Part(k);
      }
    }
  }
}

}  // namespace

// All of them write one molecule of `atoms` atoms at `coords` [atoms, 3] to `grid` [n, n, n], a cube of edge `length`.
extern "C" {

void dense(const float* coords, int64_t atoms, float sigma, const float* origin, float length, int n, float* grid) {
  AddAtoms(coords, atoms, sigma, origin, length, n, true, grid);
}

void sparse(const float* coords, int64_t atoms, float sigma, const float* origin, float length, int n, float* grid) {
  AddAtoms(coords, atoms, sigma, origin, length, n, false, grid);
}

// The factors of the three axes once for each atom, then their outer product.
void separable(const float* coords, int64_t atoms, float sigma, const float* origin, float length, int n, float* grid) {
  std::fill(grid, grid + static_cast<int64_t>(n) * n * n, 0.0f);
  std::vector<float> parts(3 * n);
  for (int64_t a = 0; a < atoms; ++a) {
    Axis axes[3];
    Prepare(coords + 3 * a, sigma, origin, length, n, false, axes);
    for (int d = 0; d < 3; ++d) {
      for (int i = axes[d].begin; i < axes[d].end; ++i) parts[d * n + i] = axes[d].Part(i);
    }
    for (int i = axes[0].begin; i < axes[0].end; ++i) {
      for (int j = axes[1].begin; j < axes[1].end; ++j) {
        const float xy = parts[i] * parts[n + j];
        const float* z = parts.data() + 2 * n;
        float* row = grid + (static_cast<int64_t>(i) * n + j) * n;
        for (int k = axes[2].begin; k < axes[2].end; ++k) row[k] += xy * z[k];
      }
    }
  }
}

}  // extern "C"
