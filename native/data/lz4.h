#pragma once
// The LZ4 block format (Parquet's LZ4_RAW).

#include "data/bytes.h"

namespace ddsc::data {

/// Decompresses `input` to exactly `output.size()` bytes; DATA_CORRUPT otherwise.
void lz4Decompress(Bytes input, std::span<std::uint8_t> output);

}  // namespace ddsc::data
