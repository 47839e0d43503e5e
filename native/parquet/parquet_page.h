#pragma once
// Pages of a Parquet column: decompressed and split into levels and values.

#include <memory>
#include <vector>

#include "cells/bytes.h"

namespace ddsc::data {

/// How bytes are compressed; the numbers are Parquet's. Others are undone before bytes come here.
enum class Codec : std::int32_t { none = 0, snappy = 1, zstd = 6, lz4 = 7 };

/// Parquet's physical types, by their numbers.
enum class Physical : std::int32_t {
  boolean = 0,
  int32 = 1,
  int64 = 2,
  float32 = 4,
  float64 = 5,
  byteArray = 6,
};

/// Parquet's encodings, by their numbers.
enum class Encoding : std::int32_t {
  plain = 0,
  plainDictionary = 2,
  runs = 3,
  deltaNumbers = 5,
  deltaLengths = 6,
  deltaStrings = 7,
  dictionary = 8,
  splitBytes = 9,
};

/// What is fixed for a column. Lists have one level of repetition.
struct ColumnShape {
  Physical physical = Physical::int32;
  Codec codec = Codec::none;
  int maxDefinition = 0;
  int maxRepetition = 0;
  /// Lists: the definition level from which an entry of the list exists (below: an empty or missing list).
  int entryDefinition = 0;
};

/// One page as its header describes it.
struct PageEntry {
  enum class Kind : std::int32_t { dictionary = 0, dataV1 = 1, dataV2 = 2 };

  std::size_t offset = 0;  // of the page's body in the bytes given
  std::size_t compressedSize = 0, uncompressedSize = 0;
  Kind kind = Kind::dataV1;
  Encoding encoding = Encoding::plain;
  std::size_t values = 0;                                // missing ones included
  std::size_t definitionBytes = 0, repetitionBytes = 0;  // version 2
  bool compressed = true;
};

/// A column's bytes and where its pages are.
struct ColumnChunk {
  ColumnShape shape;
  std::vector<std::uint8_t> bytes;
  std::vector<PageEntry> pages;
};

/// A page's body after decompression.
struct PageBody {
  Bytes repetition, definition;  // runs, empty where the column has no such level
  Bytes values;
};

/// Decompresses page after page into one buffer.
class PageReader {
 public:
  explicit PageReader(const ColumnChunk& chunk) : chunk_(chunk) {}

  /// Valid until the next call. DATA_CORRUPT where the page does not lie in the bytes or does not decompress,
  /// DATA_TOO_LARGE for more than 2^30 bytes or 2^25 values in a page.
  PageBody read(const PageEntry& page);

 private:
  Bytes decompress(Bytes body, std::size_t size);

  const ColumnChunk& chunk_;
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t capacity_ = 0;
};

/// Bits of levels 0..most.
int levelWidth(int most);

}  // namespace ddsc::data
