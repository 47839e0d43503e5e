#pragma once
// A summary of the visible genes of a cell, zeros included: how far their counts lie from what the cell's
// depth predicts, along the directions in which the training cells differ most (lib/counts/cell_summary.ts).

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ddsc::data {

/// What a summary weighs each gene with.
struct SummaryPool {
  std::span<const std::int32_t> genes;  // ids of the pooled genes, ascending
  std::span<const float> pool;          // [pooled genes, width]
  std::span<const double> ridge;        // [width]
  std::span<const double> size;         // [gene vocabulary] of each gene's negative binomial
  double meanDepth = 0, spread = 0;     // of the training cells
};

/// What is visible of a cell.
struct VisibleCell {
  std::span<const std::uint8_t> hiding;  // by place in the panel: 0 for a visible gene
  std::span<const std::int32_t> counts;  // by place in the panel
  double total = 0, share = 0;           // sums over the visible genes
};

/// Summarises one cell after the other.
class CellSummarizer {
 public:
  /// Throws ARGUMENT_RANGE for arrays that do not fit each other, genes that do not ascend from 3 on within
  /// the vocabulary, and for a ridge, a size, a mean depth or a spread that is not above 0.
  CellSummarizer(const SummaryPool& pool, std::span<const double> share);

  std::size_t width() const { return pool_.ridge.size(); }

  /// Makes ready for the cells of a panel, of ascending gene ids.
  void usePanel(std::span<const std::int32_t> genes);

  /// Appends u to `summary`, [width]. With m = e share, e = (total + spread) / (share + spread / mean depth):
  ///
  ///   u[j] = sum over visible pooled genes of r pool[gene, j] / (f + ridge[j]),
  ///   r = (count - m) / sqrt(m + m^2 / size + 1e-3) within -5..5,
  ///
  /// f the visible pooled genes over all pooled genes. A gene that is not measured so counts as a hidden one.
  /// Sums run over ascending genes, 64 in float32 and over these in float64: the same bits in any batch.
  void add(const VisibleCell& cell, std::vector<float>& summary);

 private:
  /// A pooled gene that the panel measures.
  struct PooledGene {
    std::uint32_t place;  // in the panel
    std::uint32_t row;    // in the pool
    float share, inverseSize;
  };

  void findVisible(const VisibleCell& cell, float depth);
  void addRows(std::size_t first, std::size_t end);

  SummaryPool pool_;
  std::span<const double> share_;
  std::vector<PooledGene> measured_;
  // Of the cell at hand: its visible pooled genes.
  std::vector<std::uint32_t> rows_;
  std::vector<float> residuals_, counts_, means_, inverseSizes_;
  // Of the block of genes at hand, and of the cell; [width].
  std::vector<float> block_;
  std::vector<double> sums_;
};

}  // namespace ddsc::data
