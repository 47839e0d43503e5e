#pragma once
// The LZ4 frame format, without dictionaries; every checksum there is is compared.

#include "cells/bytes.h"

namespace ddsc::data {

/// Decompresses frames to exactly `output.size()` bytes; DATA_CORRUPT otherwise.
void lz4FrameDecompress(Bytes input, std::span<std::uint8_t> output);

}  // namespace ddsc::data
