#pragma once
// Whole columns (or some of their pages) of a Parquet row group: flat ones and lists, missing values
// included.

#include <vector>

#include "parquet/page.h"

namespace ddsc::data {

/// Rows wanted of the pages given, counted from the first row that starts in them.
struct RowRange {
  std::size_t first = 0, count = 0;
  /// The first page may begin within a row, whose rest is then passed over.
  bool startsInside = false;
};

/// A column of numbers. What is missing is NaN, or the least std::int32_t.
template <class Out>
struct NumberColumn {
  std::vector<Out> values;            // flat: [rows]; lists: entries of all rows end to end
  std::vector<std::int32_t> offsets;  // lists: bounds of each row in `values`, [rows + 1]; flat: empty
};

/// A column of text as codes into its distinct values.
struct TextColumn {
  std::vector<std::int32_t> codes;    // [rows], -1 where missing
  std::vector<std::int32_t> offsets;  // bounds of each distinct value in `bytes`
  std::vector<std::uint8_t> bytes;
};

/// Decodes numbers to Out: std::int32_t (of integers; DATA_TYPE where one does not fit), float or double (of
/// any). DATA_CORRUPT, DATA_FORMAT, DATA_TOO_LARGE.
template <class Out>
NumberColumn<Out> decodeNumberColumn(const ColumnChunk& chunk, const RowRange& range);

/// Decodes a flat column of byte arrays.
TextColumn decodeTextColumn(const ColumnChunk& chunk, const RowRange& range);

/// Rows that start in each page of values, [pages]: dictionary pages have none. Reads levels alone.
std::vector<std::int32_t> rowsByPage(const ColumnChunk& chunk);

}  // namespace ddsc::data
