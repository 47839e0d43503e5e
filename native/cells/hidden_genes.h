#pragma once
// The genes of a panel, hidden and visible: what choose_queries.cpp chooses from, a pass over the panel at a
// time.

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "cells/choose_queries.h"
#include "core/random.h"

namespace ddsc::data {

/// Of each place of a panel.
using Hiding = std::vector<std::uint8_t>;
inline constexpr std::uint8_t kVisible = 0, kHidden = 1, kDropped = 2;  // dropped: hidden, never asked about

/// A gene of a panel and its random word; ordered by word, then by gene id.
struct KeyedPlace {
  std::uint32_t word, place;

  bool operator<(const KeyedPlace& other) const {
    return word != other.word ? word < other.word : place < other.place;
  }
};

struct SharesSeen {
  double visible = 0, hidden = 0;
};

/// Hidden genes without counts, by descending share.
struct RankedZeros {
  std::vector<std::uint32_t> places;
  /// Sum of sqrt(share) of the genes before each, [genes + 1].
  std::vector<double> before;

  /// Where the first of so many strata of the genes from `first` on ends. Every stratum gets a gene at least.
  std::size_t endOfStratum(std::size_t first, std::size_t strata) const;
};

/// Whole number in [0, bound) from draw number `number` of a stream; positions from 2^31 on, so that it meets
/// no gene's word. Uniform to within bound / 2^64.
std::size_t drawBelow(const Stream& stream, std::size_t number, std::size_t bound);

/// A panel with what is looked up for each of its cells.
class PreparedPanel {
 public:
  /// Throws ARGUMENT_RANGE for genes that do not ascend from 3 on within the vocabulary, for an order that
  /// does not name places of genes, and for a gene whose share is not above 0.
  PreparedPanel(const GenePanel& panel, std::span<const double> share);

  std::size_t size() const { return panel_.genes.size(); }
  std::int32_t geneAt(std::uint32_t place) const { return panel_.genes[place]; }
  /// Place of a gene, -1 where it is not measured.
  std::int64_t placeOf(std::int32_t gene) const {
    return gene >= 0 && static_cast<std::size_t>(gene) < placeOf_.size()
               ? placeOf_[static_cast<std::size_t>(gene)]
               : -1;
  }

  /// Word of one gene: word g % 4 at position g / 4.
  std::uint32_t wordOf(const Stream& stream, std::uint32_t place) const;
  /// Hides the `count` genes of the smallest pairs of word and id, 1 <= count <= size(). Returns the words of
  /// all genes, good until the next call; none where it needed none.
  std::span<const std::uint32_t> hideSmallest(const Stream& stream, std::size_t count, Hiding& hiding) const;
  SharesSeen sharesSeen(const Hiding& hiding) const;
  /// The genes that are kHidden; all of them have no counts.
  void byDescendingShare(const Hiding& hiding, RankedZeros& zeros) const;

 private:
  std::span<const std::uint32_t> wordsOf(const Stream& stream) const;

  GenePanel panel_;
  std::vector<std::int32_t> placeOf_;  // [vocabulary]
  std::vector<double> share_;          // [genes]
  std::vector<double> rootByOrder_;    // [genes] sqrt(share) in the panel's order
  std::vector<std::uint32_t> blocks_;  // positions of the streams that hold words of genes
  std::vector<std::uint32_t> wordAt_;  // [genes] place among the words of these blocks
  bool contiguous_ = true;             // whether the words of genes stand one after the other
  mutable std::vector<std::uint32_t> words_, gathered_;
  mutable std::vector<KeyedPlace> near_;
};

}  // namespace ddsc::data
