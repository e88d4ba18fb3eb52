// Atoms to grid, block by block: the atoms that reach a block are summed up in the first-level cache, and each voxel is
// written to the grid once.

namespace pg_tf {
namespace PG_TF_LEVEL {

// Calls visit(region) for each block of the plan's planes.
template <typename T, typename Visit>
PG_TF_INLINE void ForEachBlock(const Plan<T>& plan, int64_t ny, Visit visit) {
  for (int64_t x = plan.x_begin; x < plan.x_end; x += plan.block.planes) {
    for (int64_t y = 0; y < ny; y += plan.block.rows) {
      visit(Region{x, Min(x + plan.block.planes, plan.x_end), y, Min(y + plan.block.rows, ny)});
    }
  }
}

template <typename As, typename T>
PG_TF_INLINE void ForwardChannelsFirst(const Plan<T>& plan, const GridLayout& layout, bool stream,
                                       typename As::Stored* grid) {
  typedef typename As::Stored Stored;
  const int64_t nx = layout.shape[0], ny = layout.shape[1], nz = layout.shape[2], pitch = plan.block.pitch;
  const bool soft = plan.atoms.weight_stride > 1;
  const bool whole_rows = pitch == nz;
  if (whole_rows && stream) Clear(plan.block.planes * plan.block.rows * pitch, plan.sum);
  for (int64_t c = 0; c < layout.num_channels; ++c) {
    ForEachBlock(plan, ny, [&](const Region& region) __attribute__((always_inline)) {
      Stored* const out = grid + ((c * nx + region.x) * ny + region.y) * nz;
      const int64_t rows = region.rows(), column = soft ? c : 0;
      const Members members = Reaching(plan, soft ? 0 : c, region);
      if (members.total == 0) return WriteZeros(rows * nz, stream, out);
      if constexpr (sizeof(Stored) == sizeof(T)) {
        if (whole_rows && !stream) return SumBlock(plan, members, column, region, out);
      }
      SumBlock(plan, members, column, region, plan.sum, !(whole_rows && stream));
      if (whole_rows && stream) return StreamRun<As, true>(plan.sum, rows * nz, out);
      Stored* const to = stream ? static_cast<Stored*>(plan.packed) : out;
      Pack<As>(plan.sum, pitch, rows, nz, to);
      if (stream) StreamRun<PlainStorage<Stored>, false>(to, rows * nz, out);
    });
  }
}

template <typename As, typename T>
PG_TF_INLINE void ForwardChannelsLast(const Plan<T>& plan, const GridLayout& layout, bool stream,
                                      typename As::Stored* grid) {
  typedef typename As::Stored Stored;
  const int64_t ny = layout.shape[1], nz = layout.shape[2], channels = layout.num_channels;
  const bool soft = plan.atoms.weight_stride > 1;
  ForEachBlock(plan, ny, [&](const Region& region) __attribute__((always_inline)) {
    const int64_t rows = region.rows(), values = rows * nz * channels;
    Stored* const out = grid + (region.x * ny + region.y) * nz * channels;
    Hull hull = {ny, 0, nz, 0};
    for (int64_t c = 0; c < channels; ++c) {
      const Members members = Reaching(plan, soft ? 0 : c, region);
      T* const sum = plan.sum + c * rows * plan.block.pitch;
      plan.sums[c] = members.total == 0 ? nullptr : sum;
      if (members.total == 0) continue;
      Include(plan, members, &hull);
      SumBlock(plan, members, soft ? c : 0, region, sum);
    }
    if (hull.y_end == 0) return WriteZeros(values, stream, out);
    if (stream && channels == 8 && Aligned(out)) return Interleave<As, true>(plan, layout, region, hull, out);
    Stored* const packed = static_cast<Stored*>(plan.packed);
    Interleave<As, false>(plan, layout, region, hull, packed);
    if (stream) {
      StreamRun<PlainStorage<Stored>, false>(packed, values, out);
    } else {
      __builtin_memcpy(out, packed, values * sizeof(Stored));
    }
  });
}

template <typename As, typename T>
PG_TF_INLINE void ForwardAs(const Plan<T>& plan, const GridLayout& layout, bool stream, void* grid) {
  typename As::Stored* const stored = static_cast<typename As::Stored*>(grid);
  if (layout.channels_last && layout.num_channels > 1) {
    ForwardChannelsLast<As>(plan, layout, stream, stored);
  } else {
    ForwardChannelsFirst<As>(plan, layout, stream, stored);
  }
  if (stream) FinishStream();
}

inline void Forward(const Plan<float>& plan, const GridLayout& layout, bool stream, void* grid) {
  switch (layout.storage) {
    case Storage::kFloat16:
      return ForwardAs<Float16Storage>(plan, layout, stream, grid);
    case Storage::kBfloat16:
      return ForwardAs<Bfloat16Storage>(plan, layout, stream, grid);
    default:
      return ForwardAs<PlainStorage<float>>(plan, layout, stream, grid);
  }
}

inline void Forward(const Plan<double>& plan, const GridLayout& layout, bool stream, void* grid) {
  ForwardAs<PlainStorage<double>>(plan, layout, stream, grid);
}

}  // namespace PG_TF_LEVEL
}  // namespace pg_tf
