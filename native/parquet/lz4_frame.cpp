// A frame is a header, blocks of which each says its length and whether it is compressed, and a length of 0.
// Blocks may refer to what the ones before them wrote.
#include "parquet/lz4_frame.h"

#include <algorithm>

#include "parquet/frames.h"
#include "parquet/lz4.h"
#include "parquet/xxhash32.h"

namespace ddsc::data {

namespace {

constexpr std::uint32_t kFrameMagic = 0x184D2204u;
constexpr std::uint32_t kStored = 0x80000000u;

/// What the first bytes of a frame say.
struct Header {
  bool independent = false, blockChecksum = false, contentChecksum = false;
  std::size_t mostBlock = 0;
};

Header readHeader(ByteReader& reader) {
  const Bytes start = reader.rest();
  const std::uint32_t flags = reader.fixed<std::uint8_t>(), sizes = reader.fixed<std::uint8_t>();
  const std::uint32_t sizeCode = sizes >> 4 & 7u;
  if (flags >> 6 != 1 || (flags & 3u) != 0 || (sizes & 0x8Fu) != 0 || sizeCode < 4) {
    corrupt("an LZ4 frame has a header of another version, or a dictionary");
  }
  Header header;
  header.independent = (flags & 0x20u) != 0;
  header.blockChecksum = (flags & 0x10u) != 0;
  header.contentChecksum = (flags & 4u) != 0;
  header.mostBlock = std::size_t{1} << (8 + 2 * sizeCode);
  if ((flags & 8u) != 0) reader.take(8);  // the content's size, which the caller knows
  const Bytes described = start.first(start.size() - reader.left());
  if (reader.fixed<std::uint8_t>() != (xxhash32(described) >> 8 & 0xFFu)) {
    corrupt("the header of an LZ4 frame does not fit its checksum");
  }
  return header;
}

void compare(ByteReader& reader, Bytes content) {
  if (reader.fixed<std::uint32_t>() != xxhash32(content)) {
    corrupt("what an LZ4 frame holds does not fit its checksum");
  }
}

/// Writes a frame from `written` on; returns where it ends.
std::size_t readFrame(ByteReader& reader, std::span<std::uint8_t> output, std::size_t written) {
  const Header header = readHeader(reader);
  const std::size_t frameStart = written;
  for (;;) {
    const auto word = reader.fixed<std::uint32_t>();
    if (word == 0) break;
    const Bytes block = reader.take(word & ~kStored);
    const std::size_t room = std::min(header.mostBlock, output.size() - written);
    if ((word & kStored) != 0) {
      if (block.size() > room) corrupt("a block of an LZ4 frame is longer than it may be");
      if (!block.empty()) std::memcpy(output.data() + written, block.data(), block.size());
      written += block.size();
    } else {
      // What a block may refer to.
      const std::size_t known = header.independent ? written : frameStart;
      const std::span<std::uint8_t> seen = output.subspan(known, written - known + room);
      written = known + lz4Block(block, seen, written - known);
    }
    if (header.blockChecksum) compare(reader, block);
  }
  if (header.contentChecksum) compare(reader, output.subspan(frameStart, written - frameStart));
  return written;
}

}  // namespace

void lz4FrameDecompress(Bytes input, std::span<std::uint8_t> output) {
  const std::size_t written =
      decompressFrames(input, output, kFrameMagic, "compressed data is no LZ4 frame", readFrame);
  if (written != output.size()) corrupt("an LZ4 frame is shorter than was said");
}

}  // namespace ddsc::data
