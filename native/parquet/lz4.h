#pragma once
// The LZ4 block format (Parquet's LZ4_RAW).

#include "cells/bytes.h"

namespace ddsc::data {

/// Decompresses a block behind the `written` bytes of `output`, to which it may refer. Returns how many bytes
/// there are then; DATA_CORRUPT where they are more than `output` has.
std::size_t lz4Block(Bytes input, std::span<std::uint8_t> output, std::size_t written);

/// Decompresses `input` to exactly `output.size()` bytes; DATA_CORRUPT otherwise.
void lz4Decompress(Bytes input, std::span<std::uint8_t> output);

}  // namespace ddsc::data
