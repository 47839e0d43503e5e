#pragma once
// The Zstandard format (RFC 8878), decompression only, without dictionaries. The content checksum is not
// computed.

#include "cells/bytes.h"

namespace ddsc::data {

/// Decompresses frames to exactly `output.size()` bytes; DATA_CORRUPT otherwise. Memory: 0.5 MB beside
/// `output`.
void zstdDecompress(Bytes input, std::span<std::uint8_t> output);

}  // namespace ddsc::data
