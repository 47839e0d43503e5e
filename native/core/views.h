#pragma once
// Views of memory owned elsewhere. Functions here are forced inline because kernel files are compiled once
// per instruction set: an out-of-line copy built with AVX flags must never be the one the linker keeps.

#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__CUDACC__)
#define DDSC_INLINE __host__ __device__ __forceinline__
#else
#define DDSC_INLINE [[gnu::always_inline]] inline
#endif

namespace ddsc {

/// bfloat16: the upper half of a float32, rounded to nearest even.
struct bf16 {
  std::uint16_t bits;
};

enum class DType : std::uint8_t { f32, bf16 };

DDSC_INLINE constexpr std::int64_t sizeOf(DType type) { return type == DType::f32 ? 4 : 2; }

template <class T>
DDSC_INLINE constexpr DType dtypeOf() {
  static_assert(std::is_same_v<std::remove_const_t<T>, float> ||
                std::is_same_v<std::remove_const_t<T>, bf16>);
  return std::is_same_v<std::remove_const_t<T>, float> ? DType::f32 : DType::bf16;
}

/// Contiguous elements; an empty span (null, 0) means "not wanted" or "not given" where an op says so.
template <class T>
struct Span {
  T* data = nullptr;
  std::int64_t size = 0;

  bool operator==(const Span&) const = default;
  DDSC_INLINE T& operator[](std::int64_t i) const { return data[i]; }
  DDSC_INLINE explicit operator bool() const { return data != nullptr; }
  DDSC_INLINE operator Span<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, size};
  }
  DDSC_INLINE Span part(std::int64_t first, std::int64_t count) const { return {data + first, count}; }
};

/// Row-major [rows, cols] of float or bf16, `stride` elements from row to row (>= cols).
struct Matrix {
  void* data = nullptr;
  std::int64_t rows = 0, cols = 0, stride = 0;
  DType type = DType::f32;

  bool operator==(const Matrix&) const = default;
  DDSC_INLINE explicit operator bool() const { return data != nullptr; }
  template <class T>
  DDSC_INLINE T* as() const {
    return static_cast<T*>(data);
  }
  template <class T>
  DDSC_INLINE T* row(std::int64_t i) const {
    return static_cast<T*>(data) + i * stride;
  }
  /// Columns first .. first + count - 1, same rows.
  DDSC_INLINE Matrix columns(std::int64_t first, std::int64_t count) const {
    return {static_cast<char*>(data) + first * sizeOf(type), rows, count, stride, type};
  }
  /// Rows first .. first + count - 1, same columns.
  DDSC_INLINE Matrix slice(std::int64_t first, std::int64_t count) const {
    return {static_cast<char*>(data) + first * stride * sizeOf(type), count, cols, stride, type};
  }
};

/// A Matrix that is only read.
struct ConstMatrix {
  const void* data = nullptr;
  std::int64_t rows = 0, cols = 0, stride = 0;
  DType type = DType::f32;

  DDSC_INLINE ConstMatrix() {}
  DDSC_INLINE ConstMatrix(const void* elements, std::int64_t rowCount, std::int64_t columnCount,
                          std::int64_t rowStride, DType elementType)
      : data(elements), rows(rowCount), cols(columnCount), stride(rowStride), type(elementType) {}
  DDSC_INLINE ConstMatrix(const Matrix& m)
      : data(m.data), rows(m.rows), cols(m.cols), stride(m.stride), type(m.type) {}
  bool operator==(const ConstMatrix&) const = default;
  DDSC_INLINE explicit operator bool() const { return data != nullptr; }
  template <class T>
  DDSC_INLINE const T* as() const {
    return static_cast<const T*>(data);
  }
  template <class T>
  DDSC_INLINE const T* row(std::int64_t i) const {
    return static_cast<const T*>(data) + i * stride;
  }
  DDSC_INLINE ConstMatrix columns(std::int64_t first, std::int64_t count) const {
    return {static_cast<const char*>(data) + first * sizeOf(type), rows, count, stride, type};
  }
  DDSC_INLINE ConstMatrix slice(std::int64_t first, std::int64_t count) const {
    return {static_cast<const char*>(data) + first * stride * sizeOf(type), count, cols, stride, type};
  }
};

/// The cells of a ragged batch: tokens end to end, no padding. Rows may be a subset of the cells' tokens (the
/// masked ones, say): then `offsets` bounds the subset and `position` still numbers the token in its whole
/// cell.
struct Ragged {
  Span<const std::int32_t> offsets;     // [cells + 1], offsets[0] = 0
  Span<const std::int32_t> cell;        // [rows], cell of each row, ascending
  Span<const std::int32_t> position;    // [rows], position of each row in its cell, ascending within a cell
  Span<const std::uint64_t> cellIndex;  // [cells], global index: names the cell's random streams
  std::int32_t longest = 0;             // most rows of one cell

  bool operator==(const Ragged&) const = default;
  DDSC_INLINE std::int64_t cells() const { return offsets.size - 1; }
  DDSC_INLINE std::int64_t rows() const { return cell.size; }
};

}  // namespace ddsc
