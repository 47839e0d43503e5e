#pragma once
// What tests of the count ops share: rows of genes and cells, their bases, and the formulas of ops.h by
// themselves, in long double and without Stirling's series of the ops.

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/count_values.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {

using Reals = std::vector<long double>;

/// The derivative of lgamma: from 60 on by its asymptotic series, below by psi(x) = psi(x + 1) - 1 / x.
inline long double digamma(long double x) {
  long double sum = 0;
  for (; x < 60; ++x) sum -= 1 / x;
  const long double y = 1 / (x * x);
  return sum + std::log(x) - 1 / (2 * x) -
         y * (1 / 12.0L - y * (1 / 120.0L - y * (1 / 252.0L - y * (1 / 240.0L - y / 132))));
}

/// Rows of random genes in cells of these lengths. Genes have every pair of five shares (0 too) and five
/// sizes, learnt with nine logarithms, some clamped or at the clamp; so is every twelfth or so of the
/// tilts. Tables and slopes are made here, of the genes that rows have.
struct CountRows {
  CountValues counts;
  RaggedBatch cells;
  std::vector<double> share, size, depth, sizes, table, slope;
  std::vector<float> logSize;
  std::vector<std::int32_t> gene, target, genes, place;
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
        constexpr float kLogSizes[] = {0, -1.5f, 5, 2, -5, 0.25f, 7, -6, 1};
        logSize.push_back(kLogSizes[logSize.size() % 9]);
      }
    for (std::int64_t cell = 0; cell < cells.cells(); ++cell)
      depth.push_back(cell % 3 == 0 ? 5000 : cell % 3 == 1 ? 50'000 : 30);
    const std::vector<float> uniform = randomValues(5, cells.rows(), 0.5f);
    const std::vector<float> targets = randomValues(6, cells.rows(), 0.5f);
    constexpr float kEdges[] = {-7, -6, 6, 40};
    for (std::int64_t row = 0; row < cells.rows(); ++row) {
      const auto pick = [row](const std::vector<float>& of, std::int64_t count) {
        const double at = static_cast<double>(of[static_cast<std::size_t>(row)]) + 0.5;
        return static_cast<std::int32_t>(std::min(at * static_cast<double>(count), double(count - 1)));
      };
      gene.push_back(pick(uniform, 25));
      target.push_back(row % 2 == 0 ? 0 : pick(targets, counts.values()));
      if (row % 12 == 5) tilt.set(0, row, kEdges[row / 12 % 4]);
      weight.set(0, row, 1.5f + weight.at(0, row));
    }
  }

  std::int64_t rows() const { return cells.rows(); }
  /// The base of the rows as they are now. Genes of the table come in the order in which rows ask for them.
  CountBase base() {
    genes.clear();
    place.clear();
    sizes.clear();
    table.clear();
    slope.clear();
    for (std::int64_t row = 0; row < rows(); ++row) {
      const auto at = std::find(genes.begin(), genes.end(), gene[static_cast<std::size_t>(row)]);
      place.push_back(static_cast<std::int32_t>(at - genes.begin()));
      if (at != genes.end()) continue;
      genes.push_back(gene[static_cast<std::size_t>(row)]);
      sizes.push_back(static_cast<double>(sizeOf(row)));
      const long double r = sizes.back();
      for (std::int64_t value = 0; value < counts.values(); ++value) {
        const long double k = counts.middle()[value];
        const long double width = counts.high()[value] - counts.low()[value] + 1;
        table.push_back(static_cast<double>(std::lgamma(k + r) - std::lgamma(r) - std::lgamma(k + 1.0L) +
                                            std::log(width)));
        slope.push_back(static_cast<double>(r * (digamma(k + r) - digamma(r))));
      }
    }
    const auto spanOf = [](const auto& of) { return Span{of.data(), static_cast<std::int64_t>(of.size())}; };
    return {.middle = counts.middle(),
            .share = spanOf(share),
            .depth = {depth.data(), cells.cells()},
            .sizes = spanOf(sizes),
            .table = spanOf(table),
            .slope = spanOf(slope),
            .gene = spanOf(gene),
            .cell = cells.view().cell,
            .place = spanOf(place),
            .tilt = tilt.span()};
  }

  std::size_t geneOf(std::int64_t row) const {
    return static_cast<std::size_t>(gene[static_cast<std::size_t>(row)]);
  }
  std::size_t targetOf(std::int64_t row) const {
    return static_cast<std::size_t>(target[static_cast<std::size_t>(row)]);
  }
  /// The learnt size of a row's gene with this logarithm.
  long double sizeOf(std::int64_t row, long double withLogSize) const {
    return size[geneOf(row)] * std::exp(std::clamp(withLogSize, -5.0L, 5.0L));
  }
  long double logSizeOf(std::int64_t row) const { return static_cast<long double>(logSize[geneOf(row)]); }
  long double sizeOf(std::int64_t row) const { return sizeOf(row, logSizeOf(row)); }
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
  Reals logProbabilities(std::int64_t row, const Reals& values, long double withTilt,
                         long double withLogSize) const {
    const long double r = sizeOf(row, withLogSize), m = meanOf(row, withTilt);
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
  Reals logProbabilities(std::int64_t row, const Reals& values, long double withTilt) const {
    return logProbabilities(row, values, withTilt, logSizeOf(row));
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
