#include "cells/hidden_genes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "cells/stream_words.h"
#include "core/errors.h"

namespace ddsc::data {

namespace {

/// `value` where `counts`, else 0, without a branch: which genes are hidden cannot be foreseen.
double onlyIf(bool counts, double value) {
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(value) &
                               (std::uint64_t{0} - std::uint64_t{counts}));
}

}  // namespace

std::size_t RankedZeros::endOfStratum(std::size_t first, std::size_t strata) const {
  const std::size_t all = places.size();
  if (strata == 1) return all;
  const double target = before[first] + (before[all] - before[first]) / static_cast<double>(strata);
  // The genes have descending shares, so the end is rarely far: steps that double.
  std::size_t low = first, step = 1;
  while (low + step < all && before[low + step] < target) {
    low += step;
    step *= 2;
  }
  const auto at = [this](std::size_t place) { return before.begin() + static_cast<std::ptrdiff_t>(place); };
  const auto found = std::lower_bound(at(low), at(std::min(low + step, all)), target);
  auto end = static_cast<std::size_t>(found - before.begin());
  if (end > first && target - before[end - 1] < before[end] - target) --end;
  return std::clamp(end, first + 1, all - (strata - 1));
}

std::size_t drawBelow(const Stream& stream, std::size_t number, std::size_t bound) {
  const PhiloxBlock block = philox(stream, 0x80000000u | static_cast<std::uint32_t>(number));
  // The upper part of a 64-bit number times `bound`, which is below 2^31.
  const std::uint64_t high = std::uint64_t{block.word[0]} * bound;
  const std::uint64_t low = std::uint64_t{block.word[1]} * bound;
  return static_cast<std::size_t>((high + (low >> 32)) >> 32);
}

PreparedPanel::PreparedPanel(const GenePanel& panel, std::span<const double> share)
    : panel_(panel), placeOf_(share.size(), -1) {
  constexpr std::int32_t kFirstGene = 3;
  const std::size_t genes = panel.genes.size();
  require(panel.order.size() == genes, "ARGUMENT_RANGE", "the order of a panel is not as long as the panel");
  share_.reserve(genes);
  wordAt_.reserve(genes);
  for (std::size_t place = 0; place < genes; ++place) {
    const std::int32_t gene = panel.genes[place];
    const auto id = static_cast<std::size_t>(gene);
    if (gene < kFirstGene || id >= share.size() || (place > 0 && gene <= panel.genes[place - 1])) {
      throw Error("ARGUMENT_RANGE", "gene id " + std::to_string(gene) +
                                        " of a panel does not ascend from 3 on below the " +
                                        std::to_string(share.size()) + " rows of the vocabulary");
    }
    if (!(share[id] > 0)) {
      throw Error("ARGUMENT_RANGE",
                  "gene id " + std::to_string(gene) + " is measured, so its share must be above 0");
    }
    placeOf_[id] = static_cast<std::int32_t>(place);
    share_.push_back(share[id]);
    const auto block = static_cast<std::uint32_t>(gene) / 4;
    if (blocks_.empty() || blocks_.back() != block) blocks_.push_back(block);
    wordAt_.push_back(static_cast<std::uint32_t>(4 * (blocks_.size() - 1)) +
                      static_cast<std::uint32_t>(gene) % 4);
    contiguous_ = contiguous_ && wordAt_.back() == wordAt_.front() + place;
  }
  rootByOrder_.reserve(genes);
  for (const std::int32_t place : panel.order) {
    require(place >= 0 && static_cast<std::size_t>(place) < genes, "ARGUMENT_RANGE",
            "the order of a panel names a place that it does not have");
    rootByOrder_.push_back(std::sqrt(share_[static_cast<std::size_t>(place)]));
  }
}

std::uint32_t PreparedPanel::wordOf(const Stream& stream, std::uint32_t place) const {
  const auto gene = static_cast<std::uint32_t>(panel_.genes[place]);
  return philox(stream, gene / 4).word[gene % 4];
}

std::span<const std::uint32_t> PreparedPanel::wordsOf(const Stream& stream) const {
  words_.resize(4 * blocks_.size());
  fillBlocks(stream, blocks_, words_);
  if (contiguous_) return std::span(words_).subspan(wordAt_.front(), size());
  gathered_.resize(size());
  for (std::size_t place = 0; place < size(); ++place) gathered_[place] = words_[wordAt_[place]];
  return gathered_;
}

std::span<const std::uint32_t> PreparedPanel::hideSmallest(const Stream& stream, std::size_t count,
                                                           Hiding& hiding) const {
  hiding.resize(size());
  if (count == size()) {
    std::fill(hiding.begin(), hiding.end(), kHidden);
    return {};
  }
  const std::span<const std::uint32_t> words = wordsOf(stream);
  // The words are uniform, so the last one that is hidden lies close to its share of all words: only those
  // around it, four standard deviations to both sides, are put in order.
  const auto genes = static_cast<double>(size());
  const double middle = static_cast<double>(count) / genes;
  const double spread = 4 * std::sqrt(middle * (1 - middle) / genes) + 4 / genes;
  const auto wordAt = [](double share) {
    return static_cast<std::uint32_t>(std::clamp(share, 0.0, 1.0) * 4294967295.0);
  };
  std::uint32_t low = wordAt(middle - spread);
  std::uint32_t width = wordAt(middle + spread) - low;
  near_.resize(size());
  std::size_t below = 0, found = 0;
  const auto collect = [&] {
    below = found = 0;
    for (std::size_t place = 0; place < words.size(); ++place) {
      const std::uint32_t word = words[place];
      near_[found] = {word, static_cast<std::uint32_t>(place)};
      below += word < low ? 1u : 0u;
      found += word - low <= width ? 1u : 0u;
    }
  };
  collect();
  if (count <= below || count > below + found) {
    low = 0;
    width = 0xFFFFFFFFu;
    collect();
  }
  const auto first = near_.begin();
  const auto last = first + static_cast<std::ptrdiff_t>(count - below) - 1;
  std::nth_element(first, last, first + static_cast<std::ptrdiff_t>(found));
  const KeyedPlace greatest = *last;
  for (std::size_t place = 0; place < words.size(); ++place)
    hiding[place] = words[place] <= greatest.word ? kHidden : kVisible;
  // Of equal words, which hardly ever are, the lower ids.
  for (std::size_t i = 0; i < found; ++i) {
    const KeyedPlace& one = near_[i];
    if (one.word == greatest.word && greatest.place < one.place) hiding[one.place] = kVisible;
  }
  return words;
}

SharesSeen PreparedPanel::sharesSeen(const Hiding& hiding) const {
  // Four sums at a time, always the same ones: the result does not depend on the processor.
  double hidden[4] = {}, visible[4] = {};
  const auto add = [&](std::size_t place, std::size_t lane) {
    const bool isVisible = hiding[place] == kVisible;
    visible[lane] += onlyIf(isVisible, share_[place]);
    hidden[lane] += onlyIf(!isVisible, share_[place]);
  };
  std::size_t place = 0;
  for (; place + 4 <= size(); place += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) add(place + lane, lane);
  }
  for (std::size_t lane = 0; place < size(); ++place, ++lane) add(place, lane);
  return {(visible[0] + visible[1]) + (visible[2] + visible[3]),
          (hidden[0] + hidden[1]) + (hidden[2] + hidden[3])};
}

void PreparedPanel::byDescendingShare(const Hiding& hiding, RankedZeros& zeros) const {
  zeros.places.resize(size());
  zeros.before.resize(size() + 1);
  zeros.before[0] = 0;
  std::size_t found = 0;
  double sum = 0;
  for (std::size_t i = 0; i < size(); ++i) {
    const auto place = static_cast<std::uint32_t>(panel_.order[i]);
    const bool isHidden = hiding[place] == kHidden;
    zeros.places[found] = place;
    sum += onlyIf(isHidden, rootByOrder_[i]);
    found += isHidden ? 1u : 0u;
    zeros.before[found] = sum;
  }
  zeros.places.resize(found);
  zeros.before.resize(found + 1);
}

}  // namespace ddsc::data
