#pragma once
// The words of random streams, many at a time.

#include <cstdint>
#include <span>
#include <vector>

#include "core/random.h"

namespace ddsc::data {

/// The four words of the block at each of these positions of a stream, one block after the other.
void fillBlocks(const Stream& stream, std::span<const std::uint32_t> positions,
                std::span<std::uint32_t> words);

/// How many of so many molecules are kept, each with the same probability on its own: exact draws of a
/// binomial, a word of the stream a molecule, one molecule after the other.
class MoleculeThinner {
 public:
  /// @param keep 0..1, rounded to a multiple of 2^-32
  MoleculeThinner(const Stream& stream, double keep) : stream_(stream), threshold_(threshold32(keep)) {}

  std::int32_t keep(std::int32_t molecules);

 private:
  void refill();

  Stream stream_;
  std::uint64_t threshold_;
  std::vector<std::uint32_t> words_;
  std::size_t used_ = 0;
  std::uint32_t position_ = 0;
};

}  // namespace ddsc::data
