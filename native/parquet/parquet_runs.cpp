#include "parquet/parquet_runs.h"

namespace ddsc::data {

void unpackBits(Bytes packed, int width, std::span<std::uint32_t> output) {
  if (width == 0) {
    std::fill(output.begin(), output.end(), 0u);
    return;
  }
  const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
  const auto bits = static_cast<std::size_t>(width);
  std::size_t i = 0;
  // A value spans at most five bytes, so one wide load serves it while eight bytes are there.
  for (std::size_t bit = 0; i < output.size() && bit / 8 + 8 <= packed.size(); ++i, bit += bits) {
    output[i] = static_cast<std::uint32_t>((load<std::uint64_t>(&packed[bit / 8]) >> (bit % 8)) & mask);
  }
  for (; i < output.size(); ++i) {
    const std::size_t bit = i * bits;
    std::uint64_t word = 0;
    const std::size_t left = std::min<std::size_t>(8, packed.size() - bit / 8);
    std::memcpy(&word, &packed[bit / 8], left);
    output[i] = static_cast<std::uint32_t>((word >> (bit % 8)) & mask);
  }
}

}  // namespace ddsc::data
