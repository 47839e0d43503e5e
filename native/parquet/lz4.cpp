// A block is a row of sequences: a token, literals, a match. Lengths of 15 go on in further bytes while those
// are 255.
#include "parquet/lz4.h"

#include "parquet/copy_match.h"

namespace ddsc::data {

namespace {

std::size_t longLength(std::size_t length, ByteReader& reader) {
  if (length != 15) return length;
  for (;;) {
    const std::uint8_t more = reader.fixed<std::uint8_t>();
    length += more;
    if (more != 0xFF) return length;
  }
}

}  // namespace

std::size_t lz4Block(Bytes input, std::span<std::uint8_t> output, std::size_t written) {
  ByteReader reader(input);
  while (reader.left() > 0) {
    const std::uint32_t token = reader.fixed<std::uint8_t>();
    const Bytes literal = reader.take(longLength(token >> 4, reader));
    if (literal.size() > output.size() - written) corrupt("an LZ4 block is longer than was said");
    if (!literal.empty()) std::memcpy(output.data() + written, literal.data(), literal.size());
    written += literal.size();
    if (reader.left() == 0) break;  // the last sequence has no match
    const std::size_t offset = reader.fixed<std::uint16_t>();
    const std::size_t length = longLength(token & 15u, reader) + 4;
    copyMatch(output, written, offset, length);
    written += length;
  }
  return written;
}

void lz4Decompress(Bytes input, std::span<std::uint8_t> output) {
  if (lz4Block(input, output, 0) != output.size()) corrupt("an LZ4 block is shorter than was said");
}

}  // namespace ddsc::data
