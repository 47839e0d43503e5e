#pragma once
// The emulator's twin of cuda/primitives.cuh: the same names with the documented meaning, checked. Included
// by it where no CUDA compiler is at work.

#include <cmath>
#include <cstring>
#include <string>
#include <type_traits>

#include "test/native/cuda/emulator/block.h"

#define DDSC_DEVICE inline
#define DDSC_KERNEL(...) void

namespace ddsc::cuda {

using emulator::Index;

inline int threadIndex() { return emulator::threadIndex(); }
inline int laneIndex() { return emulator::threadIndex() % kWarpSize; }
inline int warpIndex() { return emulator::threadIndex() / kWarpSize; }
inline int blockThreads() { return emulator::gridShape().threads; }
inline Index blockIndex() { return emulator::blockIndex(); }

inline void syncBlock() { emulator::syncBlock(); }
inline void syncWarp() { emulator::syncWarp(); }

namespace emulator {

/// What a lane brings to a shuffle and takes from it.
template <class T>
struct Exchange {
  T value;
  int from;
  T result;
};

template <class T>
T exchange(const char* name, T value, int from) {
  if (from < 0 || from >= kWarpSize) fault("shuffle from lane " + std::to_string(from));
  Exchange<T> own{value, from, value};
  warpOperation(name, &own, [](void* const* lanes) {
    for (int lane = 0; lane < kWarpSize; ++lane) {
      auto& to = *static_cast<Exchange<T>*>(lanes[lane]);
      to.result = static_cast<Exchange<T>*>(lanes[to.from])->value;
    }
  });
  return own.result;
}

}  // namespace emulator

template <class T>
T shuffle(T value, int lane) {
  return emulator::exchange("shuffle", value, lane);
}
template <class T>
T shuffleXor(T value, int mask) {
  return emulator::exchange("shuffleXor", value, laneIndex() ^ mask);
}

inline float fusedMultiplyAdd(float a, float b, float c) { return std::fma(a, b, c); }

inline float add(float a, float b) { return a + b; }
inline float multiply(float a, float b) { return a * b; }
inline float divide(float a, float b) { return a / b; }
inline float squareRoot(float x) { return std::sqrt(x); }

inline float exponential2(float x) {
  const float y = std::exp2(x);
  return y < 0x1p-126f ? 0.0f : y;
}

inline std::uint32_t packBf16(float low, float high) {
  return static_cast<std::uint32_t>(toBf16(high).bits) << 16 | toBf16(low).bits;
}

template <class T>
struct Global {
  T* data;
  std::int64_t size;

  T& operator[](std::int64_t i) const {
    check(i, 1);
    return data[i];
  }
  template <int n>
  Vector<std::remove_const_t<T>, n> load(std::int64_t i) const {
    check(i, n);
    Vector<std::remove_const_t<T>, n> vector;
    std::memcpy(&vector, data + i, sizeof vector);
    return vector;
  }
  template <int n>
  void store(std::int64_t i, const Vector<T, n>& vector) const {
    check(i, n);
    std::memcpy(data + i, &vector, sizeof vector);
  }
  void check(std::int64_t i, int count) const {
    if (i < 0 || i + count > size)
      emulator::fault("access to elements " + std::to_string(i) + " to " + std::to_string(i + count - 1) +
                      " of " + std::to_string(size) + " in global memory");
    const auto alignment = sizeof(T) * static_cast<std::size_t>(count);
    if (reinterpret_cast<std::uintptr_t>(data + i) % alignment != 0)
      emulator::fault("misaligned access to global memory");
  }
};

template <class T>
struct Shared {
  T* data;

  /// An element; reading and writing it are noted.
  class Element {
   public:
    explicit Element(T* at) : at_(at) {}
    Element(const Element&) = default;
    operator T() const {
      emulator::sharedRead(at_, sizeof(T), sizeof(T));
      return *at_;
    }
    const Element& operator=(T value) const {
      emulator::sharedWrite(at_, sizeof(T), sizeof(T));
      *at_ = value;
      return *this;
    }
    const Element& operator=(const Element& other) const { return *this = static_cast<T>(other); }
    const Element& operator+=(T value) const { return *this = static_cast<T>(*this) + value; }
    const Element& operator*=(T value) const { return *this = static_cast<T>(*this) * value; }

   private:
    T* at_;
  };

  Element operator[](int i) const { return Element(data + i); }
  Shared operator+(int offset) const { return {data + offset}; }
  template <int n>
  Vector<T, n> load(int i) const {
    Vector<T, n> vector;
    emulator::sharedRead(data + i, sizeof vector, sizeof vector);
    std::memcpy(&vector, data + i, sizeof vector);
    return vector;
  }
  template <int n>
  void store(int i, const Vector<T, n>& vector) const {
    emulator::sharedWrite(data + i, sizeof vector, sizeof vector);
    std::memcpy(data + i, &vector, sizeof vector);
  }
};

class SharedMemory {
 public:
  template <class T>
  Shared<T> take(int count) {
    T* part = reinterpret_cast<T*>(emulator::sharedMemory() + used_);
    used_ += (static_cast<std::size_t>(count) * sizeof(T) + 127) / 128 * 128;
    if (used_ > emulator::gridShape().sharedBytes)
      emulator::fault("the kernel takes " + std::to_string(used_) +
                      " bytes of shared memory, the launch gave " +
                      std::to_string(emulator::gridShape().sharedBytes));
    return {part};
  }

 private:
  std::size_t used_ = 0;
};

template <class T>
void copyAsync(Shared<T> to, int i, Global<const T> from, std::int64_t j, int valid) {
  constexpr int kElements = 16 / static_cast<int>(sizeof(T));
  if (valid < 0 || valid > kElements) emulator::fault("an asynchronous copy of " + std::to_string(valid));
  if (valid > 0 && (j < 0 || j + valid > from.size))
    emulator::fault("asynchronous copy of elements " + std::to_string(j) + " to " +
                    std::to_string(j + valid - 1) + " of " + std::to_string(from.size));
  emulator::copyAsync(to.data + i, from.data + j, static_cast<std::size_t>(valid) * sizeof(T));
}
inline void commitCopies() { emulator::commitCopies(); }
template <int pending>
void waitForCopies() {
  emulator::waitForCopies(pending);
}

namespace emulator {

struct MatrixLoad {
  const bf16* row;
  std::uint32_t* fragment;
};

template <bool transposed>
void loadMatrices(std::uint32_t (&fragment)[4], Shared<bf16> row) {
  sharedRead(row.data, 16, 16);
  MatrixLoad own{row.data, fragment};
  warpOperation(transposed ? "loadMatrix4Transposed" : "loadMatrix4", &own, [](void* const* lanes) {
    const auto load = [&](int lane) { return static_cast<MatrixLoad*>(lanes[lane]); };
    for (int lane = 0; lane < kWarpSize; ++lane) {
      for (int tile = 0; tile < 4; ++tile) {
        const int group = lane / 4, pair = lane % 4 * 2;
        const auto element = [&](int r, int c) { return load(8 * tile + r)->row[c].bits; };
        const std::uint16_t low = transposed ? element(pair, group) : element(group, pair);
        const std::uint16_t high = transposed ? element(pair + 1, group) : element(group, pair + 1);
        load(lane)->fragment[tile] = static_cast<std::uint32_t>(high) << 16 | low;
      }
    }
  });
}

struct MatrixProduct {
  float* sums;
  const std::uint32_t* a;
  std::uint32_t b[2];
};

inline float halfOf(std::uint32_t pair, int which) {
  return toFloat(bf16{static_cast<std::uint16_t>(which == 0 ? pair & 0xFFFFu : pair >> 16)});
}

/// Eight columns of a product, on which the compiler works at once.
using ProductRow [[gnu::vector_size(64)]] = double;

/// One 16 x 8 x 16 product from what the 32 lanes hold. The sum is taken exactly and rounded once.
inline void multiplyFragments(void* const* lanes) {
  double a[16][16];
  ProductRow b[16], sums[16];
  for (int lane = 0; lane < kWarpSize; ++lane) {
    const auto& own = *static_cast<const MatrixProduct*>(lanes[lane]);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int half = 0; half < 2; ++half) {
      for (int part = 0; part < 4; ++part)
        a[group + part % 2 * 8][pair + part / 2 * 8 + half] = halfOf(own.a[part], half);
      for (int part = 0; part < 2; ++part) b[pair + part * 8 + half][group] = halfOf(own.b[part], half);
      for (int part = 0; part < 2; ++part) sums[group + part * 8][pair + half] = own.sums[2 * part + half];
    }
  }
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < 16; ++k) sums[row] += a[row][k] * b[k];
  for (int lane = 0; lane < kWarpSize; ++lane) {
    const auto& own = *static_cast<const MatrixProduct*>(lanes[lane]);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int part = 0; part < 4; ++part)
      own.sums[part] = static_cast<float>(sums[group + part / 2 * 8][pair + part % 2]);
  }
}

}  // namespace emulator

inline void loadMatrix4(std::uint32_t (&fragment)[4], Shared<bf16> row) {
  emulator::loadMatrices<false>(fragment, row);
}
inline void loadMatrix4Transposed(std::uint32_t (&fragment)[4], Shared<bf16> row) {
  emulator::loadMatrices<true>(fragment, row);
}

inline void multiplyAccumulate(float (&sums)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                               std::uint32_t b1) {
  emulator::MatrixProduct own{sums, a, {b0, b1}};
  emulator::warpOperation("multiplyAccumulate", &own, emulator::multiplyFragments);
}

inline constexpr bool kHasGroupProducts = true;

inline void showToProducts() {}
inline void beginProducts() {}
inline void commitProducts() {}
template <int pending>
void waitForProducts() {}
inline void takeSums(float (&)[32][4]) {}

namespace emulator {

struct GroupProduct {
  float (*sums)[4];
  const bf16 *a, *b;
  int step;
  bool contiguousA, contiguousB;
};

/// Place of (row, step) in a tile of an operand.
inline int groupPlace(bool stepsContiguous, int row, int step) {
  return stepsContiguous ? groupChunk(row, step / 8) + step % 8
                         : groupChunk(row / kGroupRows * kGroupSteps + step, row % kGroupRows / 8) + row % 8;
}

/// Notes that this lane reads its share of the chunks of `rows` rows and 16 steps.
inline void readGroupOperand(const bf16* tile, bool stepsContiguous, int first, int rows, int step) {
  for (int chunk = threadIndex() % kWarpSize; chunk < rows * 2; chunk += kWarpSize) {
    const int row = first + (stepsContiguous ? chunk / 2 : chunk / 16 * 8);
    const int at = step + (stepsContiguous ? chunk % 2 * 8 : chunk % 16);
    sharedRead(tile + groupPlace(stepsContiguous, row, at), 16, 16);
  }
}

/// The 16 rows of one warp. The sums are taken exactly and rounded once.
inline void multiplyGroupOfWarp(void* const* lanes) {
  const auto& first = *static_cast<GroupProduct*>(lanes[0]);
  const int warpRow = threadIndex() / kWarpSize % 4 * 16;
  static double a[16][16], b[kGroupCols][16];
  const auto take = [&](double& to, const bf16* tile, bool stepsContiguous, int row, int k) {
    to = static_cast<double>(toFloat(tile[groupPlace(stepsContiguous, row, first.step + k)]));
  };
  for (int k = 0; k < 16; ++k) {
    for (int row = 0; row < 16; ++row) take(a[row][k], first.a, first.contiguousA, warpRow + row, k);
    for (int col = 0; col < kGroupCols; ++col) take(b[col][k], first.b, first.contiguousB, col, k);
  }
  for (int lane = 0; lane < kWarpSize; ++lane) {
    auto& own = *static_cast<GroupProduct*>(lanes[lane]);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int j = 0; j < kGroupCols / 8; ++j) {
      for (int part = 0; part < 4; ++part) {
        double sum = static_cast<double>(own.sums[j][part]);
        for (int k = 0; k < 16; ++k) sum += a[group + part / 2 * 8][k] * b[8 * j + pair + part % 2][k];
        own.sums[j][part] = static_cast<float>(sum);
      }
    }
  }
}

}  // namespace emulator

template <bool contiguousA, bool contiguousB>
void multiplyGroup(float (&sums)[32][4], Shared<bf16> a, Shared<bf16> b, int step) {
  if (reinterpret_cast<std::uintptr_t>(a.data) % 1024 != 0 ||
      reinterpret_cast<std::uintptr_t>(b.data) % 1024 != 0)
    emulator::fault("a tile of a product begins at no multiple of 1,024 bytes");
  emulator::readGroupOperand(a.data, contiguousA, emulator::threadIndex() / kWarpSize % 4 * 16, 16, step);
  emulator::readGroupOperand(b.data, contiguousB, 0, kGroupCols, step);
  emulator::GroupProduct own{sums, a.data, b.data, step, contiguousA, contiguousB};
  emulator::warpOperation("multiplyGroup", &own, emulator::multiplyGroupOfWarp);
}

}  // namespace ddsc::cuda
