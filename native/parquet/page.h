#pragma once
// Pages of a Parquet column, decompressed: their levels, which say what values are there and where rows
// start, and their values.

#include <vector>

#include "parquet/encodings.h"

namespace ddsc::data {

/// Parquet's physical types, by their numbers.
enum class Physical : std::int32_t {
  boolean = 0,
  int32 = 1,
  int64 = 2,
  float32 = 4,
  float64 = 5,
  byteArray = 6,
};

/// What is fixed for a column. Lists have one level of repetition.
struct ColumnShape {
  Physical physical = Physical::int32;
  int maxDefinition = 0;
  int maxRepetition = 0;
  /// Lists: the definition level from which an entry of the list exists (below: an empty or missing list).
  int entryDefinition = 0;
};

/// One page as its header describes it, and its bytes, which somebody else holds.
struct Page {
  enum class Kind : std::int32_t { dictionary = 0, dataV1 = 1, dataV2 = 2 };

  Kind kind = Kind::dataV1;
  Encoding encoding = Encoding::plain;
  std::size_t values = 0;                                // missing ones included
  std::size_t definitionBytes = 0, repetitionBytes = 0;  // version 2
  Bytes bytes;
};

/// Some pages of a column, the dictionary first.
struct ColumnChunk {
  ColumnShape shape;
  std::vector<Page> pages;
};

/// The parts of a page.
struct PageBody {
  Bytes repetition, definition;  // runs, empty where the column has no such level
  Bytes values;
};

/// Splits a page into its parts. DATA_CORRUPT where they are longer than it, DATA_TOO_LARGE for more than
/// 2^25 values in a page.
PageBody splitPage(const ColumnShape& shape, const Page& page);

/// Levels of one page after another.
class LevelReader {
 public:
  explicit LevelReader(const ColumnShape& shape) : shape_(shape) {}

  void read(const Page& page, const PageBody& body);

  /// Values that are there.
  std::size_t present() const { return present_; }
  /// Entries, missing ones included: rows of a flat column, elements of all lists.
  std::size_t entries() const { return entries_; }
  /// Whether an entry is there; empty where all are.
  const std::vector<std::uint8_t>& mask() const { return mask_; }
  /// Number of the entry at which each row that starts in the page begins; lists only.
  const std::vector<std::int32_t>& rowStarts() const { return rowStarts_; }

 private:
  void readRowStarts(Bytes runs, std::size_t values);
  void readLists(std::size_t values);

  const ColumnShape& shape_;
  std::vector<std::uint8_t> repetition_, definition_, mask_;
  std::vector<std::int32_t> rowStarts_;
  std::size_t present_ = 0, entries_ = 0;
};

}  // namespace ddsc::data
