#include "parquet/encodings.h"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace ddsc::data {

namespace {

[[noreturn]] void unsupported() {
  throw Error("DATA_FORMAT",
              "a page's encoding does not go with its type, or is unknown; write the file with plain "
              "or dictionary encoding");
}

template <class Stored>
void decodePlain(Bytes input, std::span<Stored> output) {
  const Bytes bytes = ByteReader(input).take(output.size_bytes());
  if (!bytes.empty()) std::memcpy(output.data(), bytes.data(), bytes.size());
}

/// BYTE_STREAM_SPLIT: all first bytes, then all second bytes, ...
template <class Stored>
void decodeSplit(Bytes input, std::span<Stored> output) {
  const Bytes bytes = ByteReader(input).take(output.size_bytes());
  for (std::size_t i = 0; i < output.size(); ++i) {
    std::uint8_t value[sizeof(Stored)];
    for (std::size_t byte = 0; byte < sizeof(Stored); ++byte) value[byte] = bytes[byte * output.size() + i];
    std::memcpy(&output[i], value, sizeof(Stored));
  }
}

std::vector<std::size_t> lengthsFrom(Bytes& input, std::size_t count) {
  std::vector<std::int64_t> deltas(count);
  input = decodeDeltas(input, deltas);
  std::vector<std::size_t> lengths(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (deltas[i] < 0) corrupt("a string has a negative length");
    lengths[i] = static_cast<std::size_t>(deltas[i]);
  }
  return lengths;
}

}  // namespace

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

Bytes decodeDeltas(Bytes input, std::span<std::int64_t> output) {
  ByteReader reader(input);
  const std::uint64_t blockValues = reader.varint(), blockParts = reader.varint(), total = reader.varint();
  std::int64_t value = reader.zigzag();
  if (blockParts == 0 || blockParts > 4096 || blockValues % 128 != 0 || blockValues == 0 ||
      blockValues > (1u << 20) || blockValues % blockParts != 0 || blockValues / blockParts % 32 != 0) {
    corrupt("a block of differences has an impossible size");
  }
  if (total < output.size()) corrupt("there are fewer values than the page says");
  const std::size_t partValues = blockValues / blockParts;
  std::vector<std::uint32_t> low(partValues);
  std::size_t at = 0;
  if (at < output.size()) output[at++] = value;
  while (at < output.size()) {
    const auto least = static_cast<std::uint64_t>(reader.zigzag());
    const Bytes widths = reader.take(blockParts);
    for (std::size_t part = 0; part < blockParts && at < output.size(); ++part) {
      const int width = widths[part];
      if (width > 64) corrupt("a difference has more than 64 bits");
      const std::size_t bytes = partValues / 8 * static_cast<std::size_t>(width);
      const Bytes packed = reader.take(bytes);
      const std::size_t count = std::min(partValues, output.size() - at);
      if (width <= 32) unpackBits(packed, width, low);
      for (std::size_t i = 0; i < count; ++i) {
        std::uint64_t difference = 0;
        if (width <= 32) {
          difference = low[i];
        } else {
          for (std::size_t bit = 0; bit < static_cast<std::size_t>(width); ++bit) {
            const std::size_t place = i * static_cast<std::size_t>(width) + bit;
            difference |= (std::uint64_t{packed[place / 8]} >> (place % 8) & 1u) << bit;
          }
        }
        // Unsigned, so that differences may wrap around as the format allows.
        value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) + least + difference);
        output[at++] = value;
      }
    }
  }
  return reader.rest();
}

template <class Stored>
void decodeNumbers(Bytes input, Encoding encoding, std::span<Stored> output) {
  if constexpr (std::is_same_v<Stored, std::uint8_t>) {
    if (encoding == Encoding::runs) {
      ByteReader reader(input);
      std::uint8_t* out = output.data();
      walkRuns(
          reader.take(reader.fixed<std::uint32_t>()), 1, output.size(),
          [&](std::size_t count, std::uint32_t bit) {
            out = std::fill_n(out, count, static_cast<std::uint8_t>(bit & 1u));
          },
          [&](std::span<const std::uint32_t> bits) { out = std::copy(bits.begin(), bits.end(), out); });
    } else if (encoding == Encoding::plain) {
      const Bytes packed = ByteReader(input).take((output.size() + 7) / 8);
      for (std::size_t i = 0; i < output.size(); ++i)
        output[i] = static_cast<std::uint8_t>(std::uint32_t{packed[i / 8]} >> (i % 8) & 1u);
    } else {
      unsupported();
    }
  } else {
    if (encoding == Encoding::plain) return decodePlain(input, output);
    if (encoding == Encoding::splitBytes) return decodeSplit(input, output);
    if constexpr (std::is_integral_v<Stored>) {
      if (encoding == Encoding::deltaNumbers) {
        std::vector<std::int64_t> wide(output.size());
        decodeDeltas(input, wide);
        std::transform(wide.begin(), wide.end(), output.begin(),
                       [](std::int64_t v) { return static_cast<Stored>(v); });
        return;
      }
    }
    unsupported();
  }
}

template void decodeNumbers(Bytes, Encoding, std::span<std::uint8_t>);
template void decodeNumbers(Bytes, Encoding, std::span<std::int32_t>);
template void decodeNumbers(Bytes, Encoding, std::span<std::int64_t>);
template void decodeNumbers(Bytes, Encoding, std::span<float>);
template void decodeNumbers(Bytes, Encoding, std::span<double>);

Strings decodeStrings(Bytes input, Encoding encoding, std::size_t count) {
  Strings strings;
  if (encoding == Encoding::plain) {
    // Each string has four bytes of length: more cannot be there, whatever the page claims.
    if (count > input.size() / 4) corrupt("there are fewer strings than the page says");
    strings.values.resize(count);
    ByteReader reader(input);
    for (Bytes& value : strings.values) value = reader.take(reader.fixed<std::uint32_t>());
  } else if (encoding == Encoding::deltaLengths) {
    const std::vector<std::size_t> lengths = lengthsFrom(input, count);
    ByteReader reader(input);
    for (const std::size_t length : lengths) strings.values.push_back(reader.take(length));
  } else if (encoding == Encoding::deltaStrings) {
    // Each string repeats the first bytes of the one before.
    const std::vector<std::size_t> prefixes = lengthsFrom(input, count), lengths = lengthsFrom(input, count);
    std::size_t total = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (prefixes[i] > (std::size_t{1} << 30) || lengths[i] > input.size()) corrupt("a string is too long");
      total += prefixes[i] + lengths[i];
      if (total > (std::size_t{1} << 30))
        throw Error("DATA_TOO_LARGE", "a page holds more than 2^30 bytes of text");
    }
    strings.storage.reserve(total);  // never moves from here on: values point into it
    ByteReader reader(input);
    Bytes before;
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes suffix = reader.take(lengths[i]);
      if (prefixes[i] > before.size()) corrupt("a string repeats more than there is");
      const std::size_t start = strings.storage.size();
      strings.storage.insert(strings.storage.end(), before.begin(),
                             before.begin() + static_cast<std::ptrdiff_t>(prefixes[i]));
      strings.storage.insert(strings.storage.end(), suffix.begin(), suffix.end());
      before = Bytes(strings.storage).subspan(start);
      strings.values.push_back(before);
    }
  } else {
    unsupported();
  }
  return strings;
}

}  // namespace ddsc::data
