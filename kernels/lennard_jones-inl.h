// The energy of probes among neighbouring atoms, and the gradient of a sum over probes to one of the atoms.

namespace pg_tf {
namespace PG_TF_LEVEL {

// Vectors of probes that are worked on at once.
constexpr int kProbeVectors = 2;

// Neighbours that are summed in registers before the sum is added to a total: in one long sum of thousands of small
// terms float32 would lose digits.
constexpr int64_t kNeighborRun = 256;

template <typename T>
PG_TF_INLINE Vec<T> Broadcast(T value) {
  return Vec<T>{} + value;
}

// The squared distance below which the energy stays what it is there.
template <typename T>
PG_TF_INLINE Vec<T> Closest(T sigma_squared) {
  return Broadcast(sigma_squared * static_cast<T>(kClosestSquared) + static_cast<T>(kClosestAddend));
}

template <typename T, bool kGradient>
PG_TF_INLINE void TileEnergy(const NeighborList<T>& list, const ProbeTile<T>& tile) {
  constexpr int kLanes = Simd<T>::kLanes;
  const Vec<T> cutoff_squared = Broadcast(list.cutoff_squared), max_energy = Broadcast(list.max_energy);
  for (int64_t start = 0; start < tile.size; start += kProbeVectors * kLanes) {
    Vec<T> place[kProbeVectors][3], total[kProbeVectors] = {}, total_gradient[kProbeVectors][3] = {};
    for (int v = 0; v < kProbeVectors; ++v) {
      for (int d = 0; d < 3; ++d) place[v][d] = Load(tile.place[d] + start + v * kLanes);
    }
    for (int64_t run = 0; run < list.size; run += kNeighborRun) {
      const int64_t end = run + kNeighborRun < list.size ? run + kNeighborRun : list.size;
      Vec<T> sum[kProbeVectors] = {}, sum_gradient[kProbeVectors][3] = {};
      for (int64_t n = run; n < end; ++n) {
        const Neighbor<T>& neighbor = list.neighbors[n];
        const Vec<T> closest = Closest(neighbor.sigma_squared);
        for (int v = 0; v < kProbeVectors; ++v) {
          const Vec<T> x = place[v][0] - neighbor.place[0];
          const Vec<T> y = place[v][1] - neighbor.place[1];
          const Vec<T> z = place[v][2] - neighbor.place[2];
          Vec<T> r_squared = x * x + y * y + z * z;
          const auto inside = r_squared < cutoff_squared;
          r_squared = r_squared < closest ? closest : r_squared;
          const Vec<T> inverse = static_cast<T>(1) / r_squared;
          const Vec<T> s2 = inverse * neighbor.sigma_squared;
          const Vec<T> s6 = s2 * s2 * s2;
          const Vec<T> energy = ((s6 - static_cast<T>(1)) * s6 - neighbor.shift) * neighbor.four_epsilon;
          sum[v] += inside ? energy : Vec<T>{};
          if (kGradient) {
            Vec<T> slope = (static_cast<T>(6) - s6 * static_cast<T>(12)) * s6 * inverse * neighbor.four_epsilon;
            slope = inside ? slope : Vec<T>{};
            sum_gradient[v][0] += slope * x;
            sum_gradient[v][1] += slope * y;
            sum_gradient[v][2] += slope * z;
          }
        }
      }
      for (int v = 0; v < kProbeVectors; ++v) {
        total[v] += sum[v];
        for (int d = 0; kGradient && d < 3; ++d) total_gradient[v][d] += sum_gradient[v][d];
      }
    }
    for (int v = 0; v < kProbeVectors; ++v) {
      // If the energy overflowed, only its sign is used.
      const auto above = total[v] >= max_energy, below = total[v] <= -max_energy;
      Store(tile.energy + start + v * kLanes, above ? max_energy : below ? -max_energy : total[v]);
      for (int d = 0; kGradient && d < 3; ++d) {
        Store(tile.gradient[d] + start + v * kLanes, (above | below) ? Vec<T>{} : total_gradient[v][d]);
      }
    }
  }
}

template <typename T>
void LennardJonesEnergy(const NeighborList<T>& list, const ProbeTile<T>& tile) {
  if (tile.gradient[0] != nullptr) {
    TileEnergy<T, true>(list, tile);
  } else {
    TileEnergy<T, false>(list, tile);
  }
}

// Sums over the lanes by halves: rows are short, so the rounding of this last sum counts.
template <typename T>
PG_TF_INLINE T TreeSum(Vec<T> value) {
  T lanes[Simd<T>::kLanes];
  Store(lanes, value);
  for (int half = Simd<T>::kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

// Sums over a row of probes. With q = 12 (sigma/r)^12 - 6 (sigma/r)^6, and k the number of the probe in the row:
struct RowSums {
  double pull[3];  // u q / r^2 k^m, m = 0, 1, 2
  double log_sigma;
  double epsilon;
};

// The row lies sqrt(across_squared) from the source, and probe 0 lies `along` from the point of the row closest to it.
// The sum is over the probes begin <= k < end; values of `upstream` up to `readable` may be read.
template <typename T>
PG_TF_INLINE RowSums SumRow(const Source<T>& source, const T* upstream, int64_t begin, int64_t end, int64_t readable,
                            T across_squared, T along, T spacing, T cutoff_squared) {
  constexpr int kLanes = Simd<T>::kLanes;
  const Vec<T> closest = Closest(source.sigma_squared);
  Vec<T> pull_0 = {}, pull_1 = {}, pull_2 = {}, log_sigma = {}, epsilon = {};
  const Vec<T> lanes = Iota<T>();
  for (int64_t k = begin; k < end; k += kLanes) {
    const Vec<T> number = lanes + static_cast<T>(k);
    Vec<T> u = {};
    if (k + kLanes <= readable) {
      u = Load(upstream + k);
      u = number < Broadcast(static_cast<T>(end)) ? u : Vec<T>{};
    } else {
      for (int i = 0; i < end - k; ++i) u[i] = upstream[k + i];
    }
    const Vec<T> t = number * spacing + along;
    Vec<T> r_squared = t * t + across_squared;
    u = r_squared < Broadcast(cutoff_squared) ? u : Vec<T>{};
    r_squared = r_squared < closest ? closest : r_squared;
    const Vec<T> inverse = static_cast<T>(1) / r_squared;
    const Vec<T> s2 = inverse * source.sigma_squared;
    const Vec<T> s6 = s2 * s2 * s2;
    const Vec<T> q = (s6 * static_cast<T>(12) - static_cast<T>(6)) * s6;
    const Vec<T> pull = u * q * inverse;
    pull_0 += pull;
    pull_1 += pull * number;
    pull_2 += pull * number * number;
    log_sigma += u * (q - source.sigma_shift);
    epsilon += u * ((s6 - static_cast<T>(1)) * s6 - source.shift);
  }
  return {{TreeSum<T>(pull_0), TreeSum<T>(pull_1), TreeSum<T>(pull_2)}, TreeSum<T>(log_sigma), TreeSum<T>(epsilon)};
}

// The whole numbers i of [0, extent) with |offset + i spacing| <= reach.
struct Span {
  int64_t begin, end;
};

PG_TF_INLINE Span Within(double reach, double offset, double per_spacing, int64_t extent) {
  const double low = ::ceil((-reach - offset) * per_spacing), high = ::floor((reach - offset) * per_spacing) + 1;
  const double limit = static_cast<double>(extent);
  return {static_cast<int64_t>(low < 0       ? 0
                               : low > limit ? limit
                                             : low),
          static_cast<int64_t>(high < 0       ? 0
                               : high > limit ? limit
                                              : high)};
}

PG_TF_INLINE double Dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Row by row through the sphere. Within a row only the distance along it changes, and it is counted from the probe
// nearest to the source, where rounding matters most.
template <typename T>
void LennardJonesSourceGradient(const ProbeGrid& grid, const Source<T>& source, double cutoff, const T* upstream,
                                SourceSums* sums) {
  const int64_t nx = grid.shape[0], ny = grid.shape[1], nz = grid.shape[2];
  double first[3], corner[3], step[3][3];  // `corner` and `step` by their components in the frame
  for (int d = 0; d < 3; ++d) first[d] = grid.first[d] - source.place[d];
  for (int e = 0; e < 3; ++e) {
    corner[e] = Dot(first, grid.frame[e]);
    for (int d = 0; d < 3; ++d) step[d][e] = Dot(grid.step[d], grid.frame[e]);
  }
  const double reach_squared = cutoff * cutoff;
  const double per_step[3] = {1 / step[0][0], 1 / step[1][1], 1 / step[2][2]};
  const double per_extent[3] = {1.0 / nx, 1.0 / ny, 1.0 / nz};
  const Span xs = Within(cutoff, corner[0], per_step[0], nx);
  for (int64_t i = xs.begin; i < xs.end; ++i) {
    const double x = corner[0] + i * step[0][0];
    const double left_x = reach_squared - x * x;
    const double y_start = corner[1] + i * step[0][1];
    const Span ys = Within(::sqrt(left_x > 0 ? left_x : 0), y_start, per_step[1], ny);
    for (int64_t j = ys.begin; j < ys.end; ++j) {
      const double y = y_start + j * step[1][1];
      const double left_y = left_x - y * y;
      const double z_start = corner[2] + i * step[0][2] + j * step[1][2];
      const Span zs = Within(::sqrt(left_y > 0 ? left_y : 0), z_start, per_step[2], nz);
      if (zs.begin >= zs.end) continue;
      int64_t nearest = static_cast<int64_t>(::floor(0.5 - z_start * per_step[2]));
      nearest = nearest < zs.begin ? zs.begin : nearest >= zs.end ? zs.end - 1 : nearest;
      const int64_t voxel = (i * ny + j) * nz + nearest;
      const RowSums row =
          SumRow<T>(source, upstream + voxel, zs.begin - nearest, zs.end - nearest, nx * ny * nz - voxel,
                    static_cast<T>(x * x + y * y), static_cast<T>(z_start + nearest * step[2][2]),
                    static_cast<T>(step[2][2]), static_cast<T>(reach_squared));
      for (int d = 0; d < 3; ++d) {
        const double at_nearest = first[d] + i * grid.step[0][d] + j * grid.step[1][d] + nearest * grid.step[2][d];
        // dE/dprobe = -4 epsilon q / r^2 (probe - source)
        const double pull = -(at_nearest * row.pull[0] + grid.step[2][d] * row.pull[1]);
        const double moment = -(at_nearest * row.pull[1] + grid.step[2][d] * row.pull[2]);
        sums->place[d] += pull;
        sums->edges[0][d] += (i + 0.5) * per_extent[0] * pull;
        sums->edges[1][d] += (j + 0.5) * per_extent[1] * pull;
        sums->edges[2][d] += ((nearest + 0.5) * pull + moment) * per_extent[2];
      }
      sums->log_sigma += row.log_sigma;
      sums->epsilon += row.epsilon;
    }
  }
}

}  // namespace PG_TF_LEVEL
}  // namespace pg_tf
