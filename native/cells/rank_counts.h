#pragma once
// Counts to quantile ranks, bit for bit as lib/tokenizer/quantile_ranks.ts defines them.

#include <cstdint>
#include <span>
#include <vector>

namespace ddsc::data {

/// A count's rank is the number of inner quantiles of its cell's counts that lie below it. Keeps scratch
/// memory.
class QuantileRanker {
 public:
  /// @param steps the inner quantiles' places in [0, 1], ascending, [ranks - 1]
  explicit QuantileRanker(std::vector<float> steps) : steps_(std::move(steps)), edges_(steps_.size()) {}

  /// Ranks of one cell's counts, all finite and above 0.
  void rank(std::span<const float> counts, std::span<std::int32_t> ranks);

 private:
  bool rankSmallWholeNumbers(std::span<const float> counts, std::span<std::int32_t> ranks);
  void rankAny(std::span<const float> counts, std::span<std::int32_t> ranks);
  /// Fills `upTo_` for counts below `values`.
  void countUpTo(std::span<const std::int32_t> counts, std::size_t values);

  std::vector<float> steps_, edges_;
  std::vector<float> sorted_;
  std::vector<std::int32_t> rankOf_;
  std::vector<std::uint32_t> upTo_;  // small whole counts: how many are at most so large
  std::vector<std::uint32_t> tables_;
};

}  // namespace ddsc::data
