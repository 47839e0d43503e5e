// The arithmetic repeats lib/tokenizer/float32.ts step by step (float64 sums rounded once to float32), so
// that both give the same bits on every platform. Counts of a cell are nearly always small whole numbers:
// their quantiles follow from how often each occurs, without sorting.
#include "cells/rank_counts.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ddsc::data {

namespace {

constexpr std::int32_t kSmallCount = 4096;

/// float32(a * b + c), rounded once: see fusedMultiplyAdd in float32.ts.
float fusedMultiplyAdd(double a, double b, double c) {
  const double product = a * b;
  const double sum = product + c;
  const double part = sum - product;
  const double error = product - (sum - part) + (c - part);
  if (error == 0) return static_cast<float>(sum);
  constexpr std::uint32_t dropped = 0x1fffffff, tie = 0x10000000;
  auto bits = std::bit_cast<std::uint64_t>(sum);
  if ((static_cast<std::uint32_t>(bits) & dropped) != tie) return static_cast<float>(sum);
  const auto low = static_cast<std::uint32_t>(bits) + ((error > 0) == (sum > 0) ? 1u : ~0u);
  bits = (bits & 0xFFFFFFFF00000000u) | low;
  return static_cast<float>(std::bit_cast<double>(bits));
}

/// torch.lerp: see interpolate in float32.ts.
float interpolate(float start, float end, float weight) {
  const float difference = end - start;
  return weight < 0.5f ? fusedMultiplyAdd(weight, difference, start)
                       : fusedMultiplyAdd(static_cast<double>(weight) - 1, difference, end);
}

/// Quantiles at `steps`, where `at(place)` is the count at a place of the sorted counts. Places asked for one
/// after the other lie close together.
template <class At>
void findEdges(std::span<const float> steps, std::size_t length, const At& at, std::span<float> edges) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto position = static_cast<float>(static_cast<double>(steps[i]) * static_cast<double>(length - 1));
    const float below = std::floor(position);
    const float low = at(static_cast<std::size_t>(below)),
                high = at(static_cast<std::size_t>(std::ceil(position)));
    edges[i] = low == high ? low : interpolate(low, high, position - below);
  }
}

}  // namespace

void QuantileRanker::rank(std::span<const float> counts, std::span<std::int32_t> ranks) {
  if (counts.empty()) return;
  if (!rankSmallWholeNumbers(counts, ranks)) rankAny(counts, ranks);
}

bool QuantileRanker::rankSmallWholeNumbers(std::span<const float> counts, std::span<std::int32_t> ranks) {
  // No exit before the end, so that several counts are looked at at a time.
  bool whole = true;
  std::int32_t most = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto count = static_cast<std::int32_t>(std::min(counts[i], static_cast<float>(kSmallCount)));
    whole &= static_cast<float>(count) == counts[i];
    most = std::max(most, count);
    ranks[i] = count;
  }
  if (!whole || most >= kSmallCount) return false;
  countUpTo(ranks.first(counts.size()), static_cast<std::size_t>(most) + 1);
  std::size_t value = 0;
  findEdges(
      steps_, counts.size(),
      [&](std::size_t place) {
        while (value > 0 && place < upTo_[value - 1]) --value;
        while (place >= upTo_[value]) ++value;
        return static_cast<float>(value);
      },
      edges_);
  rankOf_.resize(upTo_.size());
  std::size_t rank = 0;
  for (std::size_t count = 1; count < rankOf_.size(); ++count) {
    if (upTo_[count] == upTo_[count - 1]) continue;
    while (rank < edges_.size() && edges_[rank] < static_cast<float>(count)) ++rank;
    rankOf_[count] = static_cast<std::int32_t>(rank);
  }
  for (std::int32_t& count : ranks.first(counts.size())) count = rankOf_[static_cast<std::size_t>(count)];
  return true;
}

void QuantileRanker::countUpTo(std::span<const std::int32_t> counts, std::size_t values) {
  // Most counts are 1: neighbours are counted in tables of their own, or each would wait for the one before.
  constexpr std::size_t kTables = 4;
  tables_.assign(kTables * values, 0);
  std::uint32_t* const table = tables_.data();
  const auto place = [&](std::size_t i) { return static_cast<std::size_t>(counts[i]); };
  std::size_t i = 0;
  for (; i + kTables <= counts.size(); i += kTables) {
    ++table[place(i)];
    ++table[values + place(i + 1)];
    ++table[2 * values + place(i + 2)];
    ++table[3 * values + place(i + 3)];
  }
  for (; i < counts.size(); ++i) ++table[place(i)];
  upTo_.resize(values);
  std::uint32_t sum = 0;
  for (std::size_t value = 0; value < values; ++value) {
    sum += table[value] + table[values + value] + table[2 * values + value] + table[3 * values + value];
    upTo_[value] = sum;
  }
}

void QuantileRanker::rankAny(std::span<const float> counts, std::span<std::int32_t> ranks) {
  sorted_.assign(counts.begin(), counts.end());
  std::sort(sorted_.begin(), sorted_.end());
  findEdges(steps_, counts.size(), [&](std::size_t place) { return sorted_[place]; }, edges_);
  // Ranks of the distinct counts, in the order of lib/tokenizer/quantile_ranks.ts.
  std::size_t rank = 0, distinct = 0;
  rankOf_.resize(sorted_.size());
  for (const float count : sorted_) {
    if (distinct > 0 && sorted_[distinct - 1] == count) continue;
    while (rank < edges_.size() && edges_[rank] < count) ++rank;
    sorted_[distinct] = count;
    rankOf_[distinct++] = static_cast<std::int32_t>(rank);
  }
  const auto end = sorted_.begin() + static_cast<std::ptrdiff_t>(distinct);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto found = std::lower_bound(sorted_.begin(), end, counts[i]);
    ranks[i] = rankOf_[static_cast<std::size_t>(found - sorted_.begin())];
  }
}

}  // namespace ddsc::data
