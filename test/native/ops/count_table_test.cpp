#include <algorithm>

#include "cpu/cpu_backend.h"
#include "test/native/instruction_sets.h"
#include "test/native/ops/count_rows.h"

namespace ddsc::test {
namespace {

struct Table {
  std::vector<double> sizes, table, slope;
};

template <class T>
Span<T> spanOf(std::vector<T>& of) {
  return {of.data(), static_cast<std::int64_t>(of.size())};
}

/// The table of genes of these sizes, in this order; without logarithms the sizes are as counted.
Table tableOf(Backend& backend, const CountValues& counts, const std::vector<double>& size,
              const std::vector<float>& logSize, const std::vector<std::int32_t>& genes, bool slopes = true) {
  const auto entries = genes.size() * static_cast<std::size_t>(counts.values());
  Table t{std::vector<double>(genes.size(), -1), std::vector<double>(entries, -1),
          std::vector<double>(slopes ? entries : 0, -1)};
  backend.run(CountTable{.middle = counts.middle(),
                         .fixed = counts.fixed(),
                         .size = {size.data(), static_cast<std::int64_t>(size.size())},
                         .logSize = {logSize.data(), static_cast<std::int64_t>(logSize.size())},
                         .genes = {genes.data(), static_cast<std::int64_t>(genes.size())},
                         .sizes = spanOf(t.sizes),
                         .table = spanOf(t.table),
                         .slope = slopes ? spanOf(t.slope) : Span<double>{}});
  return t;
}

std::vector<std::int32_t> upTo(std::size_t count) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(i));
  return ids;
}

/// From the smallest size that can be learnt to the largest, and whole numbers.
std::vector<double> someSizes() {
  std::vector<double> sizes = {1, 2, 8, 64, 1000};
  for (double size = 0.01 * std::exp(-5); size < 101 * std::exp(5); size *= 1.37) sizes.push_back(size);
  return sizes;
}

const PerInstructionSet formula(
    "the table of counts and its slopes agree with lgamma and digamma to the last bits of what they are made "
    "of, for sizes from 0.01 e^-5 to 100 e^5",
    [](Backend& backend, DType) {
      const std::vector<double> size = someSizes();
      for (const CountValues& counts :
           {CountValues(), CountValues(3, 2, 60), CountValues(1, 1, 1), CountValues(2, 64, 1 << 28)}) {
        const Table t = tableOf(backend, counts, size, {}, upTo(size.size()));
        long double worst = 0, worstSlope = 0;
        const auto values = static_cast<std::size_t>(counts.values());
        for (std::size_t gene = 0; gene < size.size(); ++gene) {
          const long double r = size[gene];
          checkClose(t.sizes[gene], size[gene], 0);
          for (std::size_t value = 0; value < values; ++value) {
            const auto at = static_cast<std::int64_t>(value);
            const long double k = counts.middle()[at];
            const long double difference = std::lgamma(k + r) - std::lgamma(r);
            const long double fixed = counts.logWidth()[at] - std::lgamma(k + 1);
            // The logarithm of r is a term of its own of the difference.
            const long double terms = 1 + std::abs(difference) + std::abs(fixed) + std::abs(std::log(r));
            const long double off = std::abs(t.table[gene * values + value] - (difference + fixed));
            if (k == 0) checkClose(t.table[gene * values + value], 0, 0);
            if (k > 0) worst = std::max(worst, off / terms);
            const long double slope = r * (digamma(k + r) - digamma(r));
            const long double offSlope = std::abs(t.slope[gene * values + value] - slope);
            if (k == 0) checkClose(t.slope[gene * values + value], 0, 0);
            if (k > 0) worstSlope = std::max(worstSlope, offSlope / slope);
          }
        }
        checkClose(static_cast<double>(worst), 0, 4e-15);
        checkClose(static_cast<double>(worstSlope), 0, 5e-14);
      }
    },
    {DType::f32});

const PerInstructionSet products(
    "the table of counts holds the products of the definition: Gamma(k + r) / "
    "(Gamma(r) k!) = product over i < k of (r + i) / (i + 1)",
    [](Backend& backend, DType) {
      const CountValues counts;
      const std::vector<double> size = {0.01, 0.3, 1, 7.5, 100, 14'841};
      const Table t = tableOf(backend, counts, size, {}, upTo(6));
      for (std::size_t gene = 0; gene < size.size(); ++gene) {
        long double sum = 0;
        for (std::size_t k = 0; k < 64; ++k) {
          checkClose(t.table[gene * 177 + k], static_cast<double>(sum),
                     2e-13 * std::max(1.0, static_cast<double>(std::abs(sum))));
          const auto i = static_cast<long double>(k);
          sum += std::log((size[gene] + i) / (i + 1));
        }
      }
    },
    {DType::f32});

const PerInstructionSet differences(
    "slopes of the table of counts are its differences by log size",
    [](Backend& backend, DType) {
      const CountValues counts;
      const std::vector<double> size = {3e-4, 0.01, 0.3, 1, 7.5, 100, 14'000};
      std::vector<double> moved;
      const double step = 1e-3;
      for (const int by : {-2, -1, 1, 2})
        for (const double one : size) moved.push_back(one * std::exp(by * step));
      const Table at = tableOf(backend, counts, size, {}, upTo(7));
      const Table t = tableOf(backend, counts, moved, {}, upTo(28));
      for (std::size_t i = 0; i < at.slope.size(); ++i) {
        const auto of = [&](std::size_t by) { return t.table[by * at.slope.size() + i]; };
        // Of fourth order; large terms leave little of the differences.
        const double difference = (of(0) - of(3) + 8 * (of(2) - of(1))) / (12 * step);
        const double terms = std::abs(counts.fixed()[static_cast<std::int64_t>(i % 177)]);
        checkClose(at.slope[i], difference, 1e-9 * (1 + at.slope[i]) + 1e-12 * terms);
      }
    },
    {DType::f32});

const PerInstructionSet learnt(
    "sizes are the counted ones times the exponential of their logarithms, clamped to 5 both ways",
    [](Backend& backend, DType) {
      const CountValues counts;
      const std::vector<double> size = {0.01, 0.3, 1, 7.5, 100, 100, 0.01};
      const std::vector<float> logSize = {-5, 0, 0.5f, -2, 5, 7, -1000};
      const std::vector<std::int32_t> genes = {6, 2, 5, 0, 3};
      const Table t = tableOf(backend, counts, size, logSize, genes);
      std::vector<double> expected;
      for (const std::int32_t gene : genes) {
        const auto at = static_cast<std::size_t>(gene);
        expected.push_back(size[at] * std::exp(std::clamp(static_cast<double>(logSize[at]), -5.0, 5.0)));
      }
      for (std::size_t i = 0; i < genes.size(); ++i) checkClose(t.sizes[i] / expected[i], 1, 4e-16);
      const Table counted = tableOf(backend, counts, t.sizes, {}, upTo(genes.size()));
      check(counted.table == t.table && counted.slope == t.slope, "a learnt size has another table");
    },
    {DType::f32});

const PerInstructionSet ofRows(
    "rows with logarithms of sizes of their own have the tables of genes with these",
    [](Backend& backend, DType) {
      const CountValues counts;
      const std::vector<double> size = {0.3, 7.5, 100};
      const std::vector<std::int32_t> genes = {2, 0, 0, 1, 2, 0};
      const std::vector<float> own = {-5, 0.5f, -2, 7, 0, -1000}, unread(3, 1);
      std::vector<double> sizeOfRow;
      for (const std::int32_t gene : genes) sizeOfRow.push_back(size[static_cast<std::size_t>(gene)]);
      const Table expected = tableOf(backend, counts, sizeOfRow, own, upTo(genes.size()));
      Table t = expected;
      for (std::vector<double>* all : {&t.sizes, &t.table, &t.slope}) std::fill(all->begin(), all->end(), -1);
      backend.run(CountTable{.middle = counts.middle(),
                             .fixed = counts.fixed(),
                             .size = {size.data(), 3},
                             .logSize = {unread.data(), 3},
                             .genes = {genes.data(), 6},
                             .sizes = spanOf(t.sizes),
                             .table = spanOf(t.table),
                             .slope = spanOf(t.slope),
                             .rowLogSize = {own.data(), 6}});
      check(t.sizes == expected.sizes && t.table == expected.table && t.slope == expected.slope,
            "other tables");
    },
    {DType::f32});

const PerInstructionSet tableAlone("the table of counts is the same without slopes, and of no genes nothing",
                                   [](Backend& backend, DType) {
                                     const std::vector<double> size = someSizes();
                                     for (const CountValues& counts :
                                          {CountValues(), CountValues(3, 2, 60)}) {
                                       const auto genes = upTo(size.size());
                                       const Table with = tableOf(backend, counts, size, {}, genes);
                                       const Table without = tableOf(backend, counts, size, {}, genes, false);
                                       check(with.table == without.table && with.sizes == without.sizes,
                                             "another table without slopes");
                                       check(tableOf(backend, counts, size, {}, {}).table.empty(), "entries");
                                     }
                                   },
                                   {DType::f32});

const PerInstructionSet extremes(
    "sizes from 1e-300 to 1e30 have finite tables, and what is no number stays so",
    [](Backend& backend, DType) {
      const std::vector<double> size = {1e-300, 1e-20, 1e9, 1e30, 1};
      const std::vector<float> logSize = {0, 0, 0, 0, std::nanf("")};
      const CountValues counts;
      const Table t = tableOf(backend, counts, size, logSize, upTo(5));
      for (std::size_t i = 0; i < t.table.size(); ++i) {
        const auto value = static_cast<std::int64_t>(i % 177);
        const double k = counts.middle()[value];
        if (i / 177 == 4) {
          check(std::isnan(t.table[i]) && std::isnan(t.slope[i]), "a number");
          continue;
        }
        check(std::isfinite(t.table[i]), "not finite");
        // Tiny: r Gamma(k), whose slope is 1. Large: r^k, whose slope is k.
        if (i / 177 < 2 && k > 0) checkClose(t.slope[i], 1, 1e-12);
        if (i / 177 == 3) checkClose(t.slope[i], k, 1e-12 * (1 + k));
      }
    },
    {DType::f32});

DDSC_TEST("the table of counts has the same bits with any number of threads and any instruction set") {
  const std::vector<double> size = someSizes();
  Table expected;
  for (const std::string& instructionSet : instructionSets())
    for (const int threads : {1, 3}) {
      const auto backend = cpu::makeCpuBackend(instructionSet, threads);
      const Table t = tableOf(*backend, CountValues(), size, {}, upTo(size.size()));
      if (expected.table.empty()) expected = t;
      check(t.table == expected.table && t.slope == expected.slope, instructionSet);
    }
}

}  // namespace
}  // namespace ddsc::test
