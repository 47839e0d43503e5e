#include "model/count_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "core/errors.h"

namespace ddsc {

namespace {

/// Number maps that every model of counts has: hidden share, visible total, visible share, whole total.
constexpr std::size_t kOwnNumbers = 4;

std::size_t labelConditions(const DenoiserConfig& config) {
  std::size_t count = 0;
  for (const std::int64_t labels : config.conditions) count += labels > 0 ? 1 : 0;
  return count;
}

void fail(const std::string& message) { throw Error("BATCH_INVALID", message); }

void checkLabels(const CountRows& rows, const DenoiserConfig& config) {
  const std::size_t count = labelConditions(config);
  std::size_t which = 0;
  for (const std::int64_t labels : config.conditions) {
    if (labels == 0) continue;
    for (std::size_t cell = 0; cell < rows.keys.size(); ++cell) {
      const std::int32_t label = rows.labels[cell * count + which];
      if (label < 0 || label > labels)
        fail("label " + std::to_string(label) + " of cell " + std::to_string(cell) +
             " lies outside of 0 to " + std::to_string(labels));
    }
    ++which;
  }
}

void checkNumbers(const CountRows& rows, const DenoiserConfig& config) {
  const std::size_t cells = rows.keys.size();
  for (std::size_t i = 0; i < rows.numbers.size(); ++i) {
    const std::size_t conditions = rows.numbers.size() / cells;
    if (std::isinf(rows.numbers[i]))
      fail("number " + std::to_string(i % conditions) + " of cell " + std::to_string(i / conditions) +
           " must be finite, or NaN where it is not given");
  }
  for (std::size_t i = 0; i < rows.summary.size(); ++i)
    if (!std::isfinite(rows.summary[i]))
      fail("the summary of cell " + std::to_string(i / static_cast<std::size_t>(config.summary)) +
           " must be finite");
}

/// The numbers that a pass is told, by map: NaN where one is not given.
std::vector<std::vector<float>> numbersOf(const CountRows& rows, const ParameterLayout& layout) {
  const std::size_t cells = rows.keys.size(), conditions = layout.numbers.size() - kOwnNumbers;
  std::vector<std::vector<float>> numbers(layout.numbers.size(), std::vector<float>(cells));
  for (std::size_t cell = 0; cell < cells; ++cell) {
    numbers[0][cell] =
        10.0f * static_cast<float>(rows.hidden[cell]) / static_cast<float>(rows.measured[cell]);
    numbers[1][cell] = std::log1p(rows.visibleTotal[cell]);
    numbers[2][cell] = 10.0f * rows.visibleShare[cell];
    numbers[3][cell] = std::log1p(rows.total[cell]);  // NaN stays NaN
    for (std::size_t i = 0; i < conditions; ++i)
      numbers[kOwnNumbers + i][cell] = rows.numbers[cell * conditions + i];
  }
  return numbers;
}

/// What each cell is told: rows of what is made of numbers, and of labels.
struct Terms {
  std::vector<float> numbers;                    // map after map
  std::vector<std::vector<std::int32_t>> given;  // by map: cells
  std::vector<std::int32_t> terms;               // [cells, terms]
};

Terms termsOf(const CountRows& rows, const ParameterLayout& layout) {
  const std::size_t cells = rows.keys.size(), maps = layout.numbers.size(), labels = layout.labelRow.size();
  const std::size_t width = maps + labels;
  Terms t;
  t.terms.resize(cells * width);
  t.given.resize(maps);
  const std::vector<std::vector<float>> numbers = numbersOf(rows, layout);
  for (std::size_t map = 0; map < maps; ++map) {
    for (std::size_t cell = 0; cell < cells; ++cell) {
      std::int32_t& term = t.terms[cell * width + map];
      if (std::isnan(numbers[map][cell])) {
        term = static_cast<std::int32_t>(-1 - layout.nullRow[map]);
        continue;
      }
      term = static_cast<std::int32_t>(t.numbers.size());
      t.numbers.push_back(numbers[map][cell]);
      t.given[map].push_back(static_cast<std::int32_t>(cell));
    }
  }
  for (std::size_t cell = 0; cell < cells; ++cell)
    for (std::size_t i = 0; i < labels; ++i)
      t.terms[cell * width + maps + i] =
          static_cast<std::int32_t>(-1 - (layout.labelRow[i] + rows.labels[cell * labels + i]));
  return t;
}

/// Cells by the label rows that they use, each label's cells ascending.
Grouping groupLabels(const Terms& t, std::size_t cells, std::int64_t labelRows, Workspace& w) {
  std::vector<std::int32_t> ids, cellOf;
  const std::size_t width = cells == 0 ? 0 : t.terms.size() / cells;
  for (std::size_t i = 0; i < t.terms.size(); ++i) {
    if (t.terms[i] >= 0) continue;
    ids.push_back(-1 - t.terms[i]);
    cellOf.push_back(static_cast<std::int32_t>(i / width));
  }
  return groupBy(ids, labelRows, w, &cellOf);
}

}  // namespace

std::int64_t CountRows::queries() const {
  std::int64_t keyRows = 0;
  for (const std::int32_t count : keys) keyRows += count;
  return batch.rows() - keyRows;
}

std::vector<std::int32_t> CountRows::queryRows() const {
  std::vector<std::int32_t> rows;
  for (std::size_t cell = 0; cell < keys.size(); ++cell)
    for (std::int32_t row = batch.offsets[cell] + keys[cell]; row < batch.offsets[cell + 1]; ++row)
      rows.push_back(row);
  return rows;
}

std::vector<std::int32_t> CountRows::queryGenes() const {
  std::vector<std::int32_t> genes;
  for (const std::int32_t row : queryRows()) genes.push_back(batch.genes[static_cast<std::size_t>(row)]);
  return genes;
}

void check(const CountRows& rows, const DenoiserConfig& config) {
  require(config.ofCounts(), "MODEL_CONFIG", "this model is of ranks: it takes no rows of counts");
  check(rows.batch, config);
  const auto cells = static_cast<std::size_t>(rows.batch.cells());
  const std::size_t labels = labelConditions(config);
  for (const std::size_t size :
       {rows.keys.size(), rows.hidden.size(), rows.measured.size(), rows.visibleTotal.size(),
        rows.visibleShare.size(), rows.total.size(), rows.depth.size()})
    if (size != cells) fail("each array of what cells are told must have one entry a cell");
  if (rows.labels.size() != cells * labels)
    fail("labels must have one entry a cell and condition that has labels");
  if (rows.numbers.size() != cells * (config.conditions.size() - labels))
    fail("numbers must have one entry a cell and condition that is a number");
  if (rows.summary.size() != cells * static_cast<std::size_t>(config.summary))
    fail("summary must have " + std::to_string(config.summary) + " numbers a cell");
  checkLabels(rows, config);
  checkNumbers(rows, config);
  const auto isAmount = [](float number) { return number >= 0 && std::isfinite(number); };
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const std::string name = "cell " + std::to_string(cell);
    const std::int32_t first = rows.batch.offsets[cell], end = rows.batch.offsets[cell + 1];
    if (rows.keys[cell] < 1 || rows.keys[cell] > end - first)
      fail(name + " must have 1 key row at least, and no more than it has rows");
    if (rows.hidden[cell] < 0 || rows.measured[cell] < 1 || rows.hidden[cell] > rows.measured[cell])
      fail(name + " must have 1 measured gene at least, and no more hidden ones than measured");
    if (!isAmount(rows.visibleTotal[cell]) || !isAmount(rows.visibleShare[cell]) ||
        !(std::isnan(rows.total[cell]) || isAmount(rows.total[cell])))
      fail(name + ": totals and shares must be finite and at least 0");
    if (!(rows.depth[cell] >= 0) || !std::isfinite(rows.depth[cell]))
      fail(name + ": the depth must be finite and at least 0");
    for (std::int32_t row = first; row < end; ++row) {
      const bool isQuery = rows.batch.tokens[static_cast<std::size_t>(row)] == config.maskToken();
      if (isQuery != (row >= first + rows.keys[cell]))
        fail(name + ": its key rows must come first, and queries alone be mask tokens (row " +
             std::to_string(row) + ")");
    }
  }
}

DenoiserInput prepareCounts(const CountRows& rows, const DenoiserConfig& config,
                            const ParameterLayout& layout, bool train, Workspace& w) {
  const auto cells = static_cast<std::size_t>(rows.batch.cells());
  const std::vector<std::int32_t> queryRows = rows.queryRows(), queryGenes = rows.queryGenes();
  std::vector<std::int32_t> keyRows, clsRows, selected, clsPlaces, queryPlaces;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const std::int32_t first = rows.batch.offsets[cell], end = rows.batch.offsets[cell + 1];
    clsRows.push_back(first);
    clsPlaces.push_back(static_cast<std::int32_t>(selected.size()));
    selected.push_back(first);
    for (std::int32_t row = first; row < first + rows.keys[cell]; ++row) keyRows.push_back(row);
    for (std::int32_t row = first + rows.keys[cell]; row < end; ++row) {
      queryPlaces.push_back(static_cast<std::int32_t>(selected.size()));
      selected.push_back(row);
    }
  }
  const HostRagged whole(rows.batch), keyCells(whole, keyRows), selectedCells(whole, selected);
  DenoiserInput in;
  in.cells = whole.upload(w);
  in.tokens = w.upload(rows.batch.tokens);
  in.genes = w.upload(rows.batch.genes);
  in.selected = w.upload(selected);
  in.selectedCells = selectedCells.upload(w);
  CountInput& c = in.counts;
  c.keys = keyCells.upload(w);
  c.keyRows = w.upload(keyRows);
  c.pairs = pairs(whole, keyCells);
  c.selectedPairs = pairs(selectedCells, keyCells);
  c.cls = w.upload(clsPlaces);
  c.queries = w.upload(queryPlaces);
  c.clsCells = HostRagged(whole, clsRows).upload(w);
  c.queryCells = HostRagged(whole, queryRows).upload(w);
  c.queryGenes = w.upload(queryGenes);
  const Terms terms = termsOf(rows, layout);
  c.numbers = w.upload(terms.numbers);
  for (const std::vector<std::int32_t>& given : terms.given) c.given.push_back(w.upload(given));
  c.terms = w.upload(terms.terms);
  if (config.summary > 0)
    c.summary = {w.upload(rows.summary).data, rows.batch.cells(), config.summary, config.summary, DType::f32};
  if (!train) return in;
  c.byLabel = groupLabels(terms, cells, layout.labels.rows, w);
  c.byQueryGene = groupBy(queryGenes, config.geneVocabSize, w);
  return in;
}

void CountTables::set(const std::vector<double>& share, const std::vector<double>& size,
                      const DenoiserConfig& config) {
  const auto genes = static_cast<std::size_t>(config.geneVocabSize);
  require(share.size() == genes && size.size() == genes, "MODEL_BASE",
          "the base must have one share and one size for each of the model's gene ids");
  for (std::size_t gene = 0; gene < genes; ++gene) {
    const bool good =
        std::isfinite(share[gene]) && share[gene] >= 0 && std::isfinite(size[gene]) && size[gene] > 0;
    if (!good)
      throw Error("MODEL_BASE",
                  "gene id " + std::to_string(gene) + ": the share must be at least 0 and the size above 0");
  }
  const auto ids = static_cast<std::int64_t>(genes);
  const std::int64_t values = values_.values();
  // One piece: middles, what no gene changes, shares, sizes; then the bounds of values.
  const std::int64_t doubles = 2 * values + 2 * ids;
  memory_ = {};
  memory_ = Buffer(*backend_, static_cast<std::size_t>(doubles) * sizeof(double) +
                                  static_cast<std::size_t>(values + 1) * sizeof(std::int32_t));
  double* next = memory_.as<double>();
  const auto put = [&](const double* from, std::int64_t count) {
    backend_->upload(next, from, static_cast<std::size_t>(count) * sizeof(double));
    const Span<const double> span{next, count};
    next += count;
    return span;
  };
  shared_.middle = put(values_.middle().data, values);
  shared_.fixed = put(values_.fixed().data, values);
  share_ = put(share.data(), ids);
  shared_.size = put(size.data(), ids);
  auto* bounds = reinterpret_cast<std::int32_t*>(next);
  backend_->upload(bounds, values_.bounds().data,
                   static_cast<std::size_t>(values + 1) * sizeof(std::int32_t));
  low_ = {bounds, values + 1};
}

QueryGenes::QueryGenes(const std::vector<std::int32_t>& ofQueries, bool each) : genes(ofQueries) {
  if (each) {
    place.resize(genes.size());
    std::iota(place.begin(), place.end(), 0);
    return;
  }
  std::sort(genes.begin(), genes.end());
  genes.erase(std::unique(genes.begin(), genes.end()), genes.end());
  for (const std::int32_t gene : ofQueries)
    place.push_back(
        static_cast<std::int32_t>(std::lower_bound(genes.begin(), genes.end(), gene) - genes.begin()));
}

void CountTables::requireSet() const {
  require(share_.data != nullptr, "MODEL_BASE",
          "the model has no shares and sizes of genes yet: they are counted over the training cells");
}

CountTable CountTables::table(Span<const std::int32_t> genes, bool slopes, Workspace& w) const {
  requireSet();
  CountTable table = shared_;
  const std::int64_t entries = genes.size * values_.values();
  table.genes = genes;
  table.sizes = w.span<double>(genes.size);
  table.table = w.span<double>(entries);
  if (slopes) table.slope = w.span<double>(entries);
  return table;
}

CountBase CountTables::base(const CountTable& table, const DenoiserInput& input,
                            Span<const std::int32_t> place, Span<const double> depth,
                            Span<const float> tilt) const {
  requireSet();
  return {.middle = table.middle,
          .share = share_,
          .depth = depth,
          .sizes = table.sizes,
          .table = table.table,
          .slope = table.slope,
          .gene = input.counts.queryGenes,
          .cell = input.counts.queryCells.cell,
          .place = place,
          .tilt = tilt};
}

}  // namespace ddsc
