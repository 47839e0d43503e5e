#include "model/batch.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "core/errors.h"

namespace ddsc {

void check(const CellBatch& b, const DenoiserConfig& config) {
  const auto fail = [](const std::string& message) { throw Error("BATCH_INVALID", message); };
  if (b.offsets.size() != b.cellIndex.size() + 1)
    fail("offsets must have one entry more than there are cells");
  if (b.genes.size() != b.tokens.size()) fail("genes and tokens must be equally long");
  if (b.tokens.size() > std::size_t{std::numeric_limits<std::int32_t>::max()})
    fail("a batch holds at most 2^31 - 1 tokens");
  if (b.offsets.front() != 0 || b.offsets.back() != b.rows())
    fail("offsets must run from 0 to the number of tokens");
  for (std::size_t i = 0; i + 1 < b.offsets.size(); ++i) {
    if (b.offsets[i] > b.offsets[i + 1]) fail("offsets must not fall (cell " + std::to_string(i) + ")");
    // Dropout names a token by position << 12 | column / 4: see random.h.
    if (b.offsets[i + 1] - b.offsets[i] > 1 << 20)
      fail("cell " + std::to_string(i) + " has more than 2^20 tokens");
  }
  for (std::size_t i = 0; i < b.tokens.size(); ++i) {
    if (b.tokens[i] < 0 || b.tokens[i] >= config.vocabSize) {
      fail("token " + std::to_string(i) + " is " + std::to_string(b.tokens[i]) + "; the model has " +
           std::to_string(config.vocabSize) + " rank tokens");
    }
    if (b.genes[i] < 0 || b.genes[i] >= config.geneVocabSize) {
      fail("gene id " + std::to_string(b.genes[i]) + " at token " + std::to_string(i) +
           " lies outside of the model's " + std::to_string(config.geneVocabSize) + " gene ids");
    }
  }
}

HostRagged::HostRagged(const CellBatch& batch) : offsets_(batch.offsets), cellIndex_(batch.cellIndex) {
  cell_.reserve(batch.tokens.size());
  position_.reserve(batch.tokens.size());
  for (std::size_t c = 0; c + 1 < offsets_.size(); ++c) {
    for (std::int32_t i = offsets_[c]; i < offsets_[c + 1]; ++i) {
      cell_.push_back(static_cast<std::int32_t>(c));
      position_.push_back(i - offsets_[c]);
    }
    longest_ = std::max(longest_, offsets_[c + 1] - offsets_[c]);
  }
}

HostRagged::HostRagged(const HostRagged& whole, const std::vector<std::int32_t>& rows)
    : cellIndex_(whole.cellIndex_) {
  offsets_.assign(whole.offsets_.size(), 0);
  cell_.reserve(rows.size());
  position_.reserve(rows.size());
  for (const std::int32_t row : rows) {
    const std::int32_t cell = whole.cell_[static_cast<std::size_t>(row)];
    cell_.push_back(cell);
    position_.push_back(whole.position_[static_cast<std::size_t>(row)]);
    ++offsets_[static_cast<std::size_t>(cell) + 1];
  }
  for (std::size_t c = 1; c < offsets_.size(); ++c) {
    longest_ = std::max(longest_, offsets_[c]);
    offsets_[c] += offsets_[c - 1];
  }
}

namespace {
template <class T>
Span<const T> spanOf(const std::vector<T>& values) {
  return {values.data(), static_cast<std::int64_t>(values.size())};
}
}  // namespace

Ragged HostRagged::view() const {
  return {spanOf(offsets_), spanOf(cell_), spanOf(position_), spanOf(cellIndex_), longest_};
}

Ragged HostRagged::upload(Workspace& w) const {
  return {w.upload(offsets_), w.upload(cell_), w.upload(position_), w.upload(cellIndex_), longest_};
}

std::int64_t pairs(const HostRagged& asking, const HostRagged& keys) {
  const Span<const std::int32_t> rows = asking.view().offsets, keyRows = keys.view().offsets;
  std::int64_t sum = 0;
  for (std::int64_t cell = 0; cell + 1 < rows.size; ++cell)
    sum += std::int64_t{rows[cell + 1] - rows[cell]} * (keyRows[cell + 1] - keyRows[cell]);
  return sum;
}

Grouping groupBy(const std::vector<std::int32_t>& ids, std::int64_t bound, Workspace& workspace) {
  // A batch holds few of the vocabulary's genes: sort the rows rather than count over the whole vocabulary.
  std::vector<std::int32_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  if (static_cast<std::size_t>(bound) <= 4 * ids.size()) {
    std::vector<std::int32_t> next(static_cast<std::size_t>(bound) + 1, 0);
    for (const std::int32_t id : ids) ++next[static_cast<std::size_t>(id) + 1];
    std::partial_sum(next.begin(), next.end(), next.begin());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      rows[static_cast<std::size_t>(next[static_cast<std::size_t>(ids[i])]++)] = static_cast<std::int32_t>(i);
    }
  } else {
    std::stable_sort(rows.begin(), rows.end(), [&](std::int32_t a, std::int32_t b) {
      return ids[static_cast<std::size_t>(a)] < ids[static_cast<std::size_t>(b)];
    });
  }
  std::vector<std::int32_t> distinct, starts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int32_t id = ids[static_cast<std::size_t>(rows[i])];
    if (distinct.empty() || distinct.back() != id) {
      distinct.push_back(id);
      starts.push_back(static_cast<std::int32_t>(i));
    }
  }
  starts.push_back(static_cast<std::int32_t>(rows.size()));
  return {workspace.upload(distinct), workspace.upload(starts), workspace.upload(rows)};
}

}  // namespace ddsc
