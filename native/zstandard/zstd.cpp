// A frame is a header and blocks; a compressed block is literals (raw, run or Huffman) and sequences, each of
// which copies some literals and then a match of what was written before. Sequences' three numbers (literal
// length, match length, offset) are coded by three interleaved states of finite state entropy.
#include "zstandard/zstd.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>

#include "zstandard/zstd_entropy.h"

namespace ddsc::data {

namespace {

constexpr std::uint32_t kFrameMagic = 0xFD2FB528u;
constexpr std::uint32_t kSkippableMagic = 0x184D2A50u;  // its last four bits are free
constexpr std::size_t kMaxBlock = 1 << 17;

/// How one of a sequence's numbers follows from its code: base + so many further bits.
struct Step {
  std::uint32_t base;
  std::uint8_t bits;
};

constexpr std::array<Step, 36> kLiteralSteps = {
    {{0, 0},     {1, 0},      {2, 0},      {3, 0},     {4, 0},   {5, 0},     {6, 0},     {7, 0},
     {8, 0},     {9, 0},      {10, 0},     {11, 0},    {12, 0},  {13, 0},    {14, 0},    {15, 0},
     {16, 1},    {18, 1},     {20, 1},     {22, 1},    {24, 2},  {28, 2},    {32, 3},    {40, 3},
     {48, 4},    {64, 6},     {128, 7},    {256, 8},   {512, 9}, {1024, 10}, {2048, 11}, {4096, 12},
     {8192, 13}, {16384, 14}, {32768, 15}, {65536, 16}}};
constexpr std::array<Step, 53> kMatchSteps = {
    {{3, 0},   {4, 0},     {5, 0},     {6, 0},     {7, 0},     {8, 0},      {9, 0},      {10, 0},    {11, 0},
     {12, 0},  {13, 0},    {14, 0},    {15, 0},    {16, 0},    {17, 0},     {18, 0},     {19, 0},    {20, 0},
     {21, 0},  {22, 0},    {23, 0},    {24, 0},    {25, 0},    {26, 0},     {27, 0},     {28, 0},    {29, 0},
     {30, 0},  {31, 0},    {32, 0},    {33, 0},    {34, 0},    {35, 1},     {37, 1},     {39, 1},    {41, 1},
     {43, 2},  {47, 2},    {51, 3},    {59, 3},    {67, 4},    {83, 4},     {99, 5},     {131, 7},   {259, 8},
     {515, 9}, {1027, 10}, {2051, 11}, {4099, 12}, {8195, 13}, {16387, 14}, {32771, 15}, {65539, 16}}};
constexpr std::array<std::int16_t, 36> kLiteralCounts = {4, 3, 2, 2, 2, 2, 2, 2, 2,  2,  2,  2,
                                                         2, 1, 1, 1, 2, 2, 2, 2, 2,  2,  2,  2,
                                                         2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1};
constexpr std::array<std::int16_t, 53> kMatchCounts = {
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  1,  1,  1,  1,  1,  1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1};
constexpr std::array<std::int16_t, 29> kOffsetCounts = {1, 1, 1, 1, 1, 1, 2, 2, 2, 1,  1,  1,  1,  1, 1,
                                                        1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1};
constexpr std::size_t kOffsetCodes = 32;

/// Writes `length` bytes at `written` that repeat those `offset` before; the two may overlap. DATA_CORRUPT
/// where the offset reaches before the start or the length past the end.
void copyMatch(std::span<std::uint8_t> output, std::size_t written, std::size_t offset, std::size_t length) {
  if (offset == 0 || offset > written) corrupt("a Zstandard block refers to bytes before its start");
  if (length > output.size() - written) corrupt("a Zstandard frame is longer than was said");
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

/// Everything that lives from block to block of a frame.
class Frame {
 public:
  Frame(std::span<std::uint8_t> output, std::size_t& written) : output_(output), written_(written) {}

  void compressedBlock(Bytes block) {
    // Coded data is read with wide loads from a copy with room on either side.
    std::copy(block.begin(), block.end(), buffer_.begin() + BackwardBits::kMargin);
    const Bytes content = Bytes(buffer_).subspan(BackwardBits::kMargin, block.size());
    readSequences(content.subspan(readLiterals(content)));
  }

 private:
  /// Reads the literals of a block; returns the length of their section.
  std::size_t readLiterals(Bytes block) {
    ByteReader reader(block);
    const Bytes head = reader.rest();
    if (head.empty()) corrupt("a Zstandard block is empty");
    const unsigned type = head[0] & 3u, format = head[0] >> 2 & 3u;
    const auto number = [&](std::size_t bytes) {
      std::uint64_t value = 0;
      const Bytes taken = reader.take(bytes);
      std::memcpy(&value, taken.data(), bytes);
      return value;
    };
    if (type < 2) {
      const std::size_t bytes = format == 1 ? 2 : format == 3 ? 3 : 1;
      const std::size_t size = number(bytes) >> (bytes == 1 ? 3 : 4);
      if (size > kMaxBlock) corrupt("a Zstandard block has too many literals");
      literals_ = std::span(literalBuffer_).first(size);
      if (type == 0) {
        const Bytes raw = reader.take(size);
        std::copy(raw.begin(), raw.end(), literals_.begin());
      } else {
        std::fill(literals_.begin(), literals_.end(), reader.fixed<std::uint8_t>());
      }
      return block.size() - reader.left();
    }
    const unsigned sizeBits = format < 2 ? 10 : format == 2 ? 14 : 18;
    const std::uint64_t sizes = number(format < 2 ? 3 : format == 2 ? 4 : 5) >> 4;
    const std::size_t mask = (std::size_t{1} << sizeBits) - 1;
    const std::size_t size = sizes & mask;
    Bytes coded = reader.take(sizes >> sizeBits & mask);
    if (size > kMaxBlock) corrupt("a Zstandard block has too many literals");
    literals_ = std::span(literalBuffer_).first(size);
    if (type == 2) coded = coded.subspan(huffman_.read(coded));
    if (!huffman_.ready()) corrupt("a Zstandard block refers to a table that was not given");
    if (format == 0) {
      huffman_.decode(coded, literals_);
    } else {
      fourStreams(coded);
    }
    return block.size() - reader.left();
  }

  void fourStreams(Bytes coded) {
    ByteReader reader(coded);
    std::array<std::size_t, 3> sizes{};
    for (std::size_t& size : sizes) size = reader.fixed<std::uint16_t>();
    const std::size_t piece = (literals_.size() + 3) / 4;
    if (piece * 3 > literals_.size()) corrupt("a Zstandard block has too few literals for four streams");
    for (std::size_t i = 0; i < 3; ++i)
      huffman_.decode(reader.take(sizes[i]), literals_.subspan(i * piece, piece));
    huffman_.decode(reader.rest(), literals_.subspan(3 * piece));
  }

  void readSequences(Bytes section) {
    ByteReader reader(section);
    std::size_t count = reader.fixed<std::uint8_t>();
    if (count == 255) {
      count = reader.fixed<std::uint16_t>() + std::size_t{0x7F00};
    } else if (count >= 128) {
      count = (count - 128) << 8 | reader.fixed<std::uint8_t>();
    }
    if (count > 0) {
      const unsigned modes = reader.fixed<std::uint8_t>();
      if ((modes & 3u) != 0) corrupt("a Zstandard block has a reserved mode");
      readTable(reader, modes >> 6, literalTable_, kLiteralCounts, 6, 9, kLiteralSteps.size());
      readTable(reader, modes >> 4 & 3u, offsetTable_, kOffsetCounts, 5, 8, kOffsetCodes);
      readTable(reader, modes >> 2 & 3u, matchTable_, kMatchCounts, 6, 9, kMatchSteps.size());
      runSequences(reader.rest(), count);
    } else if (reader.left() > 0) {
      corrupt("a Zstandard block goes on after its end");
    }
    writeLiterals(literals_.size());
  }

  static void readTable(ByteReader& reader, unsigned mode, FseTable& table,
                        std::span<const std::int16_t> standard, int standardAccuracy, int maxAccuracy,
                        std::size_t symbols) {
    if (mode == 0) {
      table.build(standard, standardAccuracy);
    } else if (mode == 1) {
      const std::uint8_t symbol = reader.fixed<std::uint8_t>();
      if (symbol >= symbols) corrupt("a Zstandard code is out of range");
      table.constant(symbol);
    } else if (mode == 2) {
      reader.take(table.read(reader.rest(), maxAccuracy, symbols));
    } else if (!table.ready()) {
      corrupt("a Zstandard block refers to a table that was not given");
    }
  }

  void runSequences(Bytes coded, std::size_t count) {
    BackwardBits bits(coded);
    std::size_t literalState = bits.read(literalTable_.accuracy());
    std::size_t offsetState = bits.read(offsetTable_.accuracy());
    std::size_t matchState = bits.read(matchTable_.accuracy());
    for (std::size_t i = 0; i < count; ++i) {
      const FseTable::Entry literal = literalTable_[literalState], offset = offsetTable_[offsetState],
                            match = matchTable_[matchState];
      const std::uint64_t offsetValue = (std::uint64_t{1} << offset.symbol) + bits.read(offset.symbol);
      const Step& matchStep = kMatchSteps[match.symbol];
      const std::size_t matchLength = matchStep.base + bits.read(matchStep.bits);
      const Step& literalStep = kLiteralSteps[literal.symbol];
      const std::size_t literalLength = literalStep.base + bits.read(literalStep.bits);
      if (i + 1 < count) {
        literalState = literal.next + bits.read(literal.bits);
        matchState = match.next + bits.read(match.bits);
        offsetState = offset.next + bits.read(offset.bits);
      }
      if (bits.overrun()) corrupt("a Zstandard block's sequences end early");
      writeLiterals(literalLength);
      copyMatch(output_, written_, offsetOf(offsetValue, literalLength), matchLength);
      written_ += matchLength;
    }
    if (bits.left() != 0) corrupt("a Zstandard block's sequences go on after their end");
  }

  /// An offset from its value: 1..3 name one of the last three.
  std::size_t offsetOf(std::uint64_t value, std::size_t literalLength) {
    std::size_t which = 3, offset = 0;
    if (value > 3) {
      offset = value - 3;
    } else {
      which = static_cast<std::size_t>(value) - (literalLength == 0 ? 0 : 1);
      offset = which < 3 ? recent_[which] : recent_[0] - 1;
    }
    if (which == 0) return offset;
    if (which != 1) recent_[2] = recent_[1];
    recent_[1] = recent_[0];
    recent_[0] = offset;
    return offset;
  }

  void writeLiterals(std::size_t count) {
    if (count > literals_.size()) corrupt("a Zstandard block has too few literals");
    if (count > output_.size() - written_) corrupt("a Zstandard frame is longer than was said");
    if (count > 0) std::memcpy(output_.data() + written_, literals_.data(), count);
    literals_ = literals_.subspan(count);
    written_ += count;
  }

  std::span<std::uint8_t> output_;
  std::size_t& written_;
  std::array<std::uint8_t, kMaxBlock + 2 * BackwardBits::kMargin> buffer_{};
  std::array<std::uint8_t, kMaxBlock> literalBuffer_;
  std::span<std::uint8_t> literals_;
  HuffmanTable huffman_;
  FseTable literalTable_, offsetTable_, matchTable_;
  std::array<std::size_t, 3> recent_ = {1, 4, 8};
};

/// What a frame's header says of it.
struct Header {
  std::optional<std::uint64_t> size;  // of the content
  bool checksum = false;
};

Header readHeader(ByteReader& reader) {
  const unsigned descriptor = reader.fixed<std::uint8_t>();
  const bool singleSegment = (descriptor & 32u) != 0;
  if ((descriptor & 8u) != 0) corrupt("a Zstandard frame has a reserved bit");
  if ((descriptor & 3u) != 0) throw Error("DATA_FORMAT", "Zstandard with a dictionary is not supported");
  if (!singleSegment) reader.take(1);
  Header header;
  header.checksum = (descriptor & 4u) != 0;
  const unsigned sizeFlag = descriptor >> 6;
  if (sizeFlag == 0 && singleSegment) header.size = reader.fixed<std::uint8_t>();
  if (sizeFlag == 1) header.size = reader.fixed<std::uint16_t>() + 256u;
  if (sizeFlag == 2) header.size = reader.fixed<std::uint32_t>();
  if (sizeFlag == 3) header.size = reader.fixed<std::uint64_t>();
  return header;
}

/// Writes a frame from `written` on; returns where it ends.
std::size_t readFrame(ByteReader& reader, std::span<std::uint8_t> output, std::size_t written) {
  const Header said = readHeader(reader);
  const std::size_t start = written, room = output.size() - written;
  if (said.size.value_or(0) > room) {
    throw Error("DATA_CORRUPT", "a Zstandard frame claims " + std::to_string(*said.size) +
                                    " bytes where at most " + std::to_string(room) + " are possible");
  }
  const auto frame = std::make_unique<Frame>(output, written);
  for (bool last = false; !last;) {
    const Bytes head = reader.take(3);
    const unsigned header =
        head[0] | static_cast<unsigned>(head[1]) << 8 | static_cast<unsigned>(head[2]) << 16;
    last = (header & 1u) != 0;
    const unsigned type = header >> 1 & 3u;
    const std::size_t size = header >> 3;
    if (type < 2) {
      if (size > output.size() - written) corrupt("a Zstandard frame is longer than was said");
      if (type == 1) {
        std::fill_n(output.begin() + static_cast<std::ptrdiff_t>(written), size,
                    reader.fixed<std::uint8_t>());
      } else {
        const Bytes raw = reader.take(size);
        std::copy(raw.begin(), raw.end(), output.begin() + static_cast<std::ptrdiff_t>(written));
      }
      written += size;
    } else if (type == 2 && size <= kMaxBlock) {
      frame->compressedBlock(reader.take(size));
    } else {
      corrupt("a Zstandard block's header is damaged");
    }
  }
  if (said.checksum) reader.take(4);
  if (said.size.value_or(written - start) != written - start)
    corrupt("a Zstandard frame holds not as much as it says");
  return written;
}

}  // namespace

std::size_t zstdDecompress(Bytes input, std::span<std::uint8_t> output) {
  ByteReader reader(input);
  std::size_t written = 0;
  while (reader.left() > 0) {
    const auto magic = reader.fixed<std::uint32_t>();
    if ((magic & ~15u) == kSkippableMagic) {
      reader.take(reader.fixed<std::uint32_t>());
    } else if (magic == kFrameMagic) {
      written = readFrame(reader, output, written);
    } else {
      corrupt("compressed data is no Zstandard frame");
    }
  }
  return written;
}

}  // namespace ddsc::data
