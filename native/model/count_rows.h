#pragma once
#include <cstdint>
#include <vector>

#include "model/denoiser.h"
#include "ops/count_values.h"

namespace ddsc {

/// Cells of counts as a pass reads them (host memory, owned). Rows of a cell: cls, evidence, queries. Genes
/// that are visible with a count of 0, and hidden genes that nobody asks about, have no row.
struct CountRows {
  CellBatch batch;                                // tokens: 0, values + kFirstValue, mask tokens
  std::vector<std::int32_t> keys;                 // [cells] cls and evidence
  std::vector<std::int32_t> hidden, measured;     // [cells] genes
  std::vector<float> visibleTotal, visibleShare;  // [cells]
  std::vector<float> total;                       // [cells] the whole total; NaN: not given
  std::vector<double> depth;                      // [cells] mean of the base by a gene's share
  std::vector<float> numbers;                     // [cells, number conditions]; NaN: not given
  std::vector<std::int32_t> labels;               // [cells, label conditions] label + 1; 0: not given
  std::vector<float> summary;  // [cells, summary] of the visible genes, where the model reads one

  std::int64_t queries() const;
  /// [queries] rows of the batch, ascending, and their genes.
  std::vector<std::int32_t> queryRows() const;
  std::vector<std::int32_t> queryGenes() const;
};

/// Throws Error BATCH_INVALID naming the cell or row that cannot be.
void check(const CountRows& rows, const DenoiserConfig& config);

/// All that a pass reads, copied to the backend's memory; `train`: what a backward pass reads, too.
DenoiserInput prepareCounts(const CountRows& rows, const DenoiserConfig& config,
                            const ParameterLayout& layout, bool train, Workspace& workspace);

/// What a table of queries has a row for, and the place of each query's row: the distinct genes of the
/// queries, ascending, or where sizes differ between cells (`each`) every query's gene.
struct QueryGenes {
  std::vector<std::int32_t> genes, place;

  QueryGenes(const std::vector<std::int32_t>& ofQueries, bool each);
};

/// The part of the base that is the same for all cells, in the backend's memory.
class CountTables {
 public:
  explicit CountTables(Backend& backend) : backend_(&backend) {}

  /// Share and size of every gene id. Throws Error MODEL_BASE unless there is one of each a gene, shares
  /// finite and at least 0, sizes finite and above 0.
  void set(const std::vector<double>& share, const std::vector<double>& size, const DenoiserConfig& config);
  /// Bytes held.
  std::size_t bytes() const { return memory_.bytes(); }
  /// A table of no genes yet, for who has room for one. Throws Error MODEL_BASE where `set` was not called.
  const CountTable& shared() const {
    requireSet();
    return shared_;
  }
  /// The table of these genes, with room for it; `slopes`: for gradients. Throws Error MODEL_BASE where `set`
  /// was not called.
  CountTable table(Span<const std::int32_t> genes, bool slopes, Workspace& workspace) const;
  /// The base of a pass's queries, by a table of their genes. Throws as `table`.
  CountBase base(const CountTable& table, const DenoiserInput& input, Span<const std::int32_t> place,
                 Span<const double> depth, Span<const float> tilt) const;
  const CountValues& values() const { return values_; }
  /// [values + 1], see DrawCounts::low.
  Span<const std::int32_t> low() const { return low_; }

 private:
  void requireSet() const;

  Backend* backend_;
  CountValues values_;
  Buffer memory_;
  CountTable shared_;
  Span<const double> share_;
  Span<const std::int32_t> low_;
};

}  // namespace ddsc
