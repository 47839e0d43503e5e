#pragma once
// The two bit orders of Zstandard: table descriptions are read forwards, coded data from its last bit
// backwards.

#include <bit>

#include "cells/bytes.h"

namespace ddsc::data {

/// Reads from the low bits of the first byte on.
class ForwardBits {
 public:
  explicit ForwardBits(Bytes bytes) : bytes_(bytes) {}

  /// `count` <= 16 bits; bits past the end are an error.
  std::uint32_t read(int count) {
    std::uint32_t value = 0;
    for (int i = 0; i < count; ++i, ++position_) {
      if (position_ / 8 >= bytes_.size()) corrupt("a Zstandard table ends early");
      value |= (std::uint32_t{bytes_[position_ / 8]} >> (position_ % 8) & 1u) << i;
    }
    return value;
  }
  void rewind(std::size_t count) { position_ -= count; }
  /// Whole bytes touched so far.
  std::size_t bytesRead() const { return (position_ + 7) / 8; }

 private:
  Bytes bytes_;
  std::size_t position_ = 0;
};

/// Reads from the last bit backwards. The bytes must lie in a buffer with kMargin readable bytes on either
/// side; those in front must be zero, so that reading past the start gives zero bits, which `overrun` tells.
class BackwardBits {
 public:
  static constexpr std::size_t kMargin = 16;

  explicit BackwardBits(Bytes bytes) : start_(bytes.data()) {
    if (bytes.empty() || bytes.back() == 0) corrupt("a Zstandard bit stream has no end mark");
    left_ = static_cast<std::int64_t>(bytes.size()) * 8 - 8 +
            std::bit_width(static_cast<unsigned>(bytes.back())) - 1;
  }

  /// The next `count` <= 32 bits, the first of them highest.
  std::uint64_t peek(int count) const {
    const std::int64_t from = left_ - count;
    if (from < -64) return 0;  // callers stop at an overrun
    const auto word = load<std::uint64_t>(start_ + (from >> 3));
    return (word >> (from & 7)) & ((std::uint64_t{1} << count) - 1);
  }
  std::uint64_t read(int count) {
    const std::uint64_t value = peek(count);
    left_ -= count;
    return value;
  }
  void skip(int count) { left_ -= count; }
  /// Bits that remain; below 0 after reading past the start.
  std::int64_t left() const { return left_; }
  bool overrun() const { return left_ < 0; }

 private:
  const std::uint8_t* start_;
  std::int64_t left_;
};

}  // namespace ddsc::data
