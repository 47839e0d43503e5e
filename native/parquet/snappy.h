#pragma once
// The Snappy format (raw blocks, as Parquet pages use them).

#include <vector>

#include "cells/bytes.h"

namespace ddsc::data {

/// Decompresses `input` to exactly `output.size()` bytes; DATA_CORRUPT where it says or yields another size.
void snappyDecompress(Bytes input, std::span<std::uint8_t> output);

/// Appends the compressed form of `input` (less than 2^32 bytes) to `output`.
void snappyCompress(Bytes input, std::vector<std::uint8_t>& output);

}  // namespace ddsc::data
