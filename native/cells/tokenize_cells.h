#pragma once
// Cells to tokens, bit for bit as CellTokenizer (lib/tokenizer/cell_tokenizer.ts) makes them with quantile
// ranks or with counts as values.

#include <cstdint>
#include <span>
#include <vector>

namespace ddsc::data {

/// What a token says of a count.
enum class TokenValues {
  ranks,          // its rank in the cell
  counts,         // itself (CountValues); one that is no whole number is refused
  roundedCounts,  // itself, rounded (half up) to a whole number
};

/// Options of CellTokenizer that matter here.
struct TokenizeOptions {
  TokenValues values = TokenValues::ranks;
  std::vector<float> steps;           // see QuantileRanker; of ranks
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

/// A cell of one of several slices.
struct PickedCell {
  std::size_t slice = 0, cell = 0;
};

/// A ragged batch and what was left out of it; the fields of TokenizerReport.
struct TokenizedCells {
  std::span<std::int32_t> genes, tokens;  // memory for tokenCapacity() of them
  std::span<std::int32_t> counts;         // as many where values are counts: those of the tokens, 0 at cls
  std::size_t length = 0;                 // tokens written to it
  std::vector<std::int32_t> offsets;
  std::vector<double> cells;
  std::size_t emptyCells = 0, unknownOnlyCells = 0, smallCells = 0, shortenedCells = 0, leftOutGenes = 0,
              unknownCounts = 0;
  std::vector<std::int32_t> skippedRows, unknownColumns;  // the first few, each once
};

/// Whether these cells lie within the arrays of their slices.
bool cellsExist(std::span<const CellSlice> slices, std::span<const PickedCell> picked);

/// Tokens that these cells come to at most; they exist.
std::size_t tokenCapacity(std::span<const CellSlice> slices, std::span<const PickedCell> picked,
                          const TokenizeOptions& options);

/// Makes the tokens of these cells, which exist, in the order given. Returns false where a cell must be
/// refused (a count that is none, a gene twice): the caller then finds out which and says so.
bool tokenizeCells(std::span<const CellSlice> slices, std::span<const PickedCell> picked,
                   const TokenizeOptions& options, TokenizedCells& result);

}  // namespace ddsc::data
