#include "zstandard/zstd_entropy.h"

#include <algorithm>

namespace ddsc::data {

namespace {

constexpr int kMaxHuffmanBits = 11;
constexpr std::size_t kMaxWeights = 255;  // the 256th follows from the others

int floorLog2(std::uint32_t value) { return static_cast<int>(std::bit_width(value)) - 1; }

/// Weights coded by finite state entropy: two states take turns until the bits are used up.
std::vector<std::uint8_t> readWeights(Bytes bytes) {
  FseTable table;
  const std::size_t description = table.read(bytes, 6, 13);
  std::array<std::uint8_t, 128 + 2 * BackwardBits::kMargin> buffer{};
  const Bytes coded = bytes.subspan(description);
  if (coded.size() > 128) corrupt("a Zstandard table of weights is too long");
  std::copy(coded.begin(), coded.end(), buffer.begin() + BackwardBits::kMargin);
  BackwardBits bits(Bytes(buffer).subspan(BackwardBits::kMargin, coded.size()));
  std::array<std::size_t, 2> states{};
  for (std::size_t& state : states) state = bits.read(table.accuracy());
  std::vector<std::uint8_t> weights;
  for (std::size_t turn = 0;; turn ^= 1) {
    const FseTable::Entry entry = table[states[turn]];
    weights.push_back(entry.symbol);
    if (weights.size() > kMaxWeights) corrupt("a Zstandard table has too many weights");
    states[turn] = entry.next + bits.read(entry.bits);
    if (bits.overrun()) {
      weights.push_back(table[states[turn ^ 1]].symbol);
      return weights;
    }
  }
}

}  // namespace

void FseTable::constant(std::uint8_t symbol) {
  entries_.assign(1, {0, 0, symbol});
  accuracy_ = 0;
}

void FseTable::build(std::span<const std::int16_t> counts, int accuracy) {
  const std::size_t size = std::size_t{1} << accuracy;
  entries_.assign(size, {});
  accuracy_ = accuracy;
  std::vector<std::uint16_t> next(counts.size());
  std::size_t high = size;
  for (std::size_t symbol = 0; symbol < counts.size(); ++symbol) {
    next[symbol] = static_cast<std::uint16_t>(std::max<int>(counts[symbol], 1));
    if (counts[symbol] == -1) entries_[--high].symbol = static_cast<std::uint8_t>(symbol);
  }
  const std::size_t step = (size >> 1) + (size >> 3) + 3;
  std::size_t position = 0;
  for (std::size_t symbol = 0; symbol < counts.size(); ++symbol) {
    for (int i = 0; i < counts[symbol]; ++i) {
      entries_[position].symbol = static_cast<std::uint8_t>(symbol);
      do {
        position = (position + step) & (size - 1);
      } while (position >= high);
    }
  }
  for (Entry& entry : entries_) {
    const std::uint32_t number = next[entry.symbol]++;
    const int bits = accuracy - floorLog2(number);
    entry.bits = static_cast<std::uint8_t>(bits);
    entry.next = static_cast<std::uint16_t>((number << bits) - size);
  }
}

std::size_t FseTable::read(Bytes bytes, int maxAccuracy, std::size_t maxSymbols) {
  ForwardBits bits(bytes);
  const int accuracy = static_cast<int>(bits.read(4)) + 5;
  if (accuracy > maxAccuracy) corrupt("a Zstandard table is too fine");
  std::vector<std::int16_t> counts;
  std::int32_t remaining = 1 << accuracy;
  while (remaining > 0) {
    if (counts.size() >= maxSymbols) corrupt("a Zstandard table has too many symbols");
    const int width = floorLog2(static_cast<std::uint32_t>(remaining + 1)) + 1;
    const auto value = static_cast<std::int32_t>(bits.read(width));
    const std::int32_t lowMask = (1 << (width - 1)) - 1;
    const std::int32_t shortValues = (1 << width) - 1 - (remaining + 1);
    std::int32_t count = value;
    if ((value & lowMask) < shortValues) {
      bits.rewind(1);
      count = value & lowMask;
    } else if (value > lowMask) {
      count = value - shortValues;
    }
    --count;
    remaining -= count < 0 ? 1 : count;
    if (remaining < 0) corrupt("a Zstandard table's counts do not add up");
    counts.push_back(static_cast<std::int16_t>(count));
    for (std::uint32_t repeat = count == 0 ? 3 : 0; repeat == 3;) {
      repeat = bits.read(2);
      if (counts.size() + repeat > maxSymbols) corrupt("a Zstandard table has too many symbols");
      counts.insert(counts.end(), repeat, 0);
    }
  }
  build(counts, accuracy);
  return bits.bytesRead();
}

std::size_t HuffmanTable::read(Bytes bytes) {
  ByteReader reader(bytes);
  const std::size_t header = reader.fixed<std::uint8_t>();
  if (header < 128) {
    build(readWeights(reader.take(header)));
    return 1 + header;
  }
  std::vector<std::uint8_t> weights(header - 127);
  const Bytes packed = reader.take((weights.size() + 1) / 2);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = static_cast<std::uint8_t>(i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15);
  }
  build(weights);
  return 1 + packed.size();
}

void HuffmanTable::build(std::span<const std::uint8_t> weights) {
  std::uint32_t total = 0;
  for (const std::uint8_t weight : weights) {
    if (weight > kMaxHuffmanBits) corrupt("a Huffman weight is too large");
    if (weight > 0) total += 1u << (weight - 1);
  }
  if (total == 0) corrupt("a Huffman table is empty");
  const int bits = floorLog2(total) + 1;
  const std::uint32_t left = (1u << bits) - total;
  if (bits > kMaxHuffmanBits || !std::has_single_bit(left)) corrupt("Huffman weights do not add up");
  std::vector<std::uint8_t> all(weights.begin(), weights.end());
  all.push_back(static_cast<std::uint8_t>(floorLog2(left) + 1));
  std::size_t at = 0;
  for (int weight = 1; weight <= bits; ++weight) {
    for (std::size_t symbol = 0; symbol < all.size(); ++symbol) {
      if (all[symbol] != weight) continue;
      const std::size_t span = std::size_t{1} << (weight - 1);
      const Entry entry{static_cast<std::uint8_t>(symbol), static_cast<std::uint8_t>(bits + 1 - weight)};
      std::fill_n(entries_.begin() + static_cast<std::ptrdiff_t>(at), span, entry);
      at += span;
    }
  }
  bits_ = bits;
}

void HuffmanTable::decode(Bytes stream, std::span<std::uint8_t> output) const {
  BackwardBits bits(stream);
  for (std::uint8_t& byte : output) {
    const Entry entry = entries_[bits.peek(bits_)];
    byte = entry.symbol;
    bits.skip(entry.bits);
    if (bits.overrun()) corrupt("a Huffman stream ends early");
  }
  if (bits.left() != 0) corrupt("a Huffman stream goes on after its end");
}

}  // namespace ddsc::data
