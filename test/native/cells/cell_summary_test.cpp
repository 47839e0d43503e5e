#include "cells/cell_summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "test/native/harness.h"

namespace ddsc::test {
namespace {

/// A vocabulary of which every second gene is pooled, and a cell of a panel of two genes in three.
struct Cell {
  std::vector<double> share, size, ridge;
  std::vector<std::int32_t> pooled, panel, counts;
  std::vector<float> pool;
  std::vector<std::uint8_t> hiding;
  double total = 0, visibleShare = 0;

  Cell(std::size_t genes, std::size_t width) : share(genes + 3), size(genes + 3, 1.0) {
    for (std::size_t i = 0; i < genes; ++i) {
      const auto gene = static_cast<std::int32_t>(i) + 3;
      share[i + 3] = static_cast<double>(1 + i % 17) / (9.0 * static_cast<double>(genes));
      size[i + 3] = 0.1 * static_cast<double>(1 + i % 29);
      if (i % 2 == 0) pooled.push_back(gene);
      if (i % 3 == 2) continue;
      panel.push_back(gene);
      counts.push_back(static_cast<std::int32_t>(i % 5 == 0 ? i % 41 : 0));
      hiding.push_back(static_cast<std::uint8_t>(i % 7 == 0 ? 1 + i % 2 : 0));
      if (hiding.back() != 0) continue;
      total += counts.back();
      visibleShare += share[i + 3];
    }
    for (std::size_t i = 0; i < pooled.size() * width; ++i)
      pool.push_back(static_cast<float>(std::sin(static_cast<double>(i))));
    for (std::size_t j = 0; j < width; ++j) ridge.push_back(0.1 + static_cast<double>(j));
  }

  data::SummaryPool summary() const { return {pooled, pool, ridge, size, 900.0, 3.0}; }
  data::VisibleCell visible() const { return {hiding, counts, total, visibleShare}; }

  std::vector<double> expected() const {
    const double depth = (total + 3.0) / (visibleShare + 3.0 / 900.0);
    std::vector<double> sums(ridge.size());
    double seen = 0;
    for (std::size_t place = 0; place < panel.size(); ++place) {
      const auto found = std::lower_bound(pooled.begin(), pooled.end(), panel[place]);
      if (hiding[place] != 0 || found == pooled.end() || *found != panel[place]) continue;
      const auto gene = static_cast<std::size_t>(panel[place]);
      const double mean = depth * share[gene];
      const double off = (counts[place] - mean) / std::sqrt(mean + mean * mean / size[gene] + 1e-3);
      const auto row = static_cast<std::size_t>(found - pooled.begin());
      for (std::size_t j = 0; j < sums.size(); ++j)
        sums[j] += std::clamp(off, -5.0, 5.0) * static_cast<double>(pool[row * sums.size() + j]);
      ++seen;
    }
    for (std::size_t j = 0; j < sums.size(); ++j)
      sums[j] /= seen / static_cast<double>(pooled.size()) + ridge[j];
    return sums;
  }
};

DDSC_TEST("a cell's summary agrees with float64, for any number of genes and any width") {
  for (const std::size_t genes : {1u, 2u, 5u, 64u, 500u, 3000u}) {
    for (const std::size_t width : {1u, 7u, 32u}) {
      const Cell cell(genes, width);
      const data::SummaryPool pool = cell.summary();
      data::CellSummarizer summarizer(pool, cell.share);
      summarizer.usePanel(cell.panel);
      std::vector<float> found;
      summarizer.add(cell.visible(), found);
      summarizer.add(cell.visible(), found);
      const std::vector<double> expected = cell.expected();
      check(found.size() == 2 * width, "so many numbers a cell");
      for (std::size_t j = 0; j < width; ++j) {
        const double u = static_cast<double>(found[j]);
        check(std::abs(u - expected[j]) < 1e-4 * (1 + std::abs(expected[j])), "summary");
        check(found[j] == found[width + j], "the same cell again");
      }
    }
  }
}

}  // namespace
}  // namespace ddsc::test
