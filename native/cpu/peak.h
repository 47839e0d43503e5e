#pragma once
// What this machine can do at most: plain loops that nothing but the units themselves holds back.

#include <functional>
#include <string_view>

#include "cpu/thread_pool.h"
#include "ops/ops.h"

namespace ddsc::cpu {

/// Seconds of the fastest of a few calls: what else runs on the machine only ever slows one down. On one
/// thread in processor time, which leaves out what the system gave to others meanwhile.
double fastestSeconds(const std::function<void()>& body, int threads);

/// Floating-point operations a second of multiply-adds in registers, on all threads of the pool, with the
/// vectors of the instruction set and operands of this type; sums are float32. Takes some 20 ms.
double peakFlops(std::string_view instructionSet, DType operands, ThreadPool& pool);

/// Bytes a second between memory and all threads of the pool: the better of reading (a sum) and of copying,
/// over more than caches hold. Takes some 0.3 s and 256 MiB.
double peakBandwidth(ThreadPool& pool);

}  // namespace ddsc::cpu
