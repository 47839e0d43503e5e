#include "cells/stream_words.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace ddsc::data {

void fillBlocks(const Stream& stream, std::span<const std::uint32_t> positions,
                std::span<std::uint32_t> words) {
  // As fast as vectors without a wide multiplication; blocks wait for nothing but themselves.
  for (std::size_t i = 0; i < positions.size(); ++i) {
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
