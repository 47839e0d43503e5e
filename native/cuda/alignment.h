#pragma once
#include <cstdint>

#include "core/views.h"

namespace ddsc::cuda {

/// Bytes that a thread moves at most with one instruction, from multiples of as many.
inline constexpr std::uint32_t kWideBytes = 16;

/// Whether rows of this matrix can be moved so many bytes at a time.
inline bool isAligned(const void* data, std::int64_t stride, DType type) {
  return reinterpret_cast<std::uintptr_t>(data) % kWideBytes == 0 && stride * sizeOf(type) % kWideBytes == 0;
}

}  // namespace ddsc::cuda
