#include "test/native/support.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/bf16.h"
#include "core/random.h"
#include "test/native/harness.h"

namespace ddsc::test {
namespace {

/// A NaN in both types.
constexpr std::uint16_t kGap = 0x7FC1;

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

std::int64_t halvesPerElement(DType type) { return sizeOf(type) / 2; }

/// Gives every element, row by row, the value of its place among them.
template <class Value>
void setAll(const Matrix& m, const Value& valueOf) {
  std::size_t i = 0;
  for (std::int64_t row = 0; row < m.rows; ++row) {
    if (m.type == DType::f32) {
      float* const to = m.row<float>(row);
      for (std::int64_t col = 0; col < m.cols; ++col) to[col] = valueOf(i++);
    } else {
      bf16* const to = m.row<bf16>(row);
      for (std::int64_t col = 0; col < m.cols; ++col) to[col] = toBf16(valueOf(i++));
    }
  }
}

}  // namespace

std::vector<float> randomValues(std::uint32_t name, std::int64_t count, float scale) {
  const Stream stream(name, Purpose::simulate, 0, 0);
  std::vector<float> values(index(count));
  PhiloxBlock block;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % 4 == 0) block = philox(stream, static_cast<std::uint32_t>(i / 4));
    const double unit = static_cast<double>(block.word[i % 4]) * 0x1p-32;
    values[i] = static_cast<float>((2 * unit - 1) * static_cast<double>(scale));
  }
  return values;
}

Tensor::Tensor(std::int64_t rows, std::int64_t cols, DType type, std::int64_t padding)
    : rows_(rows),
      cols_(cols),
      stride_(cols + padding),
      type_(type),
      halves_(index(rows * (cols + padding) * halvesPerElement(type)), kGap) {}

Tensor Tensor::of(const std::vector<float>& values, std::int64_t rows, std::int64_t cols, DType type,
                  std::int64_t padding) {
  Tensor tensor(rows, cols, type, padding);
  check(values.size() >= index(rows * cols), "a tensor needs a value for each element");
  setAll(tensor.view(), [from = values.data()](std::size_t i) { return from[i]; });
  return tensor;
}

Tensor Tensor::random(std::uint32_t name, std::int64_t rows, std::int64_t cols, DType type, float scale,
                      std::int64_t padding) {
  return of(randomValues(name, rows * cols, scale), rows, cols, type, padding);
}

Matrix Tensor::view() { return {halves_.data(), rows_, cols_, stride_, type_}; }
ConstMatrix Tensor::view() const { return {halves_.data(), rows_, cols_, stride_, type_}; }

Span<float> Tensor::span() {
  check(type_ == DType::f32 && stride_ == cols_, "a span needs a float tensor without padding");
  return {view().as<float>(), rows_ * cols_};
}

float Tensor::at(std::int64_t row, std::int64_t col) const {
  const ConstMatrix m = view();
  return type_ == DType::f32 ? m.row<float>(row)[col] : toFloat(m.row<bf16>(row)[col]);
}

void Tensor::set(std::int64_t row, std::int64_t col, float value) {
  const Matrix m = view();
  if (type_ == DType::f32) {
    m.row<float>(row)[col] = value;
  } else {
    m.row<bf16>(row)[col] = toBf16(value);
  }
}

void Tensor::fill(float value) {
  setAll(view(), [value](std::size_t) { return value; });
}

std::vector<float> Tensor::values() const {
  std::vector<float> all(index(rows_ * cols_));
  const ConstMatrix m = view();
  float* to = all.data();
  for (std::int64_t row = 0; row < rows_; ++row) {
    if (type_ == DType::f32)
      to = std::copy_n(m.row<float>(row), cols_, to);
    else
      to = std::transform(m.row<bf16>(row), m.row<bf16>(row) + cols_, to, [](bf16 x) { return toFloat(x); });
  }
  return all;
}

std::vector<double> Tensor::doubles() const {
  const std::vector<float> all = values();
  return {all.begin(), all.end()};
}

void Tensor::checkGaps(std::source_location where) const {
  const std::int64_t halves = halvesPerElement(type_);
  for (std::int64_t row = 0; row < rows_; ++row)
    for (std::int64_t half = cols_ * halves; half < stride_ * halves; ++half)
      check(halves_[index(row * stride_ * halves + half)] == kGap,
            "the gap after row " + std::to_string(row) + " was written", where);
}

RaggedBatch::RaggedBatch(std::vector<std::int32_t> lengths, std::uint64_t firstCell) {
  offsets_.push_back(0);
  for (std::size_t cell = 0; cell < lengths.size(); ++cell) {
    for (std::int32_t position = 0; position < lengths[cell]; ++position) {
      cell_.push_back(static_cast<std::int32_t>(cell));
      position_.push_back(position);
    }
    offsets_.push_back(offsets_.back() + lengths[cell]);
    cellIndex_.push_back(firstCell + cell);
    longest_ = std::max(longest_, lengths[cell]);
  }
}

Ragged RaggedBatch::view() const {
  return {{offsets_.data(), static_cast<std::int64_t>(offsets_.size())},
          {cell_.data(), rows()},
          {position_.data(), rows()},
          {cellIndex_.data(), cells()},
          longest_};
}

void checkAgainst(std::span<const float> actual, std::span<const double> expected, double tolerance,
                  std::source_location where) {
  checkEqual(actual.size(), expected.size(), where);
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double d = static_cast<double>(actual[i]) - expected[i];
    difference += d * d;
    norm += expected[i] * expected[i];
  }
  const double error = norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
  check(error <= tolerance,
        "relative error is " + std::to_string(error * 1e6) + "e-6, allowed " +
            std::to_string(tolerance * 1e6) + "e-6",
        where);
}

double tolerance(DType type, double single) { return type == DType::f32 ? single : 0x1p-8; }

void checkDifferences(std::span<double> values, std::span<const double> gradient,
                      const std::function<double()>& loss, double step, double tolerance,
                      std::source_location where) {
  checkEqual(values.size(), gradient.size(), where);
  constexpr std::size_t mostCoordinates = 24;
  const std::size_t stride = std::max<std::size_t>(1, values.size() / mostCoordinates);
  for (std::size_t i = 0; i < values.size(); i += stride) {
    const double value = values[i];
    values[i] = value + step;
    const double above = loss();
    values[i] = value - step;
    const double below = loss();
    values[i] = value;
    checkClose((above - below) / (2 * step), gradient[i], tolerance * (1 + std::abs(gradient[i])), where);
  }
}

}  // namespace ddsc::test
