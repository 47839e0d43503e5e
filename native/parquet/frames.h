#pragma once
// What the frame formats of Zstandard and LZ4 have in common: one frame after another, each with a magic
// number, and between them frames to be skipped.

#include <cstdint>

#include "cells/bytes.h"

namespace ddsc::data {

/// Decompresses all frames into `output`; returns the bytes written. `read(reader, output, written)` reads a
/// frame after its magic number, writes it from `written` on and returns where it ends. `unknown` is the
/// error for another magic number.
template <class Read>
std::size_t decompressFrames(Bytes input, std::span<std::uint8_t> output, std::uint32_t frameMagic,
                             const char* unknown, const Read& read) {
  constexpr std::uint32_t skippableMagic = 0x184D2A50u;  // its last four bits are free
  ByteReader reader(input);
  std::size_t written = 0;
  while (reader.left() > 0) {
    const auto magic = reader.fixed<std::uint32_t>();
    if ((magic & ~15u) == skippableMagic) {
      reader.take(reader.fixed<std::uint32_t>());
    } else if (magic == frameMagic) {
      written = read(reader, output, written);
    } else {
      corrupt(unknown);
    }
  }
  return written;
}

}  // namespace ddsc::data
