#pragma once
// The Zstandard format (RFC 8878), decompression only, without dictionaries. The content checksum is not
// computed.

#include "cells/bytes.h"

namespace ddsc::data {

/// Decompresses frames into `output`; returns how many bytes they hold. DATA_CORRUPT where they are damaged
/// or hold more. Memory: 0.5 MB beside `output`.
std::size_t zstdDecompress(Bytes input, std::span<std::uint8_t> output);

}  // namespace ddsc::data
