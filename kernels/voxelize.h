// What the kernels of every instruction set share: plain data, and the table of functions that each level offers.
//
// The level files see this header under their own compiler flags, so it stays free of code: an inline function here
// could be compiled for AVX-512 and kept by the linker for every CPU.

#ifndef PG_TF_KERNELS_VOXELIZE_H_
#define PG_TF_KERNELS_VOXELIZE_H_

#include <stdint.h>

namespace pg_tf {

// The reach of one atom on one axis, in units that stay exact in float32 close to the atom. Edge j of the window lies
// t_j = (first + j - offset) * step  standard deviations from the atom.
template <typename T>
struct AxisWindow {
  int32_t begin;  // the first voxel that the atom reaches
  int32_t end;    // one past the last; end <= begin: the atom does not reach the grid
  T first;        // begin - round(u), an exact integer; u is the atom's position in voxels
  T offset;       // u - round(u): from the nearest edge, the one where its rounding matters most
  T step;         // voxel width / sigma
};

// Atoms of one molecule, seen from its grid.
template <typename T>
struct AtomList {
  int64_t size;
  const AxisWindow<T>* windows[3];  // per axis, [size]
  const T* weights;                 // [size, weight_stride]
  int64_t weight_stride;            // 1, or the number of channels for soft channels
};

// The atoms that reach the planes [x_begin, x_end), ready for the arithmetic: grouped by channel (soft channels: one
// group), ordered along x in each group. Group g holds the atoms [group_begin[g], group_begin[g + 1]) and owns the mask
// words [group_word[g], group_word[g + 1]); bit b of its word w stands for atom
// group_begin[g] + 64 * (w - group_word[g]) + b.
template <typename T>
struct Plan {
  AtomList<T> atoms;
  int64_t x_begin;
  int64_t x_end;
  int64_t num_words;
  const int32_t* group_begin;
  const int32_t* group_word;

  // Which atoms touch plane x - x_begin, tile row y / tile.rows, tile column z / tile.depth: [extent, num_words].
  const uint64_t* masks[3];

  // The one-dimensional factors P of the three axes: factors[d][offset[d][atom] + i] for voxel i, stored from the first to
  // the last tile that the atom touches. What lies outside its window there is negligible or zero.
  T* factors[3];
  int64_t pitch[3];  // between atoms
  const int64_t* offset[3];
  T* edges;  // scratch for the factors, [atoms.size, edge_pitch]
  int64_t edge_pitch;
};

enum class Storage : int32_t { kFloat32, kFloat64, kFloat16, kBfloat16 };

// A grid in memory: [num_channels, nx, ny, nz], or [nx, ny, nz, num_channels].
struct GridLayout {
  int64_t shape[3];
  int64_t num_channels;
  bool channels_last;
  Storage storage;
};

// The voxels that `forward` holds in registers at once: rows along y, depth along z, `lanes` of depth in one register.
struct TileShape {
  int32_t rows;
  int32_t depth;
  int32_t lanes;
};

// Values of scratch that `gradient` needs: kGradientArrays times (longest axis + kGradientPadding).
constexpr int64_t kGradientArrays = 9;
constexpr int64_t kGradientPadding = 2 * 16 + 1;

// Where the gradient of each atom of a list goes; null where it is not wanted.
template <typename T>
struct GradientArrays {
  T* coords;   // [size, 3], per voxel width of each axis
  T* weights;  // [size, weight_stride]
  T* sigma;    // [size, 3], per relative change of sigma on each axis
};

template <typename T>
struct KernelTable {
  TileShape tile;
  // Fills plan.factors.
  void (*factors)(const Plan<T>& plan);
  // Writes every voxel of the planes [x_begin, x_end); `grid` points at the molecule's first voxel. `stream` writes past
  // the caches.
  void (*forward)(const Plan<T>& plan, const GridLayout& layout, bool stream, void* grid);
  // The gradient of sum(upstream * grid) to every atom of the list. Atom a is of channel channels[a] (soft channels: of
  // all, unless channels[a] is negative). `scratch` as above.
  void (*gradient)(const AtomList<T>& atoms, const int32_t* channels, const GridLayout& layout, const void* upstream,
                   T* scratch, const GradientArrays<T>& gradients);
};

// One instruction set.
struct Level {
  const char* name;
  KernelTable<float> f32;
  KernelTable<double> f64;
};

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_VOXELIZE_H_
