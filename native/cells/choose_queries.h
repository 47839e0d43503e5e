#pragma once
// Which genes of a cell are hidden, and which of these a model is asked about: cells to the rows of the count
// model. Runs on the host for every device; a cell's rows depend on nothing but the cell, its panel, the
// limits, the seed and the step.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cells/cell_summary.h"

namespace ddsc::data {

/// The genes that some cells measure.
struct GenePanel {
  std::span<const std::int32_t> genes;  // ids, ascending
  std::span<const std::int32_t> order;  // places in `genes` by descending share
};

/// Cells as CellTokenizer makes them with count tokens, one after the other.
struct CountCells {
  std::span<const std::int32_t> offsets;  // [cells + 1]
  std::span<const std::int32_t> genes;    // [tokens] ids, ascending within a cell; ids below 3 are no genes
  std::span<const std::int32_t> counts;   // [tokens]
  std::span<const double> cells;          // [cells] names each cell's random streams
  std::span<const std::int32_t> panels;   // [cells] number of the cell's panel
};

/// Gene ids of each cell, ascending.
struct GeneLists {
  std::span<const std::int32_t> offsets;  // [cells + 1]
  std::span<const std::int32_t> genes;
};

struct QueryOptions {
  std::span<const double> share;         // [gene vocabulary] of all counts, above 0 for measured genes
  std::span<const std::int32_t> hidden;  // [cells] how many genes to hide
  std::optional<GeneLists> hide;         // which ones, in its place
  std::optional<GeneLists> ask;          // which of these are asked about, with weight 1; none: those chosen
  std::size_t zeros = 0;                 // hidden genes without counts that are asked about at most
  std::size_t expressed = 0, expressedMost = 0;  // with counts: see chooseQueries
  std::size_t evidence = 0;                      // visible genes that have a row at most
  std::optional<std::span<const float>> keep;    // [cells] chance of every molecule to be kept; none: all are
  std::optional<SummaryPool> summary;            // none: cells are not summarised
  std::uint64_t seed = 0, step = 0;
};

/// Rows of cells: cls, evidence, queries; genes ascending within both.
struct CountRows {
  std::vector<std::int32_t> offsets;  // [cells + 1]
  std::vector<std::int32_t> keys;     // [cells] rows before the queries
  std::vector<std::int32_t> tokens;   // [rows] 0 for cls, value + 2 for evidence, the mask token for queries
  std::vector<std::int32_t> genes;    // [rows]
  std::vector<std::int32_t> hidden, measured;  // [cells] genes
  std::vector<double> total;                   // [cells] all counts of the measured genes
  /// [cells] counts and shares of the visible genes, shares of the hidden ones.
  std::vector<double> visibleTotal, visibleShare, hiddenShare;
  std::vector<std::int32_t> answers, counts;  // [queries] value and count
  std::vector<float> weight;                  // [queries] 1 / P(this gene is asked about, if it is hidden)
  std::vector<float> summary;  // [cells, width of the pool] see CellSummarizer; empty without one
};

/// Chooses. Throws BATCH_INVALID where the cells contradict themselves or their panels, ARGUMENT_RANGE where
/// options do not fit the cells.
///
/// Hidden are the genes of the n smallest pairs (word, id), gene g having word g % 4 at position g / 4 of the
/// cell's stream Purpose::hide: any set of n is equally likely, and a smaller n hides a part of it. Visible
/// expressed genes beyond `evidence` are hidden too, those of the smallest pairs, but never asked about.
///
/// With `ask` nothing is chosen: these genes, hidden all of them, are asked about, and a cell may hide none.
///
/// Of n hidden expressed genes `expressed` are asked about, or a third where that is more, but then at most
/// `expressedMost`: those of the smallest pairs of Purpose::query.
/// Hidden genes without counts beyond `zeros`: by descending share they are cut into `zeros` strata of nearly
/// equal sums of sqrt(share), and one gene of each, all equally likely, is asked about.
CountRows chooseQueries(const CountCells& cells, std::span<const GenePanel> panels,
                        const QueryOptions& options);

/// Counts of all tokens after every molecule of each cell was kept with the same probability `keep`, on its
/// own. Throws as chooseQueries.
std::vector<std::int32_t> thinCounts(const CountCells& cells, double keep, std::uint64_t seed,
                                     std::uint64_t step);

}  // namespace ddsc::data
