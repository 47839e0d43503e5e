#include "data/cell_lists.h"

#include <limits>
#include <utility>

namespace ddsc::data {

CellRows joinLists(NumberColumn<std::int32_t> tokens, NumberColumn<float> expressions,
                   std::span<const std::int32_t> columnOf) {
  CellRows cells;
  const std::size_t rows = tokens.offsets.size() - 1;
  if (tokens.offsets != expressions.offsets) {
    throw Error("DATA_SHAPE", "a cell has not as many genes as expressions");
  }
  cells.offsets.resize(rows + 1);
  // What is kept never gets ahead of what is read.
  cells.columns = std::move(tokens.values);
  cells.counts = std::move(expressions.values);
  std::size_t kept = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    auto at = static_cast<std::size_t>(tokens.offsets[row]);
    const auto end = static_cast<std::size_t>(tokens.offsets[row + 1]);
    const bool marked =
        at < end && cells.columns[at] >= 0 && cells.columns[at] < kFirstGeneToken && cells.counts[at] < 0;
    if (marked) ++at;
    std::int32_t before = -1;
    for (; at < end; ++at) {
      const std::int32_t token = cells.columns[at];
      const bool known = token >= 0 && static_cast<std::size_t>(token) < columnOf.size();
      const std::int32_t column = known ? columnOf[static_cast<std::size_t>(token)] : -1;
      if (column < 0) {
        cells.unknownRow = static_cast<std::int32_t>(row);
        cells.unknownToken = token;
        return cells;
      }
      const float count = cells.counts[at];
      // False for NaN too.
      const bool good = count > 0 && count <= std::numeric_limits<float>::max() && column > before;
      cells.clean = cells.clean && good;
      // Numbers from 2^23 on are whole.
      if (count < 8388608.0f && good) {
        cells.fractions = cells.fractions || static_cast<float>(static_cast<std::int32_t>(count)) != count;
      }
      before = column;
      cells.columns[kept] = column;
      cells.counts[kept++] = count;
    }
    cells.offsets[row + 1] = static_cast<std::int32_t>(kept);
  }
  cells.columns.resize(kept);
  cells.counts.resize(kept);
  return cells;
}

}  // namespace ddsc::data
