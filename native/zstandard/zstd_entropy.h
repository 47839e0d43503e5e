#pragma once
// Zstandard's two entropy coders (RFC 8878, section 4): finite state entropy and Huffman.

#include <array>
#include <vector>

#include "zstandard/zstd_bits.h"

namespace ddsc::data {

/// A decoding table of finite state entropy.
class FseTable {
 public:
  struct Entry {
    std::uint16_t next;  // first state that may follow
    std::uint8_t bits;   // read so many and add them
    std::uint8_t symbol;
  };

  bool ready() const { return !entries_.empty(); }
  int accuracy() const { return accuracy_; }
  const Entry& operator[](std::size_t state) const { return entries_[state]; }

  /// A table that always gives one symbol.
  void constant(std::uint8_t symbol);
  /// From counts that add up to 2^accuracy; -1 is a count of "less than one".
  void build(std::span<const std::int16_t> counts, int accuracy);
  /// Reads a table's description; returns its length in bytes.
  std::size_t read(Bytes bytes, int maxAccuracy, std::size_t maxSymbols);

 private:
  std::vector<Entry> entries_;
  int accuracy_ = 0;
};

/// A Huffman decoding table of at most 11 bits.
class HuffmanTable {
 public:
  bool ready() const { return bits_ > 0; }
  /// Reads a table's description (a header byte and what it announces); returns its length in bytes.
  std::size_t read(Bytes bytes);
  /// Decodes one stream to exactly `output.size()` bytes. The stream needs BackwardBits' margins.
  void decode(Bytes stream, std::span<std::uint8_t> output) const;

 private:
  struct Entry {
    std::uint8_t symbol, bits;
  };
  void build(std::span<const std::uint8_t> weights);

  std::array<Entry, 1 << 11> entries_{};
  int bits_ = 0;
};

}  // namespace ddsc::data
