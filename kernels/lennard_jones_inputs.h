// What PgTf>LennardJones and its gradient share: their checked inputs, and how they run.

#ifndef PG_TF_KERNELS_LENNARD_JONES_INPUTS_H_
#define PG_TF_KERNELS_LENNARD_JONES_INPUTS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "kernels/dispatch.h"
#include "kernels/lennard_jones_neighbors.h"
#include "kernels/parallel.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace pg_tf {

// CPU cycles of a pair; an estimate by which TensorFlow splits the work.
constexpr double kCyclesPerPair = 1.5;

// Rows for one or for each molecule, [1 or B, ...].
struct PerMolecule {
  const double* data = nullptr;
  int64_t stride = 0;
  const double* operator()(int64_t b) const { return data + b * stride; }
};

// The inputs 0 to 7 of both ops, once they have been checked.
class Structures {
 public:
  absl::Status Init(tensorflow::OpKernelContext* ctx, const int64_t grid_shape[3], const bool periodic[3]);

  int64_t batch_size() const { return batch_size_; }
  int64_t num_atoms() const { return all_.size; }
  int64_t begin(int64_t b) const { return splits_[b]; }
  int64_t end(int64_t b) const { return splits_[b + 1]; }
  double cutoff() const { return cutoff_; }

  const LennardJonesAtoms& atoms() const { return all_; }
  LennardJonesAtoms atoms(int64_t b) const;
  ProbeGrid grid(int64_t b) const;
  ImageSearch search(int64_t b) const;

 private:
  absl::Status InitAtoms(tensorflow::OpKernelContext* ctx);
  absl::Status InitGeometry(tensorflow::OpKernelContext* ctx);
  absl::Status Rows(const char* name, const tensorflow::Tensor& tensor, const std::vector<int64_t>& inner,
                    PerMolecule* rows) const;
  absl::Status CheckVolume(const char* name, const PerMolecule& vectors) const;
  bool any_periodic() const { return periodic_[0] || periodic_[1] || periodic_[2]; }

  LennardJonesAtoms all_;
  const int64_t* splits_;
  int64_t batch_size_, shape_[3];
  double cutoff_;
  bool periodic_[3];
  PerMolecule origin_, edges_, cell_;
};

// What both ops say where memory runs out.
constexpr char kNoMemoryForImages[] = "cutoff: no memory for the images within it";

}  // namespace pg_tf

#endif  // PG_TF_KERNELS_LENNARD_JONES_INPUTS_H_
