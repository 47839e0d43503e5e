#include "cells/hidden_genes.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "cells/stream_words.h"
#include "test/native/harness.h"

namespace ddsc::test {
namespace {

using data::Hiding;
using data::RankedZeros;

/// A panel of every `step`-th gene with shares that fall and rise.
struct Panel {
  std::vector<std::int32_t> genes, order;
  std::vector<double> share;

  Panel(std::size_t count, std::int32_t step) {
    for (std::size_t i = 0; i < count; ++i) genes.push_back(3 + static_cast<std::int32_t>(i) * step);
    share.assign(static_cast<std::size_t>(genes.back()) + 1, 0.0);
    for (std::size_t i = 0; i < count; ++i)
      share[static_cast<std::size_t>(genes[i])] = 1.0 / (1.0 + static_cast<double>((i * 7) % 13));
    order.resize(count);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int32_t a, std::int32_t b) { return shareAt(a) > shareAt(b); });
  }

  double shareAt(std::int32_t place) const {
    return share[static_cast<std::size_t>(genes[static_cast<std::size_t>(place)])];
  }
  data::PreparedPanel prepared() const { return {data::GenePanel{genes, order}, share}; }
};

/// Places of hidden genes by the definition: sorted pairs of word and gene id.
std::vector<std::uint8_t> hiddenByDefinition(const Panel& panel, const Stream& stream, std::size_t count) {
  std::vector<std::pair<std::uint32_t, std::size_t>> keyed;
  for (std::size_t place = 0; place < panel.genes.size(); ++place) {
    const auto gene = static_cast<std::uint32_t>(panel.genes[place]);
    keyed.emplace_back(philox(stream, gene / 4).word[gene % 4], place);
  }
  std::sort(keyed.begin(), keyed.end());
  std::vector<std::uint8_t> hidden(panel.genes.size(), data::kVisible);
  for (std::size_t i = 0; i < count; ++i) hidden[keyed[i].second] = data::kHidden;
  return hidden;
}

DDSC_TEST("the genes of the smallest words are hidden, of panels of any size and density") {
  for (const std::size_t size : {1u, 2u, 3u, 64u, 1000u}) {
    for (const std::int32_t step : {1, 3, 9}) {
      const Panel panel(size, step);
      const data::PreparedPanel prepared = panel.prepared();
      const std::size_t stride = std::max<std::size_t>(1, size / 37);
      for (std::size_t count = 1; count <= size; count += stride) {
        const Stream stream(11, Purpose::hide, count, 17);
        Hiding hiding;
        prepared.hideSmallest(stream, count, hiding);
        check(hiding == hiddenByDefinition(panel, stream, count), "other genes are hidden");
      }
    }
  }
}

DDSC_TEST("shares of visible and hidden genes sum to those of the panel") {
  const Panel panel(1001, 2);
  const data::PreparedPanel prepared = panel.prepared();
  Hiding hiding;
  prepared.hideSmallest(Stream(1, Purpose::hide, 1, 1), 400, hiding);
  hiding[5] = data::kDropped;
  double visible = 0, hidden = 0;
  for (std::size_t place = 0; place < hiding.size(); ++place)
    (hiding[place] == data::kVisible ? visible : hidden) += panel.shareAt(static_cast<std::int32_t>(place));
  const data::SharesSeen seen = prepared.sharesSeen(hiding);
  check(std::abs(seen.visible - visible) < 1e-12 * visible, "visible share");
  check(std::abs(seen.hidden - hidden) < 1e-12 * hidden, "hidden share");
}

DDSC_TEST("strata follow each other, none is empty, and their sums are as equal as the genes allow") {
  const Panel panel(500, 1);
  const data::PreparedPanel prepared = panel.prepared();
  Hiding hiding(500, data::kHidden);
  RankedZeros zeros;
  prepared.byDescendingShare(hiding, zeros);
  checkEqual(zeros.places.size(), std::size_t{500});
  const double total = zeros.before.back(), greatest = zeros.before[1];
  for (const std::size_t strata : {1u, 2u, 7u, 100u, 499u, 500u}) {
    std::size_t first = 0;
    for (std::size_t stratum = 0; stratum < strata; ++stratum) {
      const std::size_t end = zeros.endOfStratum(first, strata - stratum);
      check(end > first, "an empty stratum");
      if (strata <= 100) {
        const double sum = zeros.before[end] - zeros.before[first];
        check(std::abs(sum - total / static_cast<double>(strata)) < greatest, "an uneven stratum");
      }
      first = end;
    }
    checkEqual(first, std::size_t{500});
  }
}

DDSC_TEST("a few genes of great shares are strata of their own, the rest share what is left") {
  RankedZeros zeros;
  zeros.places.resize(12);
  zeros.before = {0, 100, 150};
  for (int i = 0; i < 10; ++i) zeros.before.push_back(zeros.before.back() + 1);
  checkEqual(zeros.endOfStratum(0, 4), std::size_t{1});
  checkEqual(zeros.endOfStratum(1, 3), std::size_t{2});
  checkEqual(zeros.endOfStratum(2, 2), std::size_t{7});
  checkEqual(zeros.endOfStratum(7, 1), std::size_t{12});
}

DDSC_TEST("a gene of a stratum is drawn as often as any other") {
  constexpr std::size_t kGenes = 7, kDraws = 70000;
  std::vector<int> drawn(kGenes, 0);
  for (std::size_t draw = 0; draw < kDraws; ++draw)
    ++drawn[data::drawBelow(Stream(5, Purpose::query, draw, 3), draw % 5, kGenes)];
  double chiSquare = 0;
  for (const int times : drawn) {
    const double difference = times - static_cast<double>(kDraws) / kGenes;
    chiSquare += difference * difference * kGenes / static_cast<double>(kDraws);
  }
  check(chiSquare < 28, "far from uniform");  // 6 degrees of freedom: one chance in 10,000
}

DDSC_TEST("molecules are kept by their words, one after the other, whatever genes they are of") {
  const Stream stream(9, Purpose::thin, 4, 2);
  std::vector<std::uint32_t> positions(300), words(1200);
  std::iota(positions.begin(), positions.end(), 0u);
  data::fillBlocks(stream, positions, words);
  const std::uint64_t threshold = threshold32(0.37);
  data::MoleculeThinner thinner(stream, 0.37);
  std::size_t word = 0;
  for (const std::int32_t molecules : {1, 0, 5, 255, 256, 3, 600}) {
    std::int32_t expected = 0;
    for (std::int32_t i = 0; i < molecules; ++i) expected += words[word++] < threshold ? 1 : 0;
    checkEqual(thinner.keep(molecules), expected);
  }
  data::MoleculeThinner all(stream, 1), none(stream, 0);
  checkEqual(all.keep(1000), 1000);
  checkEqual(none.keep(1000), 0);
}

}  // namespace
}  // namespace ddsc::test
