#pragma once
// Runs the threads of a grid, block by block, as fibers: barriers, warp-wide operations, shared memory and
// asynchronous copies as a GPU has them, with every rule that the hardware leaves unchecked checked.
// Test-only.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "test/native/cuda/emulator/shared_memory.h"

namespace ddsc::cuda::emulator {

inline constexpr int kWarpSize = 32;

struct Index {
  int x = 0, y = 0, z = 0;
};

struct GridShape {
  Index blocks{1, 1, 1};
  int threads = 1;  // a multiple of the warp size
  std::size_t sharedBytes = 0;
};

/// Runs every block of a grid, one after the other. Throws Error CUDA_EMULATOR for anything a kernel may not
/// do, naming kernel, block and thread.
void runGrid(const char* kernel, const GridShape& shape, const std::function<void()>& body);

// For the running thread of the running block:

int threadIndex();
Index blockIndex();
const GridShape& gridShape();

/// Ends the grid with a fault.
[[noreturn]] void fault(const std::string& what);

void syncBlock();

/// Meets the other lanes of the warp at an operation of this name, all 32 of them: `compute` gets what each
/// lane brought, by lane, and runs once.
void warpOperation(const char* name, void* lane, void (*compute)(void* const* lanes));
/// A warp operation that also orders memory.
void syncWarp();

std::byte* sharedMemory();
/// A fault where the address is not in shared memory or the access breaks a rule.
void sharedRead(const void* address, std::size_t bytes, std::size_t alignment);
void sharedWrite(const void* address, std::size_t bytes, std::size_t alignment);

/// Begins to copy 16 bytes to shared memory, the first `valid` of them from `from`, the others zero.
void copyAsync(void* toShared, const void* from, std::size_t valid);
void commitCopies();
/// Waits until at most `pending` committed groups of this thread are under way.
void waitForCopies(int pending);

}  // namespace ddsc::cuda::emulator
