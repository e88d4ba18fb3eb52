// The one-dimensional factors: how much of an atom's Gaussian lies in each voxel of one axis, and its derivatives.

namespace pg_tf {
namespace PG_TF_LEVEL {

// Where a voxel is no wider than sigma, the difference of two erf would lose digits. There the factor is the density at
// the voxel's centre times the series of its average over the voxel,
//   P = step phi(t) [1 + sum_k step^(2k) He_2k(t) / (4^k (2k + 1)!)],   t at the centre,
// the Taylor series of phi integrated term by term (He: probabilists' Hermite polynomials). Four terms are good to 3e-8
// of the peak for step <= 1. Below, the same as a polynomial in t^2.
struct CentreSeries {
  float c0, c1, c2, c3, c4;

  PG_TF_INLINE explicit CentreSeries(float step) {
    const float h = step * step;
    const float a1 = h / 24.0f, a2 = h * h / 1920.0f, a3 = h * h * h / 322560.0f, a4 = h * h * h * h / 92897280.0f;
    c0 = 1.0f - a1 + 3.0f * a2 - 15.0f * a3 + 105.0f * a4;
    c1 = a1 - 6.0f * a2 + 45.0f * a3 - 420.0f * a4;
    c2 = a2 - 15.0f * a3 + 210.0f * a4;
    c3 = a3 - 28.0f * a4;
    c4 = a4;
  }

  PG_TF_INLINE Vec<float> operator()(Vec<float> t, float step) const {
    const Vec<float> s = t * t;
    Vec<float> series = s * c4 + c3;
    series = series * s + c2;
    series = series * s + c1;
    series = series * s + c0;
    return series * Density(t) * step;
  }
};

PG_TF_INLINE bool UseCentreSeries(float step) { return step <= 1.0f; }
PG_TF_INLINE bool UseCentreSeries(double) { return false; }  // float64 has digits to spare

PG_TF_INLINE void CentreFactors(const AxisWindow<float>& window, int64_t count, float* factors) {
  const CentreSeries series(window.step);
  Vec<float> position = Iota<float>() + window.first + 0.5f;
  for (int64_t j = 0; j < count; j += Simd<float>::kLanes) {
    Store(factors + j, series((position - window.offset) * window.step, window.step));
    position += static_cast<float>(Simd<float>::kLanes);
  }
}
PG_TF_INLINE void CentreFactors(const AxisWindow<double>&, int64_t, double*) {}

// HalfErf at the edges 0 ... count of the window, rounded up to whole vectors, followed by its limit 1/2.
template <typename T>
PG_TF_INLINE void EdgeValues(const AxisWindow<T>& window, int64_t count, T* edges) {
  Vec<T> position = Iota<T>() + window.first;
  int64_t j = 0;
  for (; j <= count; j += Simd<T>::kLanes) {
    Store(edges + j, HalfErf((position - window.offset) * window.step));
    position += static_cast<T>(Simd<T>::kLanes);
  }
  edges[j] = static_cast<T>(0.5);
}

// Differences of neighbouring edges; rounding must not make a voxel negative.
template <typename T>
PG_TF_INLINE void EdgeDifferences(const T* edges, int64_t count, T* factors) {
  for (int64_t j = 0; j < count; j += Simd<T>::kLanes) {
    const Vec<T> difference = Load(edges + j + 1) - Load(edges + j);
    Store(factors + j, difference > Vec<T>{} ? difference : Vec<T>{});
  }
}

// Calls visit(image) for the window itself; if the atom reaches around a periodic axis, for those of all its images.
template <typename T, typename Visit>
PG_TF_INLINE void ForEachImage(const AxisWindow<T>& window, Visit visit) {
  AxisWindow<T> image = window;
  int beyond = 0;
  if (window.period > 0) beyond = static_cast<int>(kDerivativeReach<T> / (window.step * window.period)) + 1;
  for (int m = -beyond; m <= beyond; ++m) {
    image.first = window.first + static_cast<T>(m) * window.period;
    visit(image);
  }
}

// The factors of one atom, summed over its images; `edges` is scratch.
template <typename T>
void ImageFactors(const AxisWindow<T>& window, int64_t count, T* edges, T* factors) {
  for (int64_t j = 0; j < count; j += Simd<T>::kLanes) Store(factors + j, Vec<T>{});
  ForEachImage(window, [&](const AxisWindow<T>& image) __attribute__((always_inline)) {
    if (UseCentreSeries(image.step)) {
      CentreFactors(image, count, edges);
    } else {
      EdgeValues(image, count, edges);
      EdgeDifferences(edges, count, edges);
    }
    for (int64_t j = 0; j < count; j += Simd<T>::kLanes) Store(factors + j, Load(factors + j) + Load(edges + j));
  });
}

// All factors of a plan. The edges of all atoms first, then the differences: a load that overlaps two stores of a
// moment ago would have to wait for them.
template <typename T>
void Factors(const Plan<T>& plan) {
  for (int axis = 0; axis < 3; ++axis) {
    const AxisWindow<T>* windows = plan.atoms.windows[axis];
    T* const factors = plan.factors[axis];
    const int64_t pitch = plan.pitch[axis];
    for (int64_t a = 0; a < plan.atoms.size; ++a) {
      const int64_t count = windows[a].end - windows[a].begin;
      if (windows[a].period > 0) {
        ImageFactors(windows[a], count, plan.edges + a * plan.edge_pitch, factors + a * pitch);
      } else if (UseCentreSeries(windows[a].step)) {
        CentreFactors(windows[a], count, factors + a * pitch);
      } else {
        EdgeValues(windows[a], count, plan.edges + a * plan.edge_pitch);
      }
    }
    for (int64_t a = 0; a < plan.atoms.size; ++a) {
      if (UseCentreSeries(windows[a].step) || windows[a].period > 0) continue;
      EdgeDifferences(plan.edges + a * plan.edge_pitch, windows[a].end - windows[a].begin, factors + a * pitch);
    }
  }
}

// One atom's factors on one axis with their derivatives, for the `count` voxels of the window:
//   value P,  shift = sigma dP/dmu = phi(t_j) - phi(t_j+1),  spread = sigma dP/dsigma = t_j phi(t_j) - t_j+1 phi(t_j+1)
// (paper Eq. 15 with its sign corrected). Each array holds count + 1 values rounded up to whole vectors, and one more.
template <typename T>
struct AxisDerivatives {
  T* value;
  T* shift;
  T* spread;
};

template <typename T>
PG_TF_INLINE void ImageDerivatives(const AxisWindow<T>& window, int64_t count, const AxisDerivatives<T>& out) {
  Vec<T> position = Iota<T>() + window.first;
  int64_t end = 0;
  for (; end <= count; end += Simd<T>::kLanes) {
    const Vec<T> t = (position - window.offset) * window.step;
    const Vec<T> density = Density(t);
    Store(out.value + end, HalfErf(t));
    Store(out.shift + end, density);
    Store(out.spread + end, t * density);
    position += static_cast<T>(Simd<T>::kLanes);
  }
  out.value[end] = static_cast<T>(0.5);
  out.shift[end] = out.spread[end] = 0;
  for (int64_t j = 0; j < count; j += Simd<T>::kLanes) {
    Store(out.shift + j, Load(out.shift + j) - Load(out.shift + j + 1));
    Store(out.spread + j, Load(out.spread + j) - Load(out.spread + j + 1));
  }
  if (UseCentreSeries(window.step)) {
    CentreFactors(window, count, out.value);
  } else {
    EdgeDifferences(out.value, count, out.value);
  }
}

// The same summed over all images; `scratch` is as large as `out`.
template <typename T>
PG_TF_INLINE void Derivatives(const AxisWindow<T>& window, int64_t count, const AxisDerivatives<T>& out,
                              const AxisDerivatives<T>& scratch) {
  if (window.period == 0) return ImageDerivatives(window, count, out);
  T* const sums[3] = {out.value, out.shift, out.spread};
  T* const terms[3] = {scratch.value, scratch.shift, scratch.spread};
  for (T* sum : sums) {
    for (int64_t j = 0; j < count; j += Simd<T>::kLanes) Store(sum + j, Vec<T>{});
  }
  ForEachImage(window, [&](const AxisWindow<T>& image) __attribute__((always_inline)) {
    ImageDerivatives(image, count, scratch);
    for (int i = 0; i < 3; ++i) {
      for (int64_t j = 0; j < count; j += Simd<T>::kLanes) Store(sums[i] + j, Load(sums[i] + j) + Load(terms[i] + j));
    }
  });
}

}  // namespace PG_TF_LEVEL
}  // namespace pg_tf
