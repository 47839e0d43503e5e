// A block is the decompressed length, then elements: literals and copies of what was written before, at
// offsets of up to 16 or 32 bits. The two low bits of an element's first byte say which.
#include "parquet/snappy.h"

#include <algorithm>
#include <array>

#include "parquet/copy_match.h"

namespace ddsc::data {

namespace {

constexpr std::size_t kBlock = 1 << 16;  // matches stay within a block: offsets then fit 16 bits
constexpr int kHashBits = 14;

std::uint32_t hash(std::uint32_t word) { return (word * 0x1E35A7BDu) >> (32 - kHashBits); }

void emitLiteral(Bytes literal, std::vector<std::uint8_t>& output) {
  if (literal.empty()) return;
  const std::size_t last = literal.size() - 1;
  if (last < 60) {
    output.push_back(static_cast<std::uint8_t>(last << 2));
  } else {
    // A block has at most 2^16 bytes, so two bytes hold the length.
    const bool wide = last > 0xFF;
    output.push_back(static_cast<std::uint8_t>((wide ? 61u : 60u) << 2));
    output.push_back(static_cast<std::uint8_t>(last));
    if (wide) output.push_back(static_cast<std::uint8_t>(last >> 8));
  }
  output.insert(output.end(), literal.begin(), literal.end());
}

void emitCopy(std::size_t offset, std::size_t length, std::vector<std::uint8_t>& output) {
  while (length > 0) {
    // A copy holds 64 bytes at most; the last piece is kept at 4 or more only where that costs nothing.
    const std::size_t piece = std::min<std::size_t>(length, 64);
    output.push_back(static_cast<std::uint8_t>((piece - 1) << 2 | 2u));
    output.push_back(static_cast<std::uint8_t>(offset));
    output.push_back(static_cast<std::uint8_t>(offset >> 8));
    length -= piece;
  }
}

void compressBlock(Bytes block, std::vector<std::uint8_t>& output) {
  std::array<std::uint16_t, 1 << kHashBits> seen{};
  std::size_t at = 1, literalStart = 0;
  std::size_t misses = 32;  // the step grows where nothing repeats
  while (at + 4 <= block.size()) {
    const auto word = load<std::uint32_t>(&block[at]);
    const std::uint32_t slot = hash(word);
    const std::size_t candidate = seen[slot];
    seen[slot] = static_cast<std::uint16_t>(at);
    if (candidate >= at || load<std::uint32_t>(&block[candidate]) != word) {
      at += misses++ >> 5;
      continue;
    }
    std::size_t length = 4;
    while (at + length < block.size() && block[candidate + length] == block[at + length]) ++length;
    emitLiteral(block.subspan(literalStart, at - literalStart), output);
    emitCopy(at - candidate, length, output);
    at += length;
    literalStart = at;
    misses = 32;
  }
  emitLiteral(block.subspan(literalStart), output);
}

}  // namespace

void snappyDecompress(Bytes input, std::span<std::uint8_t> output) {
  ByteReader reader(input);
  if (reader.varint() != output.size()) corrupt("a Snappy block has another length than its page says");
  std::size_t written = 0;
  while (reader.left() > 0) {
    const std::uint32_t tag = reader.fixed<std::uint8_t>();
    const std::uint32_t kind = tag & 3u;
    std::size_t length = (tag >> 2) + 1;
    if (kind == 0) {
      if (length > 60) {
        std::uint32_t extra = 0;
        const Bytes bytes = reader.take(length - 60);
        std::memcpy(&extra, bytes.data(), bytes.size());
        length = static_cast<std::size_t>(extra) + 1;
      }
      const Bytes literal = reader.take(length);
      if (length > output.size() - written) corrupt("a Snappy block is longer than its page says");
      std::memcpy(output.data() + written, literal.data(), length);
    } else {
      std::size_t offset = 0;
      if (kind == 1) {
        length = ((tag >> 2) & 7u) + 4;
        offset = static_cast<std::size_t>(tag >> 5) << 8 | reader.fixed<std::uint8_t>();
      } else {
        offset = kind == 2 ? reader.fixed<std::uint16_t>() : reader.fixed<std::uint32_t>();
      }
      copyMatch(output, written, offset, length);
    }
    written += length;
  }
  if (written != output.size()) corrupt("a Snappy block is shorter than its page says");
}

void snappyCompress(Bytes input, std::vector<std::uint8_t>& output) {
  std::size_t length = input.size();
  for (; length >= 0x80; length >>= 7) output.push_back(static_cast<std::uint8_t>(length | 0x80u));
  output.push_back(static_cast<std::uint8_t>(length));
  for (std::size_t start = 0; start < input.size(); start += kBlock) {
    compressBlock(input.subspan(start, std::min(kBlock, input.size() - start)), output);
  }
}

}  // namespace ddsc::data
