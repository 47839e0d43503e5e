#pragma once
// Everything a kernel says to the hardware: where a thread is, barriers, warp operations, shared memory,
// asynchronous copies, matrix instructions. Kernels use these and no built-in of CUDA's, so that the same
// sources run on the emulator (emulator/primitives.h), which has a twin of each. What holds for both:
//
//   DDSC_KERNEL(threads)   starts a kernel of at most so many threads a block; blocks are whole warps. A
//   second
//                          argument: blocks of it that a multiprocessor is to hold at a time, where the
//                          compiler would rather spill than leave it at that
//   threadIndex() laneIndex() warpIndex() blockIndex() blockThreads()
//   syncBlock() syncWarp()
//   shuffle(value, lane) shuffleXor(value, mask)   all 32 lanes take part
//   SharedMemory           hands out the block's dynamic shared memory, front to back
//   Shared<T> Global<T>    views; operator[], load<n>() and store() of n neighbours at once, aligned
//   copyAsync() commitCopies() waitForCopies<n>()   16 bytes from global to shared memory, past the registers
//   loadMatrix4() loadMatrix4Transposed()           four 8 x 8 tiles of bf16 into fragments (ldmatrix)
//   multiplyAccumulate()                            16 x 8 x 16 bf16, float32 sums (mma.sync, sm_80)
//   kHasGroupProducts                               whether this is code for GPUs that have the next four
//   showToProducts() beginProducts() multiplyGroup() commitProducts() waitForProducts<n>()
//                                                   64 x 256 x 16 bf16 by four warps, from shared memory,
//                                                   under way while the threads go on (wgmma, sm_90a)
//   add() multiply() divide() squareRoot() fusedMultiplyAdd() exponential2() packBf16()   arithmetic

#include <cstddef>
#include <cstdint>

#include "core/bf16.h"
#include "core/views.h"

namespace ddsc::cuda {

inline constexpr int kWarpSize = 32;

/// Steps of an operand's tile for the products of four warps: as many bf16 as a line of 128 bytes has, eight
/// chunks of 16 bytes. Where steps are contiguous each line has those of one row; else each has 64 rows of
/// one step, the lines of all steps follow each other, and then those of the next 64 rows. Chunks are
/// permuted, so that neither copies nor products meet a bank twice (128-byte swizzling). A tile begins at a
/// multiple of 1,024 bytes.
inline constexpr int kGroupSteps = 64;
inline constexpr int kGroupRows = 64, kGroupCols = 256;

/// Place of chunk `chunk` of a line.
#if defined(__CUDACC__)
__host__ __device__
#endif
    constexpr int groupChunk(int line, int chunk) {
  return line * kGroupSteps + ((chunk ^ (line & 7)) * 8);
}

/// n neighbours, moved by one instruction where they are 16 bytes or fewer.
template <class T, int n>
struct alignas(sizeof(T) * static_cast<std::size_t>(n)) Vector {
  T value[static_cast<std::size_t>(n)];
};

}  // namespace ddsc::cuda

#if defined(__CUDACC__)

#define DDSC_DEVICE __device__ __forceinline__
#define DDSC_KERNEL(...) __global__ void __launch_bounds__(__VA_ARGS__)

namespace ddsc::cuda {

struct Index {
  int x, y, z;
};

DDSC_DEVICE int threadIndex() { return static_cast<int>(threadIdx.x); }
DDSC_DEVICE int laneIndex() { return static_cast<int>(threadIdx.x) % kWarpSize; }
DDSC_DEVICE int warpIndex() { return static_cast<int>(threadIdx.x) / kWarpSize; }
DDSC_DEVICE int blockThreads() { return static_cast<int>(blockDim.x); }
DDSC_DEVICE Index blockIndex() {
  return {static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.z)};
}

DDSC_DEVICE void syncBlock() { __syncthreads(); }
DDSC_DEVICE void syncWarp() { __syncwarp(); }

template <class T>
DDSC_DEVICE T shuffle(T value, int lane) {
  return __shfl_sync(0xFFFFFFFFu, value, lane);
}
template <class T>
DDSC_DEVICE T shuffleXor(T value, int mask) {
  return __shfl_xor_sync(0xFFFFFFFFu, value, mask);
}

/// a b + c, rounded once.
DDSC_DEVICE float fusedMultiplyAdd(float a, float b, float c) { return __fmaf_rn(a, b, c); }

// Rounded to nearest, never contracted into something else.
DDSC_DEVICE float add(float a, float b) { return __fadd_rn(a, b); }
DDSC_DEVICE float multiply(float a, float b) { return __fmul_rn(a, b); }
DDSC_DEVICE float divide(float a, float b) { return __fdiv_rn(a, b); }
DDSC_DEVICE float squareRoot(float x) { return __fsqrt_rn(x); }

/// 2^x, within two units in the last place; denormal results are 0.
DDSC_DEVICE float exponential2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Two values rounded to bf16, the first in the low half.
DDSC_DEVICE std::uint32_t packBf16(float low, float high) {
  std::uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

template <class T>
struct Global {
  T* data;
  std::int64_t size;

  DDSC_DEVICE T& operator[](std::int64_t i) const { return data[i]; }
  template <int n>
  DDSC_DEVICE Vector<std::remove_const_t<T>, n> load(std::int64_t i) const {
    return *reinterpret_cast<const Vector<std::remove_const_t<T>, n>*>(data + i);
  }
  template <int n>
  DDSC_DEVICE void store(std::int64_t i, const Vector<T, n>& vector) const {
    *reinterpret_cast<Vector<T, n>*>(data + i) = vector;
  }
};

template <class T>
struct Shared {
  T* data;

  DDSC_DEVICE T& operator[](int i) const { return data[i]; }
  DDSC_DEVICE Shared operator+(int offset) const { return {data + offset}; }
  template <int n>
  DDSC_DEVICE Vector<T, n> load(int i) const {
    return *reinterpret_cast<const Vector<T, n>*>(data + i);
  }
  template <int n>
  DDSC_DEVICE void store(int i, const Vector<T, n>& vector) const {
    *reinterpret_cast<Vector<T, n>*>(data + i) = vector;
  }
};

class SharedMemory {
 public:
  /// `count` elements, 128-byte aligned; the first 1,024-byte aligned.
  template <class T>
  DDSC_DEVICE Shared<T> take(int count) {
    extern __shared__ __align__(1024) unsigned char ddscSharedMemory[];
    T* part = reinterpret_cast<T*>(ddscSharedMemory + used_);
    used_ += (count * static_cast<int>(sizeof(T)) + 127) / 128 * 128;
    return {part};
  }

 private:
  int used_ = 0;
};

/// 16 bytes to `to[i]` from `from[j]`; elements from `valid` on become zero and are not read.
template <class T>
DDSC_DEVICE void copyAsync(Shared<T> to, int i, Global<const T> from, std::int64_t j, int valid) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(to.data + i));
  const int bytes = valid * static_cast<int>(sizeof(T));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address),
               "l"(valid > 0 ? from.data + j : from.data), "r"(bytes)
               : "memory");
}
DDSC_DEVICE void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int pending>
DDSC_DEVICE void waitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

/// Lanes 8 i .. 8 i + 7 give the rows (8 bf16 each, at row[0]) of tile i; element i of the result is this
/// lane's pair of tile i: row lane / 4, columns 2 (lane % 4) and the next.
DDSC_DEVICE void loadMatrix4(std::uint32_t (&fragment)[4], Shared<bf16> row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row.data));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(address)
               : "memory");
}
/// The same of the transposed tiles: rows 2 (lane % 4) and the next, column lane / 4.
DDSC_DEVICE void loadMatrix4Transposed(std::uint32_t (&fragment)[4], Shared<bf16> row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row.data));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(address)
               : "memory");
}

/// sums += A B: A 16 x 16, B 16 x 8, sums 16 x 8. With g = lane / 4, t = 2 (lane % 4), a pair of neighbours
/// along the summed dimension in each register: a = (g, t), (g + 8, t), (g, t + 8), (g + 8, t + 8); b = (t,
/// g), (t + 8, g); sums = (g, t), (g, t + 1), (g + 8, t), (g + 8, t + 1).
DDSC_DEVICE void multiplyAccumulate(float (&sums)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                    std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define DDSC_GROUP_PRODUCTS 1
inline constexpr bool kHasGroupProducts = true;
#else
inline constexpr bool kHasGroupProducts = false;
#endif

/// Makes what this thread has written or copied to shared memory visible to products that begin after the
/// next barrier.
DDSC_DEVICE void showToProducts() {
#if defined(DDSC_GROUP_PRODUCTS)
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
/// Before the first product of several, whose sums no thread touches until it has waited for them.
DDSC_DEVICE void beginProducts() {
#if defined(DDSC_GROUP_PRODUCTS)
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
DDSC_DEVICE void commitProducts() {
#if defined(DDSC_GROUP_PRODUCTS)
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
template <int pending>
DDSC_DEVICE void waitForProducts() {
#if defined(DDSC_GROUP_PRODUCTS)
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
#endif
}

#if defined(DDSC_GROUP_PRODUCTS)
/// What tells the matrix unit where an operand lies (PTX ISA, "Matrix-descriptor format"): from here in units
/// of 16 bytes, 1,024 bytes from eight lines to the next, between 64 rows and the next where these are
/// contiguous a whole tile of lines; swizzled by 128 bytes.
template <bool stepsContiguous>
DDSC_DEVICE std::uint64_t groupOperand(Shared<bf16> tile, int step) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(tile.data)) +
                       static_cast<std::uint32_t>(stepsContiguous ? step * 2 : step * 128);
  constexpr std::uint64_t kToNextRows = stepsContiguous ? 1 : kGroupSteps * 128 / 16;
  constexpr std::uint64_t kToNextLines = 1024 / 16;
  return static_cast<std::uint64_t>((address & 0x3FFFFu) >> 4) | kToNextRows << 16 | kToNextLines << 32 |
         std::uint64_t{1} << 62;
}
#endif

/// sums += A B of one warp group (four warps, the first a multiple of four): A 64 rows, B 256 columns, of
/// their tiles steps `step` .. `step` + 15. Each warp has 16 rows; sums[j] are those of columns 8 j .. 8 j +
/// 7 as `multiplyAccumulate` has them. Goes on while the threads do: see `waitForProducts`.
template <bool contiguousA, bool contiguousB>
DDSC_DEVICE void multiplyGroup(float (&sums)[32][4], Shared<bf16> a, Shared<bf16> b, int step) {
#if defined(DDSC_GROUP_PRODUCTS)
#define DDSC_SUMS(j) "+f"(sums[j][0]), "+f"(sums[j][1]), "+f"(sums[j][2]), "+f"(sums[j][3])
#define DDSC_EIGHT(j)                                                                                     \
  DDSC_SUMS(j), DDSC_SUMS(j + 1), DDSC_SUMS(j + 2), DDSC_SUMS(j + 3), DDSC_SUMS(j + 4), DDSC_SUMS(j + 5), \
      DDSC_SUMS(j + 6), DDSC_SUMS(j + 7)
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127 "
      "}, %128, %129, 1, 1, 1, %130, %131;"
      : DDSC_EIGHT(0), DDSC_EIGHT(8), DDSC_EIGHT(16), DDSC_EIGHT(24)
      : "l"(groupOperand<contiguousA>(a, step)), "l"(groupOperand<contiguousB>(b, step)),
        "n"(contiguousA ? 0 : 1), "n"(contiguousB ? 0 : 1)
      : "memory");
#undef DDSC_EIGHT
#undef DDSC_SUMS
#endif
}
/// After `waitForProducts`: the sums are what they have become.
DDSC_DEVICE void takeSums(float (&sums)[32][4]) {
#pragma unroll
  for (int j = 0; j < 32; ++j) {
#pragma unroll
    for (int k = 0; k < 4; ++k) asm volatile("" : "+f"(sums[j][k])::"memory");
  }
}

}  // namespace ddsc::cuda

#else
// Not part of what ships: a target that emulates a GPU brings it, with the folder that it is in.
#include "emulator/primitives.h"
#endif

namespace ddsc::cuda {

/// A matrix as a kernel reads and writes it.
template <class T>
struct Rows {
  T* data;
  std::int64_t rows, cols, stride;

  DDSC_DEVICE Global<T> operator[](std::int64_t row) const {
#if !defined(__CUDACC__)
    if (row < 0 || row >= rows) emulator::fault("row " + std::to_string(row) + " of " + std::to_string(rows));
#endif
    return {data + row * stride, cols};
  }
};

/// The elements of an op's matrix; T const where it is only read.
template <class T>
inline Rows<T> rowsOf(const Matrix& m) {
  return {m.as<T>(), m.rows, m.cols, m.stride};
}
template <class T>
inline Rows<const T> rowsOf(const ConstMatrix& m) {
  return {m.as<T>(), m.rows, m.cols, m.stride};
}
template <class T>
inline Global<T> globalOf(const Span<T>& span) {
  return {span.data, span.size};
}

}  // namespace ddsc::cuda
