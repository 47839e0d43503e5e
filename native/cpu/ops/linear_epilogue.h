#pragma once
// What becomes of the finished tiles of a linear layer: they are taken row by row, a row's two vectors at a
// time, and what an op asks for is asked once a row. Results larger than the second-level caches go past them
// (nobody reads them there, and a line that is written whole need not be fetched first).

#include "cpu/gemm/gemm.h"

namespace ddsc::cpu::DDSC_ISA {

/// One row of a tile.
struct TileRow {
  F left, right;
};

/// All lanes of a row.
struct WholeRow {};
/// The first lanes of a row's two vectors, at the result's right edge.
struct RowStart {
  std::int64_t left, right;
};

template <class T>
DDSC_INLINE TileRow loadRow(const T* p, WholeRow) {
  return {load(p), load(p + kWidth)};
}
template <class T>
DDSC_INLINE TileRow loadRow(const T* p, RowStart lanes) {
  return {load(p, lanes.left), load(p + kWidth, lanes.right)};
}
template <class T>
DDSC_INLINE void storeRow(T* p, const TileRow& row, WholeRow) {
  store(p, row.left);
  store(p + kWidth, row.right);
}
template <class T>
DDSC_INLINE void storeRow(T* p, const TileRow& row, RowStart lanes) {
  store(p, row.left, lanes.left);
  store(p + kWidth, row.right, lanes.right);
}
DDSC_INLINE TileRow operator+(const TileRow& a, const TileRow& b) {
  return {a.left + b.left, a.right + b.right};
}
DDSC_INLINE TileRow operator*(const TileRow& a, const TileRow& b) {
  return {a.left * b.left, a.right * b.right};
}

/// Where tile rows are read from: a matrix of either type, or none.
class RowSource {
 public:
  DDSC_INLINE explicit RowSource(const ConstMatrix& m)
      : data_(m.as<char>()), stride_(m.stride), type_(m.type) {}
  DDSC_INLINE explicit operator bool() const { return data_ != nullptr; }
  template <class Lanes>
  DDSC_INLINE TileRow get(std::int64_t row, std::int64_t col, Lanes lanes) const {
    const std::int64_t at = row * stride_ + col;
    if (type_ == DType::f32) return loadRow(reinterpret_cast<const float*>(data_) + at, lanes);
    return loadRow(reinterpret_cast<const bf16*>(data_) + at, lanes);
  }
  DDSC_INLINE void fetch(std::int64_t row, std::int64_t col) const {
    prefetch(data_ + (row * stride_ + col) * sizeOf(type_), kTileCols * sizeOf(type_));
  }

 private:
  const char* data_;
  std::int64_t stride_;
  DType type_;
};

/// Where tile rows are written: a matrix of either type, or none.
class RowSink {
 public:
  DDSC_INLINE RowSink(const Context& context, const Matrix& m)
      : data_(m.as<char>()), stride_(m.stride), type_(m.type) {
    // Second-level caches are of this size or smaller.
    const std::int64_t caches = context.pool.threads() * (std::int64_t{2} << 20);
    const std::int64_t rowBytes = m.stride * sizeOf(m.type);
    const bool wholeLines = reinterpret_cast<std::uintptr_t>(data_) % kLine == 0 && rowBytes % kLine == 0 &&
                            kTileCols * sizeOf(m.type) % kLine == 0;
    streams_ = wholeLines && m.rows * rowBytes > caches;
  }
  DDSC_INLINE explicit operator bool() const { return data_ != nullptr; }
  template <class Lanes>
  DDSC_INLINE void put(std::int64_t row, std::int64_t col, const TileRow& values, Lanes lanes) const {
    const std::int64_t at = row * stride_ + col;
    if (type_ == DType::f32) {
      putRow(reinterpret_cast<float*>(data_) + at, values, lanes);
    } else {
      putRow(reinterpret_cast<bf16*>(data_) + at, values, lanes);
    }
  }

 private:
  static constexpr std::int64_t kLine = 64;

  template <class T>
  DDSC_INLINE void putRow(T* to, const TileRow& values, WholeRow lanes) const {
    if (streams_) {
      stream(to, values.left);
      stream(to + kWidth, values.right);
    } else {
      storeRow(to, values, lanes);
    }
  }
  template <class T>
  DDSC_INLINE void putRow(T* to, const TileRow& values, RowStart lanes) const {
    storeRow(to, values, lanes);
  }

  char* data_;
  std::int64_t stride_;
  DType type_;
  bool streams_;
};

/// An epilogue for gemm.h that calls body(row, col, values, lanes) for each row of a tile, and before the
/// tile is multiplied ahead(row, col).
template <class Body, class Ahead>
struct RowEpilogue {
  Body body;
  Ahead ahead;

  DDSC_INLINE void prepare(std::int64_t row, std::int64_t col, std::int64_t rows) const {
    for (std::int64_t i = 0; i < rows; ++i) ahead(row + i, col);
  }
  DDSC_INLINE void operator()(std::int64_t row, std::int64_t col, std::int64_t rows, std::int64_t cols,
                              const float* tile) const {
    if (cols == kTileCols) {
      for (std::int64_t i = 0; i < rows; ++i)
        body(row + i, col, loadRow(tile + i * kTileCols, WholeRow{}), WholeRow{});
    } else {
      const RowStart lanes{least(kWidth, cols), most(0, cols - kWidth)};
      for (std::int64_t i = 0; i < rows; ++i)
        body(row + i, col, loadRow(tile + i * kTileCols, WholeRow{}), lanes);
    }
  }
};

DDSC_INLINE TileRow activate(Activation activation, const TileRow& x) {
  switch (activation) {
    case Activation::geluTanh: return {geluTanh(x.left), geluTanh(x.right)};
    case Activation::silu: return {silu(x.left), silu(x.right)};
    case Activation::none: break;
  }
  return x;
}

DDSC_INLINE TileRow activationDerivative(Activation activation, const TileRow& x) {
  switch (activation) {
    case Activation::geluTanh: return {geluTanhDerivative(x.left), geluTanhDerivative(x.right)};
    case Activation::silu: return {siluDerivative(x.left), siluDerivative(x.right)};
    case Activation::none: break;
  }
  return {set1(1.0f), set1(1.0f)};
}

}  // namespace ddsc::cpu::DDSC_ISA
