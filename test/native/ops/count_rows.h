#pragma once
// What tests of the count ops share: rows of genes and cells, their bases, and the formulas of ops.h by
// themselves, in long double and without a table.

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/count_values.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {

using Reals = std::vector<long double>;

/// Rows of random genes in cells of these lengths. Genes have every pair of five shares (0 too) and five
/// sizes; every twelfth or so of the tilts is clamped or at the clamp.
struct CountRows {
  CountValues counts;
  RaggedBatch cells;
  std::vector<double> share, size, depth, table;
  std::vector<std::int32_t> gene, target;
  Tensor tilt, weight, logits;
  std::int32_t firstValue = 2;

  CountRows(const std::vector<std::int32_t>& lengths, float scale, const CountValues& values = CountValues())
      : counts(values),
        cells(lengths, 7),
        tilt(Tensor::random(2, 1, cells.rows(), DType::f32, 3)),
        weight(Tensor::random(3, 1, cells.rows())),
        logits(Tensor::random(4, cells.rows(), counts.values() + 3, DType::f32, scale, 5)) {
    for (const double ofShare : {0.0, 1e-9, 1e-5, 1e-3, 0.4})
      for (const double ofSize : {0.01, 0.3, 1.0, 7.5, 100.0}) {
        share.push_back(ofShare);
        size.push_back(ofSize);
      }
    for (std::int64_t cell = 0; cell < cells.cells(); ++cell)
      depth.push_back(cell % 3 == 0 ? 5000 : cell % 3 == 1 ? 50'000 : 30);
    makeTable();
    const std::vector<float> genes = randomValues(5, cells.rows(), 0.5f);
    const std::vector<float> targets = randomValues(6, cells.rows(), 0.5f);
    constexpr float kEdges[] = {-7, -6, 6, 40};
    for (std::int64_t row = 0; row < cells.rows(); ++row) {
      const auto pick = [row](const std::vector<float>& of, std::int64_t count) {
        const double at = static_cast<double>(of[static_cast<std::size_t>(row)]) + 0.5;
        return static_cast<std::int32_t>(std::min(at * static_cast<double>(count), double(count - 1)));
      };
      gene.push_back(pick(genes, 25));
      target.push_back(row % 2 == 0 ? 0 : pick(targets, counts.values()));
      if (row % 12 == 5) tilt.set(0, row, kEdges[row / 12 % 4]);
      weight.set(0, row, 1.5f + weight.at(0, row));
    }
  }

  void makeTable() { table = countTable(counts, {size.data(), static_cast<std::int64_t>(size.size())}); }
  std::int64_t rows() const { return cells.rows(); }
  CountBase base() {
    return {.middle = counts.middle(),
            .logWidth = counts.logWidth(),
            .table = {table.data(), static_cast<std::int64_t>(table.size())},
            .share = {share.data(), static_cast<std::int64_t>(share.size())},
            .size = {size.data(), static_cast<std::int64_t>(size.size())},
            .depth = {depth.data(), cells.cells()},
            .gene = {gene.data(), rows()},
            .cell = cells.view().cell,
            .tilt = tilt.span()};
  }

  std::size_t geneOf(std::int64_t row) const {
    return static_cast<std::size_t>(gene[static_cast<std::size_t>(row)]);
  }
  std::size_t targetOf(std::int64_t row) const {
    return static_cast<std::size_t>(target[static_cast<std::size_t>(row)]);
  }
  long double sizeOf(std::int64_t row) const { return size[geneOf(row)]; }
  long double rateOf(std::int64_t row) const {
    return static_cast<long double>(depth[static_cast<std::size_t>(cells.view().cell[row])]) *
           share[geneOf(row)];
  }
  /// Mean of the base with this tilt.
  long double meanOf(std::int64_t row, long double withTilt) const {
    return std::max(1e-8L, rateOf(row) * std::exp(std::clamp(withTilt, -6.0L, 6.0L)));
  }
  long double tiltOf(std::int64_t row) const { return static_cast<long double>(tilt.at(0, row)); }
  Reals logitsOf(std::int64_t row) const {
    Reals of;
    for (std::int64_t value = 0; value < counts.values(); ++value)
      of.push_back(static_cast<long double>(logits.at(row, firstValue + value)));
    return of;
  }

  /// log p of all values of a row.
  Reals logProbabilities(std::int64_t row, const Reals& values, long double withTilt) const {
    const long double r = sizeOf(row), m = meanOf(row, withTilt);
    Reals x;
    for (std::int64_t value = 0; value < counts.values(); ++value) {
      const long double k = counts.middle()[value];
      const long double width = counts.high()[value] - counts.low()[value] + 1;
      x.push_back(values[static_cast<std::size_t>(value)] + std::lgamma(k + r) - std::lgamma(r) -
                  std::lgamma(k + 1) + std::log(width) - r * std::log1p(m / r) - k * std::log1p(r / m));
    }
    const auto best = std::max_element(x.begin(), x.end());
    const long double maximum = *best;
    long double rest = 0;
    for (auto at = x.begin(); at != x.end(); ++at)
      if (at != best) rest += std::exp(*at - maximum);
    for (long double& one : x) one -= maximum;
    for (long double& one : x) one -= std::log1p(rest);
    return x;
  }
  Reals logProbabilities(std::int64_t row) const { return logProbabilities(row, logitsOf(row), tiltOf(row)); }
};

/// Fails unless |actual - expected| <= tolerance * scale for a result that is small only because what it sums
/// up cancels, `scale` then being the sum of the magnitudes; by default |expected|. Below what a float holds
/// all is 0.
inline void checkEach(long double actual, long double expected, long double tolerance, long double scale = 0,
                      std::source_location where = std::source_location::current()) {
  const long double allowed = tolerance * std::max(scale, std::abs(expected)) + 1.5e-38L;
  checkClose(static_cast<double>(actual - expected), 0, static_cast<double>(allowed), where);
}

}  // namespace ddsc::test
