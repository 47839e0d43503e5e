#pragma once
// Cells to tokens, bit for bit as CellTokenizer (lib/tokenizer/cell_tokenizer.ts) makes them with quantile
// ranks.

#include <cstdint>
#include <span>
#include <vector>

namespace ddsc::data {

/// Options of CellTokenizer that matter here.
struct TokenizeOptions {
  std::vector<float> steps;           // see QuantileRanker
  std::span<const std::int32_t> ids;  // gene id of each column, -1 where the vocabulary has none
  std::size_t room = 0;               // genes a cell at most
  std::size_t minGenes = 1;
  bool cls = true;
  bool sample = true;  // which genes stay: drawn, or those of the lowest ids
  std::uint64_t seed = 0, epoch = 0;
};

/// Cells in compressed rows.
struct CellSlice {
  std::span<const std::int32_t> rows, offsets, columns;
  std::span<const float> counts;
};

/// A ragged batch and what was left out of it; the fields of TokenizerReport.
struct TokenizedCells {
  std::vector<std::int32_t> offsets, genes, tokens;
  std::vector<double> cells;
  std::size_t emptyCells = 0, unknownOnlyCells = 0, smallCells = 0, shortenedCells = 0, leftOutGenes = 0,
              unknownCounts = 0;
  std::vector<std::int32_t> skippedRows, unknownColumns;  // the first few, each once
};

/// Makes the tokens. Returns false where a cell must be refused (a count that is none, a gene twice): the
/// caller then finds out which and says so. `cells.offsets` must ascend and stay within `columns` and
/// `counts`.
bool tokenizeCells(const CellSlice& cells, const TokenizeOptions& options, TokenizedCells& result);

}  // namespace ddsc::data
