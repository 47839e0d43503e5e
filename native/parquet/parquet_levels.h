#pragma once
// Levels of a page: which values are there, and where rows start.

#include <vector>

#include "parquet/parquet_page.h"

namespace ddsc::data {

/// Levels of one page after another.
class LevelReader {
 public:
  explicit LevelReader(const ColumnShape& shape) : shape_(shape) {}

  void read(const PageEntry& page, const PageBody& body);

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
