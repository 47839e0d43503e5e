#pragma once
// The step all byte-oriented decompressors share.

#include "cells/bytes.h"

namespace ddsc::data {

/// Writes `length` bytes at `written` that repeat those `offset` before; the two may overlap. DATA_CORRUPT
/// where the offset reaches before the start or the length past the end.
inline void copyMatch(std::span<std::uint8_t> output, std::size_t written, std::size_t offset,
                      std::size_t length) {
  if (offset == 0 || offset > written) corrupt("a compressed block refers to bytes before its start");
  if (length > output.size() - written) corrupt("a compressed block is longer than its page says");
  std::uint8_t* to = output.data() + written;
  const std::uint8_t* from = to - offset;
  if (offset >= length) {
    std::memcpy(to, from, length);
  } else if (offset == 1) {
    std::memset(to, *from, length);
  } else {
    for (std::size_t i = 0; i < length; ++i) to[i] = from[i];
  }
}

}  // namespace ddsc::data
