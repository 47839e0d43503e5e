#pragma once
// The encodings of Parquet: the hybrid of run lengths and packed bits, which codes levels, dictionary indices
// and booleans, and those of values.

#include <algorithm>
#include <vector>

#include "cells/bytes.h"

namespace ddsc::data {

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

/// Unpacks `output.size()` numbers of `width` <= 32 bits, lowest bits first; `packed` holds at least as many.
void unpackBits(Bytes packed, int width, std::span<std::uint32_t> output);

/// Walks over the runs that make up `total` values of `width` <= 32 bits, which nothing needs to hold at
/// once: `repeated(count, value)` and `packed(values)`, of at most kUnpacked values, get them in order.
/// Values left over in the last group are ignored. Returns the bytes that remain; DATA_CORRUPT where the data
/// ends before.
///
/// A run begins with a varint: an even one is a repeat count times two, followed by the value in whole bytes;
/// an odd one counts groups of eight packed values.
template <class Repeated, class Packed>
Bytes walkRuns(Bytes input, int width, std::size_t total, const Repeated& repeated, const Packed& packed) {
  constexpr std::size_t kUnpacked = 512;
  std::uint32_t values[kUnpacked];
  ByteReader reader(input);
  const auto bits = static_cast<std::size_t>(width);
  while (total > 0) {
    const std::uint64_t header = reader.varint();
    if (header < 2) corrupt("a run of no values");
    if ((header & 1u) == 0) {
      std::uint32_t value = 0;
      const Bytes bytes = reader.take((bits + 7) / 8);
      if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(header >> 1, total));
      repeated(count, value);
      total -= count;
      continue;
    }
    const std::uint64_t groups = header >> 1;
    const std::size_t count = groups > total / 8 ? total : static_cast<std::size_t>(groups) * 8;
    // Some writers leave out the unused end of the last group.
    const std::size_t needed = (count * bits + 7) / 8;
    const std::uint64_t whole = groups > reader.left() ? reader.left() : groups * bits;
    const Bytes bytes =
        reader.take(std::max<std::size_t>(needed, std::min<std::uint64_t>(whole, reader.left())));
    for (std::size_t done = 0; done < count; done += kUnpacked) {
      const std::size_t some = std::min(kUnpacked, count - done);
      unpackBits(bytes.subspan(done * bits / 8), width, {values, some});
      packed(std::span<const std::uint32_t>(values, some));
    }
    total -= count;
  }
  return reader.rest();
}

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
