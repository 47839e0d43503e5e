#pragma once
#include <cstdint>
#include <vector>

#include "model/config.h"
#include "model/workspace.h"

namespace ddsc {

/// Cells of a call, as they come from the caller (host memory, owned).
struct CellBatch {
  std::vector<std::int32_t> offsets;     // [cells + 1]
  std::vector<std::int32_t> genes;       // [tokens]
  std::vector<std::int32_t> tokens;      // [tokens] x0 in training, xt in prediction
  std::vector<std::uint64_t> cellIndex;  // [cells]

  std::int64_t cells() const { return static_cast<std::int64_t>(cellIndex.size()); }
  std::int64_t rows() const { return static_cast<std::int64_t>(tokens.size()); }
};

/// Throws Error BATCH_INVALID naming the cell or token that cannot be.
void check(const CellBatch& batch, const DenoiserConfig& config);

/// Cell and position of every token; views into host vectors it owns.
class HostRagged {
 public:
  explicit HostRagged(const CellBatch& batch);
  /// Only the given rows (ascending); positions stay those of the whole cells.
  HostRagged(const HostRagged& whole, const std::vector<std::int32_t>& rows);

  Ragged view() const;
  /// The same in the backend's memory.
  Ragged upload(Workspace& workspace) const;

 private:
  std::vector<std::int32_t> offsets_, cell_, position_;
  std::vector<std::uint64_t> cellIndex_;
  std::int32_t longest_ = 0;
};

/// Sum over the cells of asking rows times key rows: what attention's cost grows with. Of the same cells
/// both.
std::int64_t pairs(const HostRagged& asking, const HostRagged& keys);

/// Token rows grouped by an id (stable counting sort), in the backend's memory; ids are below `bound`.
Grouping groupBy(const std::vector<std::int32_t>& ids, std::int64_t bound, Workspace& workspace);

}  // namespace ddsc
