#pragma once
// Cells from two list columns, gene tokens and expressions, as Tahoe-100M lays them out.

#include <vector>

#include "parquet/column.h"

namespace ddsc::data {

/// Cells in compressed rows.
struct CellRows {
  std::vector<std::int32_t> offsets;  // [rows + 1]
  std::vector<std::int32_t> columns;
  std::vector<float> counts;
  /// All genes ascending and different within a cell, all counts finite and above 0.
  bool clean = true;
  /// A count that is no whole number was found.
  bool fractions = false;
  /// First row with a token that names no gene, -1 if there is none; and that token.
  std::int32_t unknownRow = -1, unknownToken = 0;
};

/// The marker that opens a cell: a special token with an expression below 0.
inline constexpr std::int32_t kFirstGeneToken = 3;

/// Joins the two lists of each row: the marker dropped, tokens looked up in `columnOf` (-1: no gene). Stops
/// at the first unknown token. DATA_SHAPE where a row has not as many genes as expressions. The lists are
/// turned into the cells in place.
CellRows joinLists(NumberColumn<std::int32_t> tokens, NumberColumn<float> expressions,
                   std::span<const std::int32_t> columnOf);

}  // namespace ddsc::data
