#include "cells/tokenize_cells.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "cells/rank_counts.h"
#include "core/random.h"
#include "ops/count_values.h"

namespace ddsc::data {

namespace {

constexpr std::int32_t kClsGene = 1, kSpecialToken = 0, kFirstRankToken = 2;
/// Whole counts are kept as 32-bit numbers; the greatest float32 among these is 2^31 - 128.
constexpr float kMostWholeCount = 2147483520.0f;
constexpr std::size_t kExamples = 5;  // REPORT_EXAMPLES of lib/tokenizer/report.ts

void addExample(std::vector<std::int32_t>& examples, std::int32_t example) {
  const bool known = std::find(examples.begin(), examples.end(), example) != examples.end();
  if (examples.size() < kExamples && !known) examples.push_back(example);
}

/// The words of a random stream one after the other: RandomStream of lib/base/random.ts.
class Words {
 public:
  explicit Words(const Stream& stream) : stream_(stream) {}

  /// Whole number in [0, bound), exactly uniform.
  std::uint32_t below(std::uint32_t bound) {
    for (;;) {
      if (used_ == words_.size()) refill();
      const std::uint32_t word = words_[used_++];
      // Words from the greatest multiple of `bound` on are passed over; that it lies above the last `bound`
      // of them spares the division nearly always.
      if (word < 0u - bound || word <= ~((0u - bound) % bound)) return word % bound;
    }
  }

 private:
  /// Several blocks at once: each is a chain of ten rounds, which wait for nothing but each other.
  void refill() {
    for (std::size_t block = 0; block < kBlocks; ++block) {
      const PhiloxBlock made = philox(stream_, position_++);
      std::copy_n(made.word, 4, &words_[4 * block]);
    }
    used_ = 0;
  }

  static constexpr std::size_t kBlocks = 8;
  Stream stream_;
  std::array<std::uint32_t, 4 * kBlocks> words_{};
  std::uint32_t position_ = 0;
  std::size_t used_ = words_.size();
};

class Tokenizer {
 public:
  Tokenizer(const TokenizeOptions& options, TokenizedCells& result)
      : options_(options),
        result_(result),
        whole_(options.values != TokenValues::ranks),
        most_(whole_ ? kMostWholeCount : std::numeric_limits<float>::max()),
        ranker_(options.steps) {}

  bool add(const CellSlice& slice, std::size_t cell) {
    const auto first = static_cast<std::size_t>(slice.offsets[cell]),
               stored = static_cast<std::size_t>(slice.offsets[cell + 1]) - first;
    const auto columns = slice.columns.subspan(first, stored);
    const auto counts = slice.counts.subspan(first, stored);
    const std::int32_t row = slice.rows[cell];
    ids_.resize(stored);
    std::span<const float> expressed = counts;
    bool anyStored = stored > 0;
    if (!collectAll(columns, counts)) {
      if (!collectSome(columns, counts, anyStored)) return false;
      expressed = counts_;
    }
    if (expressed.size() < options_.minGenes) {
      ++(!expressed.empty() ? result_.smallCells : anyStored ? result_.unknownOnlyCells : result_.emptyCells);
      addExample(result_.skippedRows, row);
      return true;
    }
    ranks_.resize(expressed.size());
    if (whole_) {
      findValues(expressed);
    } else {
      ranker_.rank(expressed, ranks_);
    }
    nextGene_ = result_.genes.data() + result_.length;
    nextToken_ = result_.tokens.data() + result_.length;
    if (options_.cls) {
      *nextGene_++ = kClsGene;
      *nextToken_++ = kSpecialToken;
    }
    const std::size_t kept = std::min(expressed.size(), options_.room);
    if (kept < expressed.size()) {
      ++result_.shortenedCells;
      result_.leftOutGenes += expressed.size() - kept;
    }
    if (kept < expressed.size() && options_.sample) {
      putSample(row);
    } else {
      putFirst(kept);
    }
    if (whole_) putCounts(expressed);
    result_.length = static_cast<std::size_t>(nextGene_ - result_.genes.data());
    result_.cells.push_back(row);
    result_.offsets.push_back(static_cast<std::int32_t>(result_.length));
    return true;
  }

 private:
  /// Values of whole counts, in `ranks_`.
  void findValues(std::span<const float> counts) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto count = static_cast<std::int32_t>(counts[i]);
      ranks_[i] = count < kExactCounts ? count : countValues_.valueOf(count);
    }
  }

  /// Writes the counts of a cell whose tokens were all written.
  void putCounts(std::span<const float> counts) {
    std::int32_t* next = result_.counts.data() + result_.length;
    if (options_.cls) *next++ = 0;
    std::transform(counts.begin(), counts.end(), next,
                   [](float count) { return static_cast<std::int32_t>(count); });
  }

  /// Writes the tokens of the genes of the lowest ids.
  void putFirst(std::size_t kept) {
    nextGene_ = std::copy_n(ids_.data(), kept, nextGene_);
    nextToken_ = std::transform(ranks_.data(), ranks_.data() + kept, nextToken_,
                                [](std::int32_t rank) { return rank + kFirstRankToken; });
  }

  /// Ids of the cell's genes where all of it is as nearly every cell is: good counts, known genes, ascending
  /// ids. False otherwise; nothing is counted then.
  bool collectAll(std::span<const std::int32_t> columns, std::span<const float> counts) {
    bool good = true;
    for (const float count : counts) good &= count > 0 && count <= most_;
    if (whole_ && good) {
      for (const float count : counts) good &= static_cast<float>(static_cast<std::int32_t>(count)) == count;
    }
    const auto known = static_cast<std::uint32_t>(options_.ids.size());
    for (const std::int32_t column : columns) good &= static_cast<std::uint32_t>(column) < known;
    if (!good) return false;
    std::int32_t before = -1;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const std::int32_t id = options_.ids[static_cast<std::size_t>(columns[i])];
      good &= id > before;  // so it is none of the unknown, -1, either
      before = id;
      ids_[i] = id;
    }
    return good;
  }

  /// Ids and counts of the cell's expressed genes, by ascending id. False where the cell must be refused.
  bool collectSome(std::span<const std::int32_t> columns, std::span<const float> counts, bool& anyStored) {
    counts_.resize(columns.size());
    std::size_t found = 0;
    std::int32_t before = -1;
    bool ascending = true;
    anyStored = false;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      float count = counts[i];
      if (options_.values == TokenValues::roundedCounts && count > 0 && count <= most_) {
        count = static_cast<float>(std::floor(static_cast<double>(count) + 0.5));
      }
      if (count == 0) continue;
      if (!(count > 0 && count <= most_)) return false;
      if (whole_ && static_cast<float>(static_cast<std::int32_t>(count)) != count) return false;
      anyStored = true;
      const auto column = static_cast<std::size_t>(columns[i]);
      if (column >= options_.ids.size()) return false;
      const std::int32_t id = options_.ids[column];
      if (id < 0) {
        ++result_.unknownCounts;
        addExample(result_.unknownColumns, columns[i]);
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
  void putSample(std::int32_t row) {
    const std::size_t total = ids_.size();
    Words words(Stream(options_.seed, Purpose::geneSample, options_.epoch, static_cast<std::uint64_t>(row)));
    const bool leaveOut = 2 * options_.room > total;
    const std::size_t draws = leaveOut ? total - options_.room : options_.room;
    order_.resize(total);
    std::iota(order_.begin(), order_.end(), 0u);
    kept_.assign(total, leaveOut ? 1 : 0);
    for (std::size_t i = 0; i < draws; ++i) {
      const std::size_t j = i + words.below(static_cast<std::uint32_t>(total - i));
      kept_[order_[j]] = leaveOut ? 0 : 1;
      order_[j] = order_[i];
    }
    // Which genes stay is random: every one is written and the place moves on where it stays, as no branch
    // could be foreseen. Nothing is written past the last that stays.
    std::size_t at = 0;
    for (std::size_t i = 0; at < options_.room; ++i) {
      nextGene_[at] = ids_[i];
      nextToken_[at] = ranks_[i] + kFirstRankToken;
      at += kept_[i];
    }
    nextGene_ += at;
    nextToken_ += at;
  }

  const TokenizeOptions& options_;
  TokenizedCells& result_;
  const bool whole_;
  const float most_;
  QuantileRanker ranker_;
  const CountValues countValues_;
  /// Counts below it are values of their own.
  static constexpr std::int32_t kExactCounts = 64;
  std::vector<std::int32_t> ids_, ranks_;
  std::int32_t *nextGene_ = nullptr, *nextToken_ = nullptr;
  std::vector<float> counts_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint8_t> kept_;
};

}  // namespace

bool cellsExist(std::span<const CellSlice> slices, std::span<const PickedCell> picked) {
  return std::all_of(picked.begin(), picked.end(), [&](const PickedCell& pick) {
    if (pick.slice >= slices.size()) return false;
    const CellSlice& slice = slices[pick.slice];
    if (pick.cell >= slice.rows.size() || pick.cell + 1 >= slice.offsets.size()) return false;
    const std::int32_t start = slice.offsets[pick.cell], end = slice.offsets[pick.cell + 1];
    return start >= 0 && start <= end &&
           static_cast<std::size_t>(end) <= std::min(slice.columns.size(), slice.counts.size());
  });
}

std::size_t tokenCapacity(std::span<const CellSlice> slices, std::span<const PickedCell> picked,
                          const TokenizeOptions& options) {
  std::size_t capacity = 0;
  for (const PickedCell& pick : picked) {
    const std::span<const std::int32_t> offsets = slices[pick.slice].offsets;
    const auto stored = static_cast<std::size_t>(offsets[pick.cell + 1] - offsets[pick.cell]);
    capacity += std::min(stored, options.room) + 1;
  }
  return capacity;
}

bool tokenizeCells(std::span<const CellSlice> slices, std::span<const PickedCell> picked,
                   const TokenizeOptions& options, TokenizedCells& result) {
  Tokenizer tokenizer(options, result);
  result.cells.reserve(picked.size());
  result.offsets.reserve(picked.size() + 1);
  result.offsets.push_back(0);
  return std::all_of(picked.begin(), picked.end(),
                     [&](const PickedCell& pick) { return tokenizer.add(slices[pick.slice], pick.cell); });
}

}  // namespace ddsc::data
