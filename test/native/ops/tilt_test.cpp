#include <algorithm>
#include <cmath>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// Rows of cells with their genes, of which the last has no row, and the rows grouped by gene.
struct Problem {
  static constexpr std::int64_t kGenes = 23;

  RaggedBatch cells;
  std::vector<std::int32_t> gene, ids, starts{0}, grouped;
  Tensor factor, state, dtilt;

  Problem(const std::vector<std::int32_t>& lengths, std::int64_t width)
      : cells(lengths),
        factor(Tensor::random(1, kGenes, width, DType::f32, 1, 3)),
        state(Tensor::random(2, cells.cells(), width, DType::f32, 1, 2)),
        dtilt(Tensor::random(3, 1, cells.rows())) {
    for (const float value : randomValues(4, cells.rows(), 0.5f))
      gene.push_back(static_cast<std::int32_t>((static_cast<double>(value) + 0.5) * (kGenes - 1)));
    for (std::int32_t id = 0; id < kGenes; ++id) {
      for (std::size_t row = 0; row < gene.size(); ++row)
        if (gene[row] == id) grouped.push_back(static_cast<std::int32_t>(row));
      if (static_cast<std::int32_t>(grouped.size()) == starts.back()) continue;
      ids.push_back(id);
      starts.push_back(static_cast<std::int32_t>(grouped.size()));
    }
  }
  std::int64_t rows() const { return cells.rows(); }
  Span<const std::int32_t> genes() const { return {gene.data(), rows()}; }
  Grouping byGene() const {
    return {{ids.data(), static_cast<std::int64_t>(ids.size())},
            {starts.data(), static_cast<std::int64_t>(starts.size())},
            {grouped.data(), rows()}};
  }
  /// Sum over the rows of dtilt times tilt, of these factors and states.
  double product(const std::vector<double>& factors, const std::vector<double>& states) const {
    const auto width = static_cast<std::size_t>(factor.cols());
    double total = 0;
    for (std::int64_t row = 0; row < rows(); ++row) {
      const auto g = static_cast<std::size_t>(gene[static_cast<std::size_t>(row)]);
      const auto c = static_cast<std::size_t>(cells.view().cell[row]);
      for (std::size_t i = 0; i < width; ++i)
        total += static_cast<double>(dtilt.at(0, row)) * factors[g * width + i] * states[c * width + i];
    }
    return total;
  }
};

const std::vector<std::vector<std::int32_t>> kLengths = {{}, {1}, {70, 0, 3, 300}};

const PerInstructionSet tilts("a tilt is the product of its gene's factor and its cell's state",
                              [](Backend& backend, DType) {
                                for (const auto& lengths : kLengths)
                                  for (const std::int64_t width : {1, 5, 32, 133}) {
                                    Problem p(lengths, width);
                                    Tensor tilt(1, p.rows());
                                    backend.run(Tilt{p.factor.view(), p.state.view(), p.genes(),
                                                     p.cells.view().cell, tilt.span()});
                                    for (std::int64_t row = 0; row < p.rows(); ++row) {
                                      double sum = 0, magnitude = 0;
                                      for (std::int64_t i = 0; i < width; ++i) {
                                        const double term =
                                            static_cast<double>(p.factor.at(p.genes()[row], i)) *
                                            static_cast<double>(p.state.at(p.cells.view().cell[row], i));
                                        sum += term;
                                        magnitude += std::abs(term);
                                      }
                                      checkClose(static_cast<double>(tilt.at(0, row)), sum, 5e-7 * magnitude);
                                    }
                                  }
                              },
                              {DType::f32});

const PerInstructionSet starts(
    "a tilt that starts somewhere is its gene's start plus what it is without",
    [](Backend& backend, DType) {
      for (const auto& lengths : kLengths) {
        Problem p(lengths, 32);
        const std::vector<float> start = randomValues(8, Problem::kGenes);
        Tensor tilt(1, p.rows()), started(1, p.rows());
        Tilt op{p.factor.view(), p.state.view(), p.genes(), p.cells.view().cell, tilt.span()};
        backend.run(op);
        op.tilt = started.span();
        op.start = {start.data(), Problem::kGenes};
        backend.run(op);
        for (std::int64_t row = 0; row < p.rows(); ++row)
          checkEqual(started.at(0, row), start[static_cast<std::size_t>(p.genes()[row])] + tilt.at(0, row));
      }
    },
    {DType::f32});

struct Gradients {
  Tensor dfactor, dstate;
};

Gradients gradientsOf(Backend& backend, Problem& p) {
  Gradients g{Tensor::random(5, Problem::kGenes, p.factor.cols(), DType::f32, 1, 4),
              Tensor(p.cells.cells(), p.factor.cols(), DType::f32, 1)};
  g.dstate.fill(9);
  backend.run(TiltGradient{p.dtilt.span(), p.factor.view(), p.state.view(), p.genes(), p.cells.view(),
                           p.byGene(), g.dfactor.view(), g.dstate.view()});
  g.dfactor.checkGaps();
  g.dstate.checkGaps();
  return g;
}

const PerInstructionSet gradients(
    "gradients of tilts are added to the factors' and written to the states', as sums over rows",
    [](Backend& backend, DType) {
      for (const auto& lengths : kLengths)
        for (const std::int64_t width : {1, 5, 32, 133}) {
          Problem p(lengths, width);
          const Gradients g = gradientsOf(backend, p);
          std::vector<double> dfactor = Tensor::random(5, Problem::kGenes, width, DType::f32, 1, 4).doubles();
          std::vector<double> dstate(static_cast<std::size_t>(p.cells.cells() * width));
          for (std::int64_t row = 0; row < p.rows(); ++row) {
            const std::int64_t gene = p.genes()[row], cell = p.cells.view().cell[row];
            const auto dtilt = static_cast<double>(p.dtilt.at(0, row));
            for (std::int64_t i = 0; i < width; ++i) {
              dfactor[static_cast<std::size_t>(gene * width + i)] +=
                  dtilt * static_cast<double>(p.state.at(cell, i));
              dstate[static_cast<std::size_t>(cell * width + i)] +=
                  dtilt * static_cast<double>(p.factor.at(gene, i));
            }
          }
          checkAgainst(g.dfactor.values(), dfactor, 1e-6);
          checkAgainst(g.dstate.values(), dstate, 1e-6);
        }
    },
    {DType::f32});

const PerInstructionSet differences("gradients of tilts agree with differences of what is derived",
                                    [](Backend& backend, DType) {
                                      Problem p({9, 20}, 8);
                                      const Gradients g = gradientsOf(backend, p);
                                      std::vector<double> factors = p.factor.doubles(),
                                                          states = p.state.doubles();
                                      std::vector<double> dfactor = g.dfactor.doubles();
                                      const std::vector<double> before =
                                          Tensor::random(5, Problem::kGenes, 8, DType::f32, 1, 4).doubles();
                                      for (std::size_t i = 0; i < dfactor.size(); ++i)
                                        dfactor[i] -= before[i];
                                      const auto loss = [&] { return p.product(factors, states); };
                                      checkDifferences(factors, dfactor, loss, 1e-3);
                                      checkDifferences(states, g.dstate.doubles(), loss, 1e-3, 3e-6);
                                    },
                                    {DType::f32});

DDSC_TEST("gradients of tilts have the same bits with any number of threads") {
  checkThreadsAgree([](Backend& backend) {
    Problem p({130, 1, 400}, 32);
    const Gradients g = gradientsOf(backend, p);
    std::vector<float> all = g.dfactor.values();
    for (const float value : g.dstate.values()) all.push_back(value);
    return all;
  });
}

}  // namespace
}  // namespace ddsc::test
