#include "cells/cell_summary.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/errors.h"

namespace ddsc::data {

namespace {

constexpr std::int32_t kFirstGene = 3;
constexpr float kLargestResidual = 5, kLeastVariance = 1e-3f;
/// Genes that are summed in float32 before float64 takes over.
constexpr std::size_t kBlock = 64;

bool isAbove0(double value) { return value > 0 && std::isfinite(value); }

void checkPool(const SummaryPool& pool, std::size_t vocabulary) {
  const std::size_t width = pool.ridge.size();
  require(width > 0 && pool.pool.size() == pool.genes.size() * width, "ARGUMENT_RANGE",
          "the summary's pool has not a row of the ridge's width for each of its genes");
  require(pool.size.size() == vocabulary, "ARGUMENT_RANGE",
          "the summary has not a size for each gene of the vocabulary");
  require(isAbove0(pool.meanDepth) && isAbove0(pool.spread), "ARGUMENT_RANGE",
          "mean depth and spread of the summary are not above 0");
  require(std::all_of(pool.ridge.begin(), pool.ridge.end(), isAbove0), "ARGUMENT_RANGE",
          "a ridge of the summary is not above 0");
  std::int32_t before = kFirstGene - 1;
  for (const std::int32_t gene : pool.genes) {
    if (gene <= before || static_cast<std::size_t>(gene) >= vocabulary) {
      throw Error("ARGUMENT_RANGE", "gene id " + std::to_string(gene) +
                                        " of the summary does not ascend from 3 on below the " +
                                        std::to_string(vocabulary) + " rows of the vocabulary");
    }
    if (!isAbove0(pool.size[static_cast<std::size_t>(gene)])) {
      throw Error("ARGUMENT_RANGE",
                  "the summary's size of gene id " + std::to_string(gene) + " is not above 0");
    }
    before = gene;
  }
}

}  // namespace

CellSummarizer::CellSummarizer(const SummaryPool& pool, std::span<const double> share)
    : pool_(pool), share_(share), block_(pool.ridge.size()), sums_(pool.ridge.size()) {
  checkPool(pool, share.size());
}

void CellSummarizer::usePanel(std::span<const std::int32_t> genes) {
  measured_.clear();
  std::size_t place = 0;
  for (std::size_t row = 0; row < pool_.genes.size(); ++row) {
    const std::int32_t gene = pool_.genes[row];
    while (place < genes.size() && genes[place] < gene) ++place;
    if (place == genes.size()) break;
    if (genes[place] != gene) continue;
    const auto id = static_cast<std::size_t>(gene);
    measured_.push_back({static_cast<std::uint32_t>(place), static_cast<std::uint32_t>(row),
                         static_cast<float>(share_[id]), static_cast<float>(1 / pool_.size[id])});
  }
  for (std::vector<float>* numbers : {&residuals_, &counts_, &means_, &inverseSizes_})
    numbers->resize(measured_.size());
}

void CellSummarizer::add(const VisibleCell& cell, std::vector<float>& summary) {
  const double depth = (cell.total + pool_.spread) / (cell.share + pool_.spread / pool_.meanDepth);
  findVisible(cell, static_cast<float>(depth));
  std::fill(sums_.begin(), sums_.end(), 0.0);
  for (std::size_t first = 0; first < rows_.size(); first += kBlock)
    addRows(first, std::min(first + kBlock, rows_.size()));
  // Without a pooled gene nothing is visible of any.
  const double genes = std::max(static_cast<double>(pool_.genes.size()), 1.0);
  const double visible = static_cast<double>(rows_.size()) / genes;
  for (std::size_t j = 0; j < width(); ++j)
    summary.push_back(static_cast<float>(sums_[j] / (visible + pool_.ridge[j])));
}

/// The visible pooled genes and their residuals.
void CellSummarizer::findVisible(const VisibleCell& cell, float depth) {
  rows_.resize(measured_.size());
  std::size_t found = 0;
  // Without a branch, as which genes are hidden cannot be foreseen.
  for (const PooledGene& gene : measured_) {
    rows_[found] = gene.row;
    counts_[found] = static_cast<float>(cell.counts[gene.place]);
    means_[found] = depth * gene.share;
    inverseSizes_[found] = gene.inverseSize;
    found += cell.hiding[gene.place] == 0 ? 1u : 0u;
  }
  rows_.resize(found);
  for (std::size_t i = 0; i < found; ++i) {
    const float mean = means_[i];
    const float variance = mean + mean * mean * inverseSizes_[i] + kLeastVariance;
    const float residual = (counts_[i] - mean) / std::sqrt(variance);
    const float atLeast = residual < -kLargestResidual ? -kLargestResidual : residual;
    residuals_[i] = atLeast > kLargestResidual ? kLargestResidual : atLeast;
  }
}

/// Adds a block of visible genes to the cell's sums.
void CellSummarizer::addRows(std::size_t first, std::size_t end) {
  const std::size_t columns = width();
  std::fill(block_.begin(), block_.end(), 0.0f);
  float* const sums = block_.data();
  const auto rowOf = [&](std::size_t i) { return pool_.pool.data() + std::size_t{rows_[i]} * columns; };
  std::size_t i = first;
  for (; i + 4 <= end; i += 4) {
    const float *const row0 = rowOf(i), *const row1 = rowOf(i + 1), *const row2 = rowOf(i + 2),
                       *const row3 = rowOf(i + 3);
    const float r0 = residuals_[i], r1 = residuals_[i + 1], r2 = residuals_[i + 2], r3 = residuals_[i + 3];
    for (std::size_t j = 0; j < columns; ++j)
      sums[j] += (r0 * row0[j] + r1 * row1[j]) + (r2 * row2[j] + r3 * row3[j]);
  }
  for (; i < end; ++i) {
    const float* const row = rowOf(i);
    const float residual = residuals_[i];
    for (std::size_t j = 0; j < columns; ++j) sums[j] += residual * row[j];
  }
  for (std::size_t j = 0; j < columns; ++j) sums_[j] += static_cast<double>(sums[j]);
}

}  // namespace ddsc::data
