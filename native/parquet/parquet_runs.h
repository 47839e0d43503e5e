#pragma once
// Parquet's hybrid of run lengths and packed bits, which codes levels, dictionary indices and booleans.

#include <algorithm>

#include "cells/bytes.h"

namespace ddsc::data {

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

}  // namespace ddsc::data
