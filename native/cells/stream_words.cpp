#include "cells/stream_words.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace ddsc::data {

namespace {

/// Blocks at a time: their rounds wait for nothing but each other, so that the compiler can put them in
/// vectors.
constexpr std::size_t kLanes = 8;
using Lanes = std::array<std::uint32_t, kLanes>;

/// philox() of random.h, of several positions.
void fillLanes(const Stream& stream, const std::uint32_t* positions, std::uint32_t* words) {
  Lanes x0, x1, x2, x3;
  for (std::size_t i = 0; i < kLanes; ++i) {
    x0[i] = positions[i];
    x1[i] = stream.cell;
    x2[i] = stream.step;
    x3[i] = stream.tail;
  }
  std::uint32_t k0 = stream.key0, k1 = stream.key1;
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::uint64_t p0 = static_cast<std::uint64_t>(kPhiloxM0) * x0[i];
      const std::uint64_t p1 = static_cast<std::uint64_t>(kPhiloxM1) * x2[i];
      x0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ x1[i] ^ k0;
      x2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ x3[i] ^ k1;
      x1[i] = static_cast<std::uint32_t>(p1);
      x3[i] = static_cast<std::uint32_t>(p0);
    }
    k0 += kPhiloxW0;
    k1 += kPhiloxW1;
  }
  for (std::size_t i = 0; i < kLanes; ++i) {
    words[4 * i] = x0[i];
    words[4 * i + 1] = x1[i];
    words[4 * i + 2] = x2[i];
    words[4 * i + 3] = x3[i];
  }
}

}  // namespace

void fillBlocks(const Stream& stream, std::span<const std::uint32_t> positions,
                std::span<std::uint32_t> words) {
  std::size_t i = 0;
  for (; i + kLanes <= positions.size(); i += kLanes) fillLanes(stream, &positions[i], &words[4 * i]);
  for (; i < positions.size(); ++i) {
    const PhiloxBlock block = philox(stream, positions[i]);
    std::copy_n(block.word, 4, &words[4 * i]);
  }
}

std::int32_t MoleculeThinner::keep(std::int32_t molecules) {
  std::int32_t kept = 0;
  auto left = static_cast<std::size_t>(molecules);
  while (left > 0) {
    if (used_ == words_.size()) refill();
    const std::size_t some = std::min(left, words_.size() - used_);
    const auto first = words_.begin() + static_cast<std::ptrdiff_t>(used_);
    kept +=
        static_cast<std::int32_t>(std::count_if(first, first + static_cast<std::ptrdiff_t>(some),
                                                [this](std::uint32_t word) { return word < threshold_; }));
    used_ += some;
    left -= some;
  }
  return kept;
}

void MoleculeThinner::refill() {
  constexpr std::size_t kBlocks = 64;
  std::array<std::uint32_t, kBlocks> positions;
  std::iota(positions.begin(), positions.end(), position_);
  words_.resize(4 * kBlocks);
  fillBlocks(stream_, positions, words_);
  position_ += kBlocks;
  used_ = 0;
}

}  // namespace ddsc::data
