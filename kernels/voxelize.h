// Voxelization on boxes: plain data, and the table of functions that each instruction set offers. Free of code, see
// level.h.

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
  T offset;       // u - round(u): the atom's distance from the nearest edge, where rounding matters most
  T step;         // voxel width / sigma
  T period;       // 0; or, if the atom reaches around a periodic axis, the axis's voxels: all images are to be summed
};

// Atoms of one molecule, seen from its grid. An atom whose window crosses a periodic face has an entry for each part.
template <typename T>
struct AtomList {
  int64_t size;
  const AxisWindow<T>* windows[3];  // per axis, [size]
  const int32_t* atoms;             // [size], the atom of each entry
  const T* weights;                 // [size, weight_stride]
  int64_t weight_stride;            // 1, or the number of channels for soft channels
};

// A block: the part of one channel that is summed up at once, small enough to stay in the first-level cache. Rows run
// the whole length of z; a block is either some rows of one plane or some whole planes, so its voxels are a run in
// memory.
struct BlockShape {
  int64_t planes;
  int64_t rows;   // of each plane
  int64_t pitch;  // values from row to row in the scratch: z in whole vectors
};

// `forward` sorts the atoms of a block by the number of vectors in their windows along z: 1, 2, 3, or more.
constexpr int kVectorClasses = 4;

// The atoms that reach the planes [x_begin, x_end), ready for the arithmetic: grouped by channel (soft channels: one
// group), ordered along x in each group. Group g holds the atoms [group_begin[g], group_begin[g + 1]).
template <typename T>
struct Plan {
  AtomList<T> atoms;  // the windows along z are whole vectors
  int64_t x_begin;
  int64_t x_end;
  const int32_t* group_begin;
  int64_t widest_x;  // window along x

  // The one-dimensional factors P of the three axes: factors[d][a * pitch[d] + i] for voxel windows[d][a].begin + i.
  T* factors[3];
  int64_t pitch[3];
  T* edges;  // scratch for the factors, [atoms.size, edge_pitch]
  int64_t edge_pitch;

  BlockShape block;
  T* sum;         // scratch for a block; with channels innermost, for one of each channel
  T* run;         // scratch for two blocks
  T** sums;       // scratch, a pointer for each channel, their number rounded up to a multiple of eight
  void* packed;   // scratch for a block as it is stored, and eight values more
  int32_t* list;  // scratch for the atoms of a block, [kVectorClasses, atoms.size]
};

enum class Storage : int32_t { kFloat32, kFloat64, kFloat16, kBfloat16 };

// A grid in memory: [num_channels, nx, ny, nz], or [nx, ny, nz, num_channels].
struct GridLayout {
  int64_t shape[3];
  int64_t num_channels;
  bool channels_last;
  Storage storage;
};

// Values of scratch that `gradient` needs: kGradientArrays times (longest axis + kGradientPadding).
constexpr int64_t kGradientArrays = 12;
constexpr int64_t kGradientPadding = 2 * 16 + 1;

// Where the gradient of each atom goes; null where it is not wanted.
template <typename T>
struct GradientArrays {
  double* coords;  // [atoms, 3], per voxel width of each axis
  T* weights;      // [atoms, weight_stride]
  T* sigma;        // [atoms, 3], per relative change of sigma on each axis
};

template <typename T>
struct KernelTable {
  int64_t lanes;  // values in a vector
  // Fills plan.factors.
  void (*factors)(const Plan<T>& plan);
  // Writes every voxel of the planes [x_begin, x_end); `grid` points at the molecule's first voxel. `stream` writes
  // past the caches.
  void (*forward)(const Plan<T>& plan, const GridLayout& layout, bool stream, void* grid);
  // The gradient of sum(upstream * grid) to every atom of the list, which begins with an entry for each atom in order.
  // Atom a is of channel channels[a] (soft channels: of all, unless channels[a] is negative). `scratch` as above.
  void (*gradient)(const AtomList<T>& atoms, const int32_t* channels, const GridLayout& layout, const void* upstream,
                   T* scratch, const GradientArrays<T>& gradients);
};

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_VOXELIZE_H_
