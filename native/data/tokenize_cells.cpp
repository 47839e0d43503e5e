#include "data/tokenize_cells.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "data/rank_counts.h"
#include "random.h"

namespace ddsc::data {

namespace {

constexpr std::int32_t kClsGene = 1, kSpecialToken = 0, kFirstRankToken = 2;
constexpr std::size_t kExamples = 5;  // REPORT_EXAMPLES of lib/tokenizer/report.ts

void addExample(std::vector<std::int32_t>& examples, std::int32_t example) {
  const bool known = std::find(examples.begin(), examples.end(), example) != examples.end();
  if (examples.size() < kExamples && !known) examples.push_back(example);
}

/// The words of a random stream one after the other: RandomStream of lib/random.ts.
class Words {
 public:
  explicit Words(const Stream& stream) : stream_(stream) {}

  /// Whole number in [0, bound), exactly uniform.
  std::uint32_t below(std::uint32_t bound) {
    for (;;) {
      if (used_ == 4) {
        block_ = philox(stream_, position_++);
        used_ = 0;
      }
      const std::uint32_t word = block_.word[used_++];
      // Words from the greatest multiple of `bound` on are passed over; that it lies above the last `bound`
      // of them spares the division nearly always.
      if (word < 0u - bound || word <= ~((0u - bound) % bound)) return word % bound;
    }
  }

 private:
  Stream stream_;
  PhiloxBlock block_{};
  std::uint32_t position_ = 0;
  int used_ = 4;
};

class Tokenizer {
 public:
  Tokenizer(const TokenizeOptions& options, TokenizedCells& result)
      : options_(options), result_(result), ranker_(options.steps) {}

  bool add(const CellSlice& cells, std::size_t cell) {
    const auto first = static_cast<std::size_t>(cells.offsets[cell]),
               last = static_cast<std::size_t>(cells.offsets[cell + 1]);
    const std::int32_t row = cells.rows[cell];
    bool stored = false;
    if (!collect(cells, first, last, stored)) return false;
    const std::size_t expressed = ids_.size();
    if (expressed < options_.minGenes) {
      ++(expressed > 0 ? result_.smallCells : stored ? result_.unknownOnlyCells : result_.emptyCells);
      addExample(result_.skippedRows, row);
      return true;
    }
    ranks_.resize(expressed);
    ranker_.rank(counts_, ranks_);
    const std::size_t kept = std::min(expressed, options_.room), start = result_.genes.size();
    result_.genes.resize(start + kept + (options_.cls ? 1 : 0));
    result_.tokens.resize(result_.genes.size());
    nextGene_ = result_.genes.data() + start;
    nextToken_ = result_.tokens.data() + start;
    if (options_.cls) {
      *nextGene_++ = kClsGene;
      *nextToken_++ = kSpecialToken;
    }
    if (kept == expressed) {
      for (std::size_t i = 0; i < expressed; ++i) put(i);
    } else {
      ++result_.shortenedCells;
      result_.leftOutGenes += expressed - kept;
      putSome(row);
    }
    result_.cells.push_back(row);
    result_.offsets.push_back(static_cast<std::int32_t>(result_.genes.size()));
    return true;
  }

 private:
  /// Writes the token of a gene of the cell.
  void put(std::size_t i) {
    *nextGene_++ = ids_[i];
    *nextToken_++ = ranks_[i] + kFirstRankToken;
  }

  /// Ids and counts of the cell's expressed genes, by ascending id.
  bool collect(const CellSlice& cells, std::size_t first, std::size_t last, bool& stored) {
    ids_.resize(last - first);
    counts_.resize(last - first);
    std::size_t found = 0;
    std::int32_t before = -1;
    bool ascending = true;
    for (std::size_t i = first; i < last; ++i) {
      const float count = cells.counts[i];
      if (count == 0) continue;
      if (!(count > 0 && count <= std::numeric_limits<float>::max())) return false;
      stored = true;
      const auto column = static_cast<std::size_t>(cells.columns[i]);
      if (column >= options_.ids.size()) return false;
      const std::int32_t id = options_.ids[column];
      if (id < 0) {
        ++result_.unknownCounts;
        addExample(result_.unknownColumns, cells.columns[i]);
        continue;
      }
      ascending = ascending && id > before;
      before = id;
      ids_[found] = id;
      counts_[found++] = count;
    }
    ids_.resize(found);
    counts_.resize(found);
    return ascending || sortById();
  }

  /// False where an id occurs twice.
  bool sortById() {
    order_.resize(ids_.size());
    std::iota(order_.begin(), order_.end(), 0u);
    std::sort(order_.begin(), order_.end(),
              [&](std::uint32_t a, std::uint32_t b) { return ids_[a] < ids_[b]; });
    std::vector<std::int32_t> ids(ids_.size());
    std::vector<float> counts(ids_.size());
    for (std::size_t i = 0; i < order_.size(); ++i) {
      ids[i] = ids_[order_[i]];
      counts[i] = counts_[order_[i]];
      if (i > 0 && ids[i] == ids[i - 1]) return false;
    }
    ids_.swap(ids);
    counts_.swap(counts);
    return true;
  }

  /// As many genes as there is room for: chooseWithoutReplacement of lib/tokenizer/choose.ts.
  void putSome(std::int32_t row) {
    const std::size_t total = ids_.size();
    if (!options_.sample) {
      for (std::size_t i = 0; i < options_.room; ++i) put(i);
      return;
    }
    Words words(Stream(options_.seed, Purpose::geneSample, options_.epoch, static_cast<std::uint64_t>(row)));
    const bool leaveOut = 2 * options_.room > total;
    const std::size_t draws = leaveOut ? total - options_.room : options_.room;
    order_.resize(total);
    std::iota(order_.begin(), order_.end(), 0u);
    drawn_.assign(total, 0);
    for (std::size_t i = 0; i < draws; ++i) {
      const std::size_t j = i + words.below(static_cast<std::uint32_t>(total - i));
      drawn_[order_[j]] = 1;
      order_[j] = order_[i];
    }
    const std::uint8_t wanted = leaveOut ? 0 : 1;
    for (std::size_t i = 0; i < total; ++i) {
      if (drawn_[i] == wanted) put(i);
    }
  }

  const TokenizeOptions& options_;
  TokenizedCells& result_;
  QuantileRanker ranker_;
  std::vector<std::int32_t> ids_, ranks_;
  std::int32_t *nextGene_ = nullptr, *nextToken_ = nullptr;
  std::vector<float> counts_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint8_t> drawn_;
};

}  // namespace

bool tokenizeCells(const CellSlice& cells, const TokenizeOptions& options, TokenizedCells& result) {
  Tokenizer tokenizer(options, result);
  std::size_t capacity = 0;
  for (std::size_t cell = 0; cell < cells.rows.size(); ++cell) {
    const auto stored = static_cast<std::size_t>(cells.offsets[cell + 1] - cells.offsets[cell]);
    capacity += std::min(stored, options.room) + 1;
  }
  result.genes.reserve(capacity);
  result.tokens.reserve(capacity);
  result.cells.reserve(cells.rows.size());
  result.offsets.reserve(cells.rows.size() + 1);
  result.offsets.push_back(0);
  for (std::size_t cell = 0; cell < cells.rows.size(); ++cell) {
    if (!tokenizer.add(cells, cell)) return false;
  }
  return true;
}

}  // namespace ddsc::data
