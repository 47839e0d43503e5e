#include "core/random.h"
#include "cpu/cpu_backend.h"
#include "test/native/instruction_sets.h"
#include "test/native/ops/count_rows.h"

namespace ddsc::test {
namespace {

struct Draws {
  std::vector<std::int32_t> values, counts;
};

Draws draw(Backend& backend, CountRows& p, std::uint64_t seed = 1, std::uint64_t step = 0) {
  Draws draws{std::vector<std::int32_t>(static_cast<std::size_t>(p.rows())),
              std::vector<std::int32_t>(static_cast<std::size_t>(p.rows()))};
  backend.run(DrawCounts{.logits = p.logits.view(),
                         .base = p.base(),
                         .rows = p.cells.view(),
                         .firstValue = p.firstValue,
                         .low = p.counts.bounds(),
                         .seed = seed,
                         .step = step,
                         .values = {draws.values.data(), p.rows()},
                         .counts = {draws.counts.data(), p.rows()}});
  return draws;
}

/// Probabilities of the counts of a bin, given the bin.
Reals withinBin(const CountRows& p, std::int64_t row, std::int64_t value) {
  const long double r = p.sizeOf(row), m = p.meanOf(row, p.tiltOf(row));
  Reals weights;
  long double total = 0, highest = -INFINITY;
  for (std::int32_t count = p.counts.low()[value]; count < p.counts.bounds()[value + 1]; ++count) {
    weights.push_back(std::lgamma(count + r) - std::lgamma(count + 1.0L) - count * std::log1p(r / m));
    highest = std::max(highest, weights.back());
  }
  for (long double& weight : weights) total += weight = std::exp(weight - highest);
  for (long double& weight : weights) weight /= total;
  return weights;
}

/// The first at which the running sum passes u; -1 where u is too near to a step for two roundings to agree.
std::int64_t inverse(const Reals& probabilities, long double u) {
  long double running = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    running += probabilities[i];
    if (std::abs(running - u) < 1e-9L) return -1;
    if (running > u) return static_cast<std::int64_t>(i);
  }
  return -1;
}

const PerInstructionSet uniforms(
    "a draw inverts the distribution of values, then that within the bin, at its cell's and position's "
    "uniforms",
    [](Backend& backend, DType) {
      int known = 0, inBins = 0;
      for (const float scale : {0.0f, 3.0f}) {
        CountRows p({100, 0, 60, 30}, scale);
        const Draws draws = draw(backend, p, 77, 12);
        const Ragged cells = p.cells.view();
        for (std::int64_t row = 0; row < p.rows(); ++row) {
          const Stream stream(77, Purpose::draw, 12, cells.cellIndex[cells.cell[row]]);
          const PhiloxBlock block = philox(stream, static_cast<std::uint32_t>(cells.position[row]));
          Reals probabilities = p.logProbabilities(row);
          for (long double& one : probabilities) one = std::exp(one);
          const std::int64_t value = inverse(probabilities, uniform53(block.word[0], block.word[1]));
          if (value < 0) continue;
          const auto at = static_cast<std::size_t>(row);
          checkEqual(draws.values[at], value);
          ++known;
          const Reals within = withinBin(p, row, value);
          if (within.size() > 20'000) continue;
          const std::int64_t offset = inverse(within, uniform53(block.word[2], block.word[3]));
          if (offset < 0) continue;
          checkEqual(draws.counts[at], p.counts.low()[value] + offset);
          inBins += within.size() > 1;
        }
      }
      check(known > 350 && inBins > 20, "too few draws were compared");
    },
    {DType::f32});

/// `count` rows, all of one gene of this mean and size.
CountRows alike(std::int32_t count, double mean, double size) {
  CountRows p({count / 2, count / 2}, 0);
  p.share[0] = mean / 5000;
  p.size[0] = size;
  p.depth = {5000, 5000};
  std::fill(p.gene.begin(), p.gene.end(), 0);
  p.tilt.fill(0);
  return p;
}

/// Pearson's test of how often each of some outcomes was drawn; those expected less than ten times are taken
/// together.
void checkFrequencies(const std::vector<double>& drawn, const Reals& probabilities, double draws) {
  double chiSquare = 0, cells = 0, rareDrawn = 0, rareExpected = 0;
  const auto add = [&](double observed, double expected) {
    chiSquare += (observed - expected) * (observed - expected) / expected;
    ++cells;
  };
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    const double expected = draws * static_cast<double>(probabilities[i]);
    if (expected >= 10) {
      add(drawn[i], expected);
    } else {
      rareDrawn += drawn[i];
      rareExpected += expected;
    }
  }
  if (rareExpected >= 10) {
    add(rareDrawn, rareExpected);
  } else {
    checkClose(rareDrawn, rareExpected, 20);
  }
  check(cells > 5, "too few outcomes");
  checkClose(chiSquare, cells - 1, 4.5 * std::sqrt(2 * (cells - 1)));
}

const PerInstructionSet frequencies(
    "counts are drawn as often as they should, one by one below 64, and within wide bins above",
    [](Backend& backend, DType) {
      struct Shape {
        double mean, size;
      };
      for (const Shape& shape : {Shape{3, 0.5}, Shape{90, 4}, Shape{1500, 100}}) {
        constexpr std::int32_t kDraws = 60'000;
        CountRows p = alike(kDraws, shape.mean, shape.size);
        // What the network adds: odd values are less likely.
        for (std::int64_t row = 0; row < p.rows(); ++row)
          for (std::int64_t value = 1; value < 177; value += 2) p.logits.set(row, p.firstValue + value, -1);
        const Reals logP = p.logProbabilities(0);
        std::vector<double> byValue(177), byCount(4096);
        Reals ofValues, ofCounts(4096);
        for (std::int64_t value = 0; value < 177; ++value) {
          ofValues.push_back(std::exp(logP[static_cast<std::size_t>(value)]));
          if (p.counts.low()[value] >= 4096) continue;
          const Reals within = withinBin(p, 0, value);
          for (std::size_t i = 0; i < within.size(); ++i)
            ofCounts[static_cast<std::size_t>(p.counts.low()[value]) + i] = ofValues.back() * within[i];
        }
        const Draws draws = draw(backend, p, 5);
        for (std::size_t row = 0; row < draws.values.size(); ++row) {
          checkEqual(p.counts.valueOf(draws.counts[row]), draws.values[row]);
          ++byValue[static_cast<std::size_t>(draws.values[row])];
          if (draws.counts[row] < 4096) ++byCount[static_cast<std::size_t>(draws.counts[row])];
        }
        checkFrequencies(byValue, ofValues, kDraws);
        checkFrequencies(byCount, ofCounts, kDraws);
      }
    },
    {DType::f32});

const PerInstructionSet steep(
    "counts within a bin far from the mean are drawn by its shape, for sizes as large as can be learnt",
    [](Backend& backend, DType) {
      struct Shape {
        double mean;
        std::int32_t count;
      };
      const double size = 100 * std::exp(5.0);
      // Neighbours' ratios, from one end of the bin to the other, multiply to more and to less than doubles
      // hold.
      for (const Shape& shape :
           {Shape{1e6, 12'000}, Shape{3e7, 1 << 20}, Shape{5, 200'000}, Shape{9e4, 90'000}}) {
        CountRows p = alike(64, shape.mean, size);
        const std::int64_t value = p.counts.valueOf(shape.count);
        for (std::int64_t row = 0; row < p.rows(); ++row) p.logits.set(row, p.firstValue + value, 1e8f);
        const Reals within = withinBin(p, 0, value);
        const Draws draws = draw(backend, p, 3, 8);
        const Ragged cells = p.cells.view();
        int known = 0;
        for (std::int64_t row = 0; row < p.rows(); ++row) {
          const Stream stream(3, Purpose::draw, 8, cells.cellIndex[cells.cell[row]]);
          const PhiloxBlock block = philox(stream, static_cast<std::uint32_t>(cells.position[row]));
          const auto at = static_cast<std::size_t>(row);
          checkEqual(draws.values[at], value);
          const std::int64_t offset = inverse(within, uniform53(block.word[2], block.word[3]));
          if (offset < 0) continue;
          checkEqual(draws.counts[at], p.counts.low()[value] + offset);
          ++known;
        }
        check(known > 60, "too few draws were compared");
      }
    },
    {DType::f32});

const PerInstructionSet rare("a rare value is drawn as often as it should",
                             [](Backend& backend, DType) {
                               constexpr std::int32_t kDraws = 1 << 17;
                               const CountValues few(4, 1, 64);
                               CountRows p({kDraws / 2, kDraws / 2}, 0, few);
                               p.depth = {1e-4, 1e-4};  // mean 1e-4 of gene 20, of size 0.01
                               p.share[20] = 1;
                               std::fill(p.gene.begin(), p.gene.end(), 20);
                               p.tilt.fill(0);
                               const double expressed =
                                   -std::expm1(static_cast<double>(p.logProbabilities(0)[0]));
                               double drawn = 0;
                               for (const std::int32_t count : draw(backend, p).counts) drawn += count > 0;
                               const double expected = kDraws * expressed;
                               check(expected > 5 && expected < 20, "not rare");
                               checkClose(drawn, expected, 4 * std::sqrt(expected));
                             },
                             {DType::f32});

const PerInstructionSet widest(
    "the last and widest bin is drawn from by its shape",
    [](Backend& backend, DType) {
      CountRows p = alike(128, 1.1e6, 100);
      for (std::int64_t row = 0; row < p.rows(); ++row) p.logits.set(row, p.firstValue + 176, 200);
      const Reals within = withinBin(p, 0, 176);
      std::vector<double> uniform;  // the distribution at what was drawn
      Reals cumulative;
      for (const long double one : within)
        cumulative.push_back((cumulative.empty() ? 0 : cumulative.back()) + one);
      for (const std::int32_t count : draw(backend, p).counts) {
        check(count >= 1 << 20 && count < p.counts.bounds()[177], "outside the bin");
        uniform.push_back(static_cast<double>(cumulative[static_cast<std::size_t>(count - (1 << 20))]));
      }
      std::sort(uniform.begin(), uniform.end());
      double worst = 0;  // Kolmogorov and Smirnov's
      for (std::size_t i = 0; i < uniform.size(); ++i)
        worst = std::max(worst, std::abs(uniform[i] - (static_cast<double>(i) + 0.5) / 128));
      check(worst < 1.6 / std::sqrt(128), "the draws within the bin have another distribution");
    },
    {DType::f32});

const PerInstructionSet notNumbers("a row whose probabilities are not numbers draws nothing",
                                   [](Backend& backend, DType) {
                                     CountRows p({9}, 1);
                                     p.logits.set(4, p.firstValue + 20, std::nanf(""));
                                     p.tilt.set(0, 6, std::nanf(""));
                                     const Draws draws = draw(backend, p);
                                     for (std::size_t row = 0; row < 9; ++row) {
                                       checkEqual(draws.values[row] == -1, row == 4 || row == 6);
                                       checkEqual(draws.counts[row] == -1, row == 4 || row == 6);
                                     }
                                   },
                                   {DType::f32});

DDSC_TEST("draws of counts are the same with any number of threads and any instruction set") {
  std::vector<std::int32_t> values, counts;
  for (const std::string& instructionSet : instructionSets())
    for (const int threads : {1, 3}) {
      CountRows p({1200, 2, 900}, 2);
      const Draws draws = draw(*cpu::makeCpuBackend(instructionSet, threads), p);
      if (values.empty()) values = draws.values, counts = draws.counts;
      check(draws.values == values && draws.counts == counts, instructionSet);
    }
}

}  // namespace
}  // namespace ddsc::test
