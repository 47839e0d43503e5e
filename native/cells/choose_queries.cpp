#include "cells/choose_queries.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "cells/hidden_genes.h"
#include "cells/stream_words.h"
#include "core/errors.h"
#include "ops/count_values.h"

namespace ddsc::data {

namespace {

constexpr std::int32_t kClsGene = 1, kFirstGene = 3, kClsToken = 0, kFirstValueToken = 2;

[[noreturn]] void fail(const char* code, std::size_t cell, const std::string& what) {
  throw Error(code, "cell " + std::to_string(cell) + " of the batch: " + what);
}

/// The tokens of a cell.
struct TokenRange {
  std::size_t first, end;
};

/// Those of a cell; the arrays fit each other.
TokenRange tokensOf(const CountCells& cells, std::size_t cell) {
  const std::int32_t first = cells.offsets[cell], end = cells.offsets[cell + 1];
  if (first < 0 || first > end || static_cast<std::size_t>(end) > cells.genes.size())
    fail("BATCH_INVALID", cell, "its offsets lie outside the tokens");
  return {static_cast<std::size_t>(first), static_cast<std::size_t>(end)};
}

void checkCells(const CountCells& cells) {
  require(cells.offsets.size() == cells.cells.size() + 1 && cells.counts.size() == cells.genes.size(),
          "BATCH_INVALID", "offsets, genes, counts and cells of the batch do not fit each other");
}

std::uint64_t indexOf(const CountCells& cells, std::size_t cell) {
  const double index = cells.cells[cell];
  if (!(index >= 0 && index < 17592186044416.0))
    fail("BATCH_INVALID", cell, "its index is not in 0 .. 2^44 - 1");
  return static_cast<std::uint64_t>(index);
}

/// A measured gene of a cell that has counts: its place in the panel.
struct Expressed {
  std::uint32_t place;
  std::int32_t count;
};

/// Chooses for one cell after the other; keeps scratch memory.
class Chooser {
 public:
  Chooser(const CountCells& cells, std::span<const GenePanel> panels, const QueryOptions& options)
      : cells_(cells), options_(options), panels_(panels), prepared_(panels.size()) {
    if (options.summary) summarizer_.emplace(*options.summary, options.share);
    rows_.offsets.push_back(0);
    reserve();
  }

  void add(std::size_t cell) {
    panel_ = &preparedPanel(cell);
    const std::uint64_t index = indexOf(cells_, cell);
    hide_ = Stream(options_.seed, Purpose::hide, options_.step, index);
    query_ = Stream(options_.seed, Purpose::query, options_.step, index);
    collect(cell, index);
    std::size_t hidden = options_.hide ? hideGiven(cell, *options_.hide) : hideDrawn(cell);
    hidden += limitEvidence();
    addEvidence();
    rows_.hidden.push_back(static_cast<std::int32_t>(hidden));
    rows_.measured.push_back(static_cast<std::int32_t>(panel_->size()));
    const SharesSeen seen = panel_->sharesSeen(hiding_);
    rows_.visibleShare.push_back(seen.visible);
    rows_.hiddenShare.push_back(seen.hidden);
    summarise(cell);
    if (options_.ask) {
      askGiven(cell, *options_.ask);
    } else {
      askExpressed();
      askZeros();
    }
    addQueries();
    rows_.offsets.push_back(static_cast<std::int32_t>(rows_.tokens.size()));
  }

  CountRows take() { return std::move(rows_); }

 private:
  /// Room for the rows of all cells, so that few have to be moved.
  void reserve() {
    const std::size_t cells = cells_.cells.size();
    std::size_t most = 0;
    for (const GenePanel& panel : panels_) most = std::max(most, panel.genes.size());
    const std::size_t queries =
        options_.ask ? options_.ask->genes.size()
                     : std::min(cells * std::min(most, options_.zeros + askedOf(most)), std::size_t{1} << 20);
    for (std::vector<std::int32_t>* rows : {&rows_.tokens, &rows_.genes})
      rows->reserve(cells_.genes.size() + queries);
    rows_.answers.reserve(queries);
    rows_.counts.reserve(queries);
    rows_.weight.reserve(queries);
    if (summarizer_) rows_.summary.reserve(cells * summarizer_->width());
  }

  /// How many of so many hidden expressed genes are asked about.
  std::size_t askedOf(std::size_t expressed) const {
    const std::size_t third = std::min((expressed + 2) / 3, options_.expressedMost);
    return std::min(expressed, std::max(third, options_.expressed));
  }

  std::int32_t valueOf(std::int32_t count) const {
    constexpr std::int32_t kExactCounts = 64;  // most are below
    return count < kExactCounts ? count : values_.valueOf(count);
  }

  const PreparedPanel& preparedPanel(std::size_t cell) {
    const std::int32_t number = cells_.panels[cell];
    if (number < 0 || static_cast<std::size_t>(number) >= panels_.size())
      fail("BATCH_INVALID", cell, "there is no panel " + std::to_string(number));
    std::optional<PreparedPanel>& prepared = prepared_[static_cast<std::size_t>(number)];
    if (!prepared) prepared.emplace(panels_[static_cast<std::size_t>(number)], options_.share);
    if (prepared->size() == 0) fail("BATCH_INVALID", cell, "its panel has no gene");
    return *prepared;
  }

  /// The cell's expressed genes, thinned.
  void collect(std::size_t cell, std::uint64_t index) {
    expressed_.clear();
    std::optional<MoleculeThinner> thinner;
    if (options_.keep) {
      const float keep = (*options_.keep)[cell];
      if (!(keep >= 0 && keep <= 1)) fail("ARGUMENT_RANGE", cell, "thin is not in 0 .. 1");
      if (keep < 1) thinner.emplace(Stream(options_.seed, Purpose::thin, options_.step, index), keep);
    }
    const auto [first, end] = tokensOf(cells_, cell);
    std::int32_t before = -1;
    std::int64_t total = 0;
    for (std::size_t token = first; token < end; ++token) {
      const std::int32_t gene = cells_.genes[token];
      if (gene >= 0 && gene < kFirstGene) continue;
      const std::int64_t place = panel_->placeOf(gene);
      if (place < 0 || gene <= before) {
        fail("BATCH_INVALID", cell,
             "gene id " + std::to_string(gene) +
                 (place < 0 ? " is not in its panel" : " comes after a greater one, or twice"));
      }
      before = gene;
      std::int32_t count = cells_.counts[token];
      if (count < 0) fail("BATCH_INVALID", cell, "a count is below 0");
      if (thinner) count = thinner->keep(count);
      if (count > 0) expressed_.push_back({static_cast<std::uint32_t>(place), count});
      total += count;
    }
    rows_.total.push_back(static_cast<double>(total));
  }

  std::size_t hideDrawn(std::size_t cell) {
    const std::int32_t count = options_.hidden[cell];
    if (count < 1 || static_cast<std::size_t>(count) > panel_->size()) {
      fail("ARGUMENT_RANGE", cell,
           "hidden is " + std::to_string(count) + "; it measures " + std::to_string(panel_->size()) +
               " genes, and 1 to all of them can be hidden");
    }
    hideWords_ = panel_->hideSmallest(hide_, static_cast<std::size_t>(count), hiding_);
    return static_cast<std::size_t>(count);
  }

  std::size_t hideGiven(std::size_t cell, const GeneLists& lists) {
    hideWords_ = {};
    hiding_.assign(panel_->size(), kVisible);
    const std::size_t hidden =
        eachGiven(cell, lists, "hide", [&](std::uint32_t place) { hiding_[place] = kHidden; });
    if (hidden == 0 && !options_.ask) fail("ARGUMENT_RANGE", cell, "hide names none of its genes");
    return hidden;
  }

  /// Calls use(place in the panel) for the genes that a list names of a cell; returns how many they are.
  template <class Use>
  std::size_t eachGiven(std::size_t cell, const GeneLists& lists, const std::string& list, const Use& use) {
    const std::int32_t first = lists.offsets[cell], end = lists.offsets[cell + 1];
    if (first < 0 || first > end || static_cast<std::size_t>(end) > lists.genes.size())
      fail("ARGUMENT_RANGE", cell, "the offsets of " + list + " lie outside its genes");
    std::int32_t before = -1;
    for (const std::int32_t gene :
         lists.genes.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(end - first))) {
      const std::int64_t place = panel_->placeOf(gene);
      if (place < 0 || gene <= before) {
        fail("ARGUMENT_RANGE", cell,
             list + " names gene id " + std::to_string(gene) +
                 (place < 0 ? ", which it does not measure" : " after a greater one, or twice"));
      }
      before = gene;
      use(static_cast<std::uint32_t>(place));
    }
    return static_cast<std::size_t>(end - first);
  }

  /// Hides visible expressed genes beyond the limit; returns how many.
  std::size_t limitEvidence() {
    keyed_.clear();
    for (const Expressed& gene : expressed_) {
      if (hiding_[gene.place] == kVisible) keyed_.push_back({0, gene.place});
    }
    if (keyed_.size() <= options_.evidence) return 0;
    const std::size_t beyond = keyed_.size() - options_.evidence;
    for (KeyedPlace& one : keyed_)
      one.word = hideWords_.empty() ? panel_->wordOf(hide_, one.place) : hideWords_[one.place];
    keepSmallest(beyond);
    for (const KeyedPlace& one : keyed_) hiding_[one.place] = kDropped;
    return beyond;
  }

  /// Leaves in `keyed_` those of the smallest pairs of word and gene id.
  void keepSmallest(std::size_t count) {
    if (count > 0)
      std::nth_element(keyed_.begin(), keyed_.begin() + static_cast<std::ptrdiff_t>(count) - 1, keyed_.end());
    keyed_.resize(count);
  }

  void addEvidence() {
    const std::size_t first = rows_.tokens.size();
    addRow(kClsToken, kClsGene);
    std::int64_t total = 0;
    for (const Expressed& gene : expressed_) {
      if (hiding_[gene.place] != kVisible) continue;
      addRow(valueOf(gene.count) + kFirstValueToken, panel_->geneAt(gene.place));
      total += gene.count;
    }
    rows_.keys.push_back(static_cast<std::int32_t>(rows_.tokens.size() - first));
    rows_.visibleTotal.push_back(static_cast<double>(total));
  }

  void addRow(std::int32_t token, std::int32_t gene) {
    rows_.tokens.push_back(token);
    rows_.genes.push_back(gene);
  }

  void summarise(std::size_t cell) {
    if (!summarizer_) return;
    const std::int32_t number = cells_.panels[cell];
    if (number != summarised_) {
      summarizer_->usePanel(panels_[static_cast<std::size_t>(number)].genes);
      summarised_ = number;
    }
    countAt_.resize(std::max(countAt_.size(), panel_->size()), 0);
    for (const Expressed& gene : expressed_) countAt_[gene.place] = gene.count;
    const VisibleCell visible{hiding_, countAt_, rows_.visibleTotal.back(), rows_.visibleShare.back()};
    summarizer_->add(visible, rows_.summary);
    for (const Expressed& gene : expressed_) countAt_[gene.place] = 0;
  }

  void askGiven(std::size_t cell, const GeneLists& lists) {
    beginAsking();
    for (const Expressed& gene : expressed_) countAt_[gene.place] = gene.count;
    eachGiven(cell, lists, "ask", [&](std::uint32_t place) {
      // Evidence beyond the limit cannot be asked about: its count is known.
      if (hiding_[place] != kHidden)
        fail("ARGUMENT_RANGE", cell,
             "ask names gene id " + std::to_string(panel_->geneAt(place)) + ", which is not hidden");
      ask(place, 1);
    });
  }

  void beginAsking() {
    asked_.assign((panel_->size() + 63) / 64, 0);
    weight_.resize(panel_->size());
    countAt_.resize(std::max(countAt_.size(), panel_->size()), 0);
  }

  /// From here on, hidden in `hiding_` are only genes without counts.
  void askExpressed() {
    beginAsking();
    keyed_.clear();
    for (const Expressed& gene : expressed_) {
      if (hiding_[gene.place] == kHidden) {
        keyed_.push_back({0, gene.place});
        countAt_[gene.place] = gene.count;
      }
      hiding_[gene.place] = kVisible;
    }
    const std::size_t all = keyed_.size(), wanted = askedOf(all);
    if (all > wanted) {
      for (KeyedPlace& one : keyed_) one.word = panel_->wordOf(query_, one.place);
      keepSmallest(wanted);
    }
    const float weight = static_cast<float>(static_cast<double>(all) / static_cast<double>(keyed_.size()));
    for (const KeyedPlace& one : keyed_) ask(one.place, weight);
  }

  void askZeros() {
    panel_->byDescendingShare(hiding_, zeros_);
    const std::size_t all = zeros_.places.size(), strata = std::min(all, options_.zeros);
    std::size_t first = 0;
    for (std::size_t stratum = 0; stratum < strata; ++stratum) {
      const std::size_t end = zeros_.endOfStratum(first, strata - stratum), genes = end - first;
      const std::size_t chosen = first + (genes == 1 ? 0 : drawBelow(query_, stratum, genes));
      ask(zeros_.places[chosen], static_cast<float>(genes));
      first = end;
    }
  }

  void ask(std::uint32_t place, float weight) {
    asked_[place / 64] |= std::uint64_t{1} << (place % 64);
    weight_[place] = weight;
  }

  void addQueries() {
    const std::int32_t mask = values_.values() + kFirstValueToken;
    for (std::size_t word = 0; word < asked_.size(); ++word) {
      for (std::uint64_t bits = asked_[word]; bits != 0; bits &= bits - 1) {
        const auto place =
            static_cast<std::uint32_t>(64 * word) + static_cast<std::uint32_t>(std::countr_zero(bits));
        const std::int32_t count = countAt_[place];
        addRow(mask, panel_->geneAt(place));
        rows_.answers.push_back(valueOf(count));
        rows_.counts.push_back(count);
        rows_.weight.push_back(weight_[place]);
      }
    }
    for (const Expressed& gene : expressed_) countAt_[gene.place] = 0;
  }

  const CountCells& cells_;
  const QueryOptions& options_;
  std::span<const GenePanel> panels_;
  std::vector<std::optional<PreparedPanel>> prepared_;
  const CountValues values_;
  std::optional<CellSummarizer> summarizer_;
  std::int32_t summarised_ = -1;  // the panel that it is ready for
  CountRows rows_;
  // Of the cell at hand.
  const PreparedPanel* panel_ = nullptr;
  Stream hide_{0, Purpose::hide, 0, 0}, query_{0, Purpose::query, 0, 0};
  std::vector<Expressed> expressed_;
  Hiding hiding_;
  std::span<const std::uint32_t> hideWords_;  // of all genes, where they were made
  std::vector<KeyedPlace> keyed_;
  RankedZeros zeros_;
  // By place in the panel; counts are 0 between cells.
  std::vector<std::uint64_t> asked_;
  std::vector<float> weight_;
  std::vector<std::int32_t> countAt_;
};

}  // namespace

CountRows chooseQueries(const CountCells& cells, std::span<const GenePanel> panels,
                        const QueryOptions& options) {
  checkCells(cells);
  const std::size_t count = cells.cells.size();
  require(cells.panels.size() == count, "BATCH_INVALID", "the batch does not have a panel a cell");
  require(options.hide ? options.hide->offsets.size() == count + 1 : options.hidden.size() == count,
          "ARGUMENT_RANGE", "hidden, or hide in its place, must say of each cell which genes to hide");
  require(!options.ask || options.hide, "ARGUMENT_RANGE", "ask needs hide, of which it names some");
  require(!options.ask || options.ask->offsets.size() == count + 1, "ARGUMENT_RANGE",
          "ask must say of each cell which hidden genes to ask about");
  require(!options.keep || options.keep->size() == count, "ARGUMENT_RANGE", "thin must have a number a cell");
  Chooser chooser(cells, panels, options);
  for (std::size_t cell = 0; cell < count; ++cell) chooser.add(cell);
  return chooser.take();
}

std::vector<std::int32_t> thinCounts(const CountCells& cells, double keep, std::uint64_t seed,
                                     std::uint64_t step) {
  checkCells(cells);
  std::vector<std::int32_t> kept(cells.counts.size());
  for (std::size_t cell = 0; cell < cells.cells.size(); ++cell) {
    MoleculeThinner thinner(Stream(seed, Purpose::thin, step, indexOf(cells, cell)), keep);
    const auto [first, end] = tokensOf(cells, cell);
    for (std::size_t token = first; token < end; ++token) {
      if (cells.counts[token] < 0) fail("BATCH_INVALID", cell, "a count is below 0");
      kept[token] = thinner.keep(cells.counts[token]);
    }
  }
  return kept;
}

}  // namespace ddsc::data
