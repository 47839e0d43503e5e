#pragma once
// The encodings of Parquet's values.

#include <algorithm>
#include <vector>

#include "parquet/parquet_page.h"
#include "parquet/parquet_runs.h"

namespace ddsc::data {

/// Decodes `output.size()` numbers of physical type `Stored` in an encoding other than a dictionary.
/// Instances: std::int32_t, std::int64_t, float, double, and bool (as std::uint8_t) for booleans.
template <class Stored>
void decodeNumbers(Bytes input, Encoding encoding, std::span<Stored> output);

/// Decodes exactly `count` integers in the encoding DELTA_BINARY_PACKED; returns the bytes that follow.
Bytes decodeDeltas(Bytes input, std::span<std::int64_t> output);

/// Strings as pieces of `bytes`, which may point into the page or into `storage`.
struct Strings {
  std::vector<Bytes> values;
  std::vector<std::uint8_t> storage;
};

/// Decodes `count` strings in an encoding other than a dictionary; valid as long as `input` is.
Strings decodeStrings(Bytes input, Encoding encoding, std::size_t count);

/// Decodes `count` values that are given as places in a dictionary.
template <class Value>
void decodeIndices(Bytes input, std::size_t count, std::span<const Value> dictionary, Value* out) {
  if (count == 0) return;
  ByteReader reader(input);
  const int width = reader.fixed<std::uint8_t>();
  if (width > 32) corrupt("a dictionary index has more than 32 bits");
  walkRuns(
      reader.rest(), width, count,
      [&](std::size_t repeats, std::uint32_t index) {
        if (index >= dictionary.size()) corrupt("a value is not in its dictionary");
        out = std::fill_n(out, repeats, dictionary[index]);
      },
      [&](std::span<const std::uint32_t> indices) {
        std::uint32_t most = 0;
        for (const std::uint32_t index : indices) most = std::max(most, index);
        if (most >= dictionary.size()) corrupt("a value is not in its dictionary");
        for (const std::uint32_t index : indices) *out++ = dictionary[index];
      });
}

}  // namespace ddsc::data
