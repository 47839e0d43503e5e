#pragma once
// Small things that several kernels share: rows of either type, activations, reductions over a warp.

#include "cuda/alignment.h"
#include "cuda/launch.cuh"
#include "ops/ops.h"

namespace ddsc::cuda {

DDSC_DEVICE int least(int a, int b) { return a < b ? a : b; }
DDSC_DEVICE std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
inline constexpr std::int64_t ceilDivide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// n neighbouring elements as float, whatever the type; `count` < n: the others are 0.
template <int n, class T>
DDSC_DEVICE Vector<float, n> loadRow(const Rows<const T>& rows, std::int64_t row, std::int64_t col, int count,
                                     bool aligned) {
  Vector<float, n> values;
  const Global<const T> from = rows[row];
  if (aligned && count == n) {
    constexpr int kPiece = n < 16 / static_cast<int>(sizeof(T)) ? n : 16 / static_cast<int>(sizeof(T));
#pragma unroll
    for (int i = 0; i < n; i += kPiece) {
      const Vector<T, kPiece> piece = from.template load<kPiece>(col + i);
#pragma unroll
      for (int j = 0; j < kPiece; ++j) values.value[i + j] = toFloat(piece.value[j]);
    }
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i) values.value[i] = i < count ? toFloat(from[col + i]) : 0.0f;
  }
  return values;
}

/// The first `count` of n neighbouring elements, rounded to the type.
template <int n, class T>
DDSC_DEVICE void storeRow(const Rows<T>& rows, std::int64_t row, std::int64_t col, int count, bool aligned,
                          const Vector<float, n>& values) {
  const Global<T> to = rows[row];
  if (aligned && count == n) {
    constexpr int kPiece = n < 16 / static_cast<int>(sizeof(T)) ? n : 16 / static_cast<int>(sizeof(T));
#pragma unroll
    for (int i = 0; i < n; i += kPiece) {
      Vector<T, kPiece> piece;
#pragma unroll
      for (int j = 0; j < kPiece; ++j) piece.value[j] = fromFloat<T>(values.value[i + j]);
      to.template store<kPiece>(col + i, piece);
    }
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i)
      if (i < count) to[col + i] = fromFloat<T>(values.value[i]);
  }
}

/// Rows of float or bf16, known when run: for what is touched once per element of a product.
template <class Void>  // void or const void
struct AnyRows {
  Void* data;
  std::int64_t rows, cols, stride;
  DType type;
  bool aligned;

  DDSC_DEVICE explicit operator bool() const { return data != nullptr; }
  template <int n>
  DDSC_DEVICE Vector<float, n> load(std::int64_t row, std::int64_t col, int count) const {
    if (type == DType::f32)
      return loadRow<n>(Rows<const float>{static_cast<const float*>(data), rows, cols, stride}, row, col,
                        count, aligned);
    return loadRow<n>(Rows<const bf16>{static_cast<const bf16*>(data), rows, cols, stride}, row, col, count,
                      aligned);
  }
  template <int n>
  DDSC_DEVICE void store(std::int64_t row, std::int64_t col, int count,
                         const Vector<float, n>& values) const {
    if (type == DType::f32) {
      storeRow<n>(Rows<float>{static_cast<float*>(data), rows, cols, stride}, row, col, count, aligned,
                  values);
    } else {
      storeRow<n>(Rows<bf16>{static_cast<bf16*>(data), rows, cols, stride}, row, col, count, aligned, values);
    }
  }
};

inline AnyRows<void> anyRows(const Matrix& m) {
  return {m.data, m.rows, m.cols, m.stride, m.type, isAligned(m.data, m.stride, m.type)};
}
inline AnyRows<const void> anyRows(const ConstMatrix& m) {
  return {m.data, m.rows, m.cols, m.stride, m.type, isAligned(m.data, m.stride, m.type)};
}

/// The thread's number in a grid of one dimension.
DDSC_DEVICE std::int64_t threadOfGrid() {
  return static_cast<std::int64_t>(blockIndex().x) * blockThreads() + threadIndex();
}

/// Kernels that give each row to a warp: eight rows a block.
inline constexpr int kWarpsPerBlock = 8, kRowThreads = kWarpsPerBlock * kWarpSize;
inline LaunchShape warpPerRow(std::int64_t rows) {
  return {.x = ceilDivide(rows, kWarpsPerBlock), .threads = kRowThreads};
}
/// The warp's row; rows or more: none.
DDSC_DEVICE std::int64_t rowOfWarp() {
  return static_cast<std::int64_t>(blockIndex().x) * kWarpsPerBlock + warpIndex();
}

/// Columns that a lane takes at once.
inline constexpr int kRun = 4;
using Run = Vector<float, kRun>;

/// body(col, count) for this lane's runs of a row: the warp's lanes side by side.
template <class Body>
DDSC_DEVICE void eachRun(std::int64_t cols, const Body& body) {
  for (std::int64_t col = laneIndex() * kRun; col < cols; col += kWarpSize * kRun)
    body(col, static_cast<int>(least(cols - col, std::int64_t{kRun})));
}

/// A matrix with what `loadRow` and `storeRow` need to know of it.
template <class T>
struct View {
  Rows<T> rows;
  bool aligned;

  DDSC_DEVICE Run load(std::int64_t row, std::int64_t col, int count) const {
    return loadRow<kRun>(Rows<const T>{rows.data, rows.rows, rows.cols, rows.stride}, row, col, count,
                         aligned);
  }
  DDSC_DEVICE void store(std::int64_t row, std::int64_t col, int count, const Run& values) const {
    storeRow<kRun>(rows, row, col, count, aligned, values);
  }
};
template <class T>
struct View<const T> {
  Rows<const T> rows;
  bool aligned;

  DDSC_DEVICE Run load(std::int64_t row, std::int64_t col, int count) const {
    return loadRow<kRun>(rows, row, col, count, aligned);
  }
};
template <class T>
View<T> viewOf(const Matrix& m) {
  return {rowsOf<T>(m), isAligned(m.data, m.stride, m.type)};
}
template <class T>
View<const T> viewOf(const ConstMatrix& m) {
  return {rowsOf<T>(m), isAligned(m.data, m.stride, m.type)};
}
/// One row of all its elements.
inline View<const float> viewOf(const Span<const float>& span) {
  return {{span.data, 1, span.size, span.size}, isAligned(span.data, 0, DType::f32)};
}

/// Calls body with a float or a bf16, as the type says.
template <class Body>
void withElementType(DType type, const Body& body) {
  if (type == DType::f32) {
    body(float{});
  } else {
    body(bf16{});
  }
}

/// tanh from one exponential; exact at the ends.
DDSC_DEVICE float hyperbolicTangent(float x) {
  constexpr float kTwoLog2E = 2.8853900817779268f;
  const float e = exponential2(kTwoLog2E * (x < 0 ? x : -x));
  const float t = (1.0f - e) / (1.0f + e);
  return x < 0 ? -t : t;
}

DDSC_DEVICE float logistic(float x) {
  constexpr float kLog2E = 1.4426950408889634f;
  return 1.0f / (1.0f + exponential2(-kLog2E * x));
}

inline constexpr float kGeluRate = 0.7978845608028654f, kGeluCubic = 0.044715f;

DDSC_DEVICE float activate(Activation activation, float x) {
  if (activation == Activation::geluTanh)
    return 0.5f * x * (1.0f + hyperbolicTangent(kGeluRate * (x + kGeluCubic * x * x * x)));
  if (activation == Activation::silu) return x * logistic(x);
  return x;
}

DDSC_DEVICE float activationDerivative(Activation activation, float x) {
  if (activation == Activation::geluTanh) {
    const float t = hyperbolicTangent(kGeluRate * (x + kGeluCubic * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * kGeluRate * (1.0f + 3.0f * kGeluCubic * x * x);
  }
  if (activation == Activation::silu) {
    const float s = logistic(x);
    return s * (1.0f + x * (1.0f - s));
  }
  return 1.0f;
}

/// The sum over the lanes of a warp, in every lane; the same tree whatever the values.
template <class T>
DDSC_DEVICE T warpSum(T value) {
#pragma unroll
  for (int mask = kWarpSize / 2; mask > 0; mask /= 2) value += shuffleXor(value, mask);
  return value;
}
template <class T>
DDSC_DEVICE T warpMaximum(T value) {
#pragma unroll
  for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
    const T other = shuffleXor(value, mask);
    value = other > value ? other : value;
  }
  return value;
}

}  // namespace ddsc::cuda
