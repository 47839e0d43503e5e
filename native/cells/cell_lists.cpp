#include "cells/cell_lists.h"

#include <algorithm>
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
    bool ascending = true;
    for (std::size_t i = at, to = kept; i < end; ++i, ++to) {
      const auto token = static_cast<std::uint32_t>(cells.columns[i]);
      const std::int32_t column = token < columnOf.size() ? columnOf[token] : -1;
      if (column < 0) {
        cells.unknownRow = static_cast<std::int32_t>(row);
        cells.unknownToken = cells.columns[i];
        return cells;
      }
      ascending &= column > before;
      before = column;
      cells.columns[to] = column;
    }
    // No exit before the end, so that several counts are looked at at a time.
    bool good = true, whole = true;
    for (std::size_t i = at; i < end; ++i) {
      const float count = cells.counts[i];
      good &= count > 0 && count <= std::numeric_limits<float>::max();  // false for NaN, too
      // Numbers from 2^23 on are whole; NaN counts as 0 here.
      const float small = std::min(std::max(0.0f, count), 8388608.0f);
      whole &= small == 8388608.0f || static_cast<float>(static_cast<std::int32_t>(small)) == small;
    }
    cells.clean = cells.clean && ascending && good;
    cells.fractions = cells.fractions || !whole;
    if (kept != at) {
      std::copy(cells.counts.begin() + static_cast<std::ptrdiff_t>(at),
                cells.counts.begin() + static_cast<std::ptrdiff_t>(end),
                cells.counts.begin() + static_cast<std::ptrdiff_t>(kept));
    }
    kept += end - at;
    cells.offsets[row + 1] = static_cast<std::int32_t>(kept);
  }
  cells.columns.resize(kept);
  cells.counts.resize(kept);
  return cells;
}

}  // namespace ddsc::data
