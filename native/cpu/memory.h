#pragma once
#include <cstddef>

namespace ddsc::cpu {

/// Uninitialised memory, 64-byte aligned, in huge pages where it is large; throws Error OUT_OF_MEMORY with
/// the size.
void* allocateAligned(std::size_t bytes);
void releaseAligned(void* memory) noexcept;

/// Size of a block of allocateAligned's: what was asked for or a little more; 0 for null.
std::size_t alignedBytes(void* memory) noexcept;

}  // namespace ddsc::cpu
