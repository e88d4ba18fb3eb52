// What PgTf>VoxelizeCell and its gradient share: their checked inputs.

#ifndef PG_TF_KERNELS_VOXELIZE_CELL_INPUTS_H_
#define PG_TF_KERNELS_VOXELIZE_CELL_INPUTS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/voxelize_cell_lattice.h"
#include "kernels/voxelize_inputs.h"

namespace pg_tf {

// The molecules of a batch with their lattices.
template <typename T>
class Crystals : public Molecules<T> {
 public:
  // Checks the inputs. Where `always` is false, right-angled lattices need no quadrature, and sigma may be as narrow as
  // the caller likes there.
  absl::Status Init(tensorflow::OpKernelContext* ctx, const GridSpec& spec, const bool periodic[3], bool always);

  // Whether the vectors of molecule b are at right angles, so that the kernels for boxes serve it.
  bool orthogonal(int64_t b) const { return orthogonal_[lattice(b)]; }
  const CellGrid& grid(int64_t b) const { return grids_[lattice(b)]; }
  const CellAtom& atom(int64_t a) const { return atoms_[a]; }
  int64_t longest_column() const { return longest_; }
  double voxels_per_atom() const { return touched_ / std::max<int64_t>(this->num_atoms(), 1); }

  // The atoms [begin, end) of molecule b, and its box, in the axes of its right-angled cell.
  Molecule<T> aligned(int64_t b, int64_t begin, int64_t end, std::vector<double>* coords) const;
  Box box(int64_t b) const;

  // The weights of an atom for its channels.
  const T* weights(int64_t a) const { return this->atoms(a, a + 1).weights; }

 private:
  int64_t lattice(int64_t b) const { return grids_.size() == 1 ? 0 : b; }
  absl::Status InitLattices(const tensorflow::Tensor& cell, const GridSpec& spec, const bool periodic[3]);
  absl::Status InitAtoms(const tensorflow::Tensor& row_splits, bool always);

  std::vector<CellGrid> grids_;
  std::vector<bool> orthogonal_;
  std::vector<CellAtom> atoms_;
  int64_t longest_ = 0;
  double touched_ = 0, terms_ = 0;
};

extern template class Crystals<float>;
extern template class Crystals<double>;

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_VOXELIZE_CELL_INPUTS_H_
