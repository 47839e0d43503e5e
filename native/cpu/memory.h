#pragma once
#include <cstddef>

namespace ddsc::cpu {

/// Uninitialised memory, 64-byte aligned, in huge pages where it is large; throws Error OUT_OF_MEMORY with
/// the size.
void* allocateAligned(std::size_t bytes);
void releaseAligned(void* memory) noexcept;

}  // namespace ddsc::cpu
