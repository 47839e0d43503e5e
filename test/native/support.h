/// What op tests share: tensors filled from named random streams, ragged batches from cell lengths, float64
/// comparison, and loops over the instruction sets and types a test must hold for.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "core/views.h"
#include "ops/backend.h"

namespace ddsc::test {

/// `count` values uniform in [-scale, scale); different names give unrelated values, the same name the same
/// ones.
std::vector<float> randomValues(std::uint32_t name, std::int64_t count, float scale = 1);

/// A matrix in host memory (which the CPU backend shares). Rows are `padding` elements further apart than
/// they are long, and the gaps hold a NaN pattern: reading them poisons a result, checkGaps() finds a kernel
/// that wrote there.
class Tensor {
 public:
  Tensor(std::int64_t rows, std::int64_t cols, DType type = DType::f32, std::int64_t padding = 0);

  /// Uniform in [-scale, scale), rounded to the type.
  static Tensor random(std::uint32_t name, std::int64_t rows, std::int64_t cols, DType type = DType::f32,
                       float scale = 1, std::int64_t padding = 0);
  static Tensor of(const std::vector<float>& values, std::int64_t rows, std::int64_t cols,
                   DType type = DType::f32, std::int64_t padding = 0);

  Matrix view();
  ConstMatrix view() const;
  /// All elements, row by row (a float tensor without padding only).
  Span<float> span();

  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  DType type() const { return type_; }
  float at(std::int64_t row, std::int64_t col) const;
  void set(std::int64_t row, std::int64_t col, float value);
  void fill(float value);

  /// Row by row, without the gaps.
  std::vector<float> values() const;
  std::vector<double> doubles() const;
  /// Fails if a gap between rows was written.
  void checkGaps(std::source_location where = std::source_location::current()) const;

 private:
  std::int64_t rows_, cols_, stride_;
  DType type_;
  std::vector<std::uint16_t> halves_;  // both types, in units of two bytes
};

/// Cells of the given lengths, end to end; cellIndex counts up from firstCell.
class RaggedBatch {
 public:
  explicit RaggedBatch(std::vector<std::int32_t> lengths, std::uint64_t firstCell = 0);

  Ragged view() const;
  std::int64_t rows() const { return static_cast<std::int64_t>(cell_.size()); }
  std::int64_t cells() const { return static_cast<std::int64_t>(cellIndex_.size()); }
  std::int64_t start(std::int64_t cell) const { return offsets_[static_cast<std::size_t>(cell)]; }
  std::int64_t length(std::int64_t cell) const { return start(cell + 1) - start(cell); }

 private:
  std::vector<std::int32_t> offsets_, cell_, position_;
  std::vector<std::uint64_t> cellIndex_;
  std::int32_t longest_ = 0;
};

/// Fails unless ||actual - expected|| <= tolerance * ||expected|| in the 2-norm (<= tolerance where that is
/// 0), in float64; a NaN fails.
void checkAgainst(std::span<const float> actual, std::span<const double> expected, double tolerance,
                  std::source_location where = std::source_location::current());

/// How far a result of this type may be from float64, relative in the 2-norm: float `single`; bf16 one
/// rounding of each element (2^-8 relative at most), as inputs are exact and sums are float32.
double tolerance(DType type, double single = 1e-6);

/// Registers the test once for each instruction set of this machine: `body(backend, type)` runs for float and
/// bf16 with a backend of two threads. Use at namespace scope: `static const PerInstructionSet t("a
/// sentence", [](...) {...});`
struct PerInstructionSet {
  using Body = std::function<void(Backend& backend, DType type)>;
  PerInstructionSet(const std::string& name, const Body& body,
                    std::initializer_list<DType> types = {DType::f32, DType::bf16},
                    std::source_location where = std::source_location::current());
};

/// The backend that model tests run on: the best of this machine, or the GPU.
std::unique_ptr<Backend> backendUnderTest(int threads);
/// The numbers of threads that must give the same bits there.
std::vector<int> threadsUnderTest();

/// Runs `compute` on backends of 1, 2, 3 and 5 threads, for each instruction set, and fails unless all thread
/// counts give the same bits.
void checkThreadsAgree(const std::function<std::vector<float>(Backend&)>& compute,
                       std::source_location where = std::source_location::current());

/// Fails unless `gradient` agrees with central differences of `loss` along each of a few coordinates of
/// `values`, which are moved by `step` in place: |difference - gradient| <= tolerance * (1 + |gradient|).
void checkDifferences(std::span<double> values, std::span<const double> gradient,
                      const std::function<double()>& loss, double step = 1e-5, double tolerance = 1e-6,
                      std::source_location where = std::source_location::current());

}  // namespace ddsc::test
