#include "parquet/parquet_page.h"

#include <bit>

#include "parquet/lz4.h"
#include "parquet/snappy.h"
#include "parquet/zstd.h"

namespace ddsc::data {

namespace {

constexpr std::size_t kMaxPageBytes = std::size_t{1} << 30;
constexpr std::size_t kMaxPageValues = std::size_t{1} << 25;
/// No block of these grows by more: a larger claim is refused before memory is set aside.
constexpr std::size_t kSnappyGrowth = 32, kLz4Growth = 256;

Bytes within(Bytes bytes, std::size_t offset, std::size_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) corrupt("a page lies outside its column");
  return bytes.subspan(offset, size);
}

/// Levels of version 1: a length in four bytes, then runs.
Bytes prefixedLevels(ByteReader& reader) { return reader.take(reader.fixed<std::uint32_t>()); }

}  // namespace

int levelWidth(int most) { return static_cast<int>(std::bit_width(static_cast<unsigned>(most))); }

PageBody PageReader::read(const PageEntry& page) {
  if (page.uncompressedSize > kMaxPageBytes || page.values > kMaxPageValues) {
    throw Error("DATA_TOO_LARGE",
                "a page claims more than 2^30 bytes or 2^25 values; write it with smaller row groups");
  }
  const Bytes body = within(chunk_.bytes, page.offset, page.compressedSize);
  const ColumnShape& shape = chunk_.shape;
  if (page.kind == PageEntry::Kind::dataV2) {
    // Levels stand in front, never compressed.
    ByteReader reader(body);
    PageBody result;
    result.repetition = reader.take(page.repetitionBytes);
    result.definition = reader.take(page.definitionBytes);
    const std::size_t levels = page.repetitionBytes + page.definitionBytes;
    if (levels > page.uncompressedSize) corrupt("a page's levels are longer than the page");
    result.values =
        page.compressed ? decompress(reader.rest(), page.uncompressedSize - levels) : reader.rest();
    return result;
  }
  PageBody result;
  ByteReader reader(decompress(body, page.uncompressedSize));
  if (page.kind == PageEntry::Kind::dataV1) {
    if (shape.maxRepetition > 0) result.repetition = prefixedLevels(reader);
    if (shape.maxDefinition > 0) result.definition = prefixedLevels(reader);
  }
  result.values = reader.rest();
  return result;
}

Bytes PageReader::decompress(Bytes body, std::size_t size) {
  const Codec codec = chunk_.shape.codec;
  if (codec == Codec::none) {
    if (body.size() != size) corrupt("a page has another size than its header says");
    return body;
  }
  if (size == 0) return {};
  const std::size_t growth = codec == Codec::snappy ? kSnappyGrowth
                             : codec == Codec::lz4  ? kLz4Growth
                                                    : kMaxPageBytes;
  if (size / growth > body.size()) corrupt("a page claims more bytes than it can hold");
  if (size > capacity_) {
    // Not initialised, so that a claim costs no memory until it is written to.
    buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(size);
    capacity_ = size;
  }
  const std::span<std::uint8_t> output(buffer_.get(), size);
  switch (codec) {
    case Codec::snappy: snappyDecompress(body, output); break;
    case Codec::zstd: zstdDecompress(body, output); break;
    case Codec::lz4: lz4Decompress(body, output); break;
    case Codec::none: break;
  }
  return output;
}

}  // namespace ddsc::data
