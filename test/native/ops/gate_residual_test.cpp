#include <cmath>

#include "core/random.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

using Doubles = std::vector<double>;

/// Dropout's factor by the definition of random.h, one element at a time.
double factorOf(const Dropout& dropout, std::uint64_t cellIndex, std::int64_t position, std::int64_t column) {
  if (dropout.probability <= 0) return 1;
  const Stream stream(dropout.seed, Purpose::dropout, dropout.step, cellIndex, dropout.site);
  const auto counter = static_cast<std::uint32_t>(position << 12 | column / 4);
  const bool dropped = philox(stream, counter).word[column % 4] < threshold32(dropout.probability);
  return dropped || dropout.probability >= 1 ? 0 : 1 / (1 - dropout.probability);
}

struct Operands {
  RaggedBatch cells;
  Tensor x, h, gate, dy;
  Dropout dropout;
  std::int64_t dim;

  Operands(const std::vector<std::int32_t>& lengths, std::int64_t width, DType type, double probability)
      : cells(lengths, 1ull << 33),
        x(Tensor::random(1, cells.rows(), width, DType::f32, 1, 4)),
        h(Tensor::random(2, cells.rows(), width, type, 1, 2)),
        gate(Tensor::random(3, cells.cells(), width, DType::f32, 1, 8)),
        dy(Tensor::random(4, cells.rows(), width, DType::f32, 1, 4)),
        dropout{.probability = probability, .seed = (1ull << 40) + 17, .step = 3, .site = 5},
        dim(width) {}

  template <class Visit>
  void eachElement(const Visit& visit) const {
    const Ragged ragged = cells.view();
    for (std::int64_t row = 0; row < cells.rows(); ++row) {
      const std::int32_t cell = ragged.cell[row];
      for (std::int64_t c = 0; c < dim; ++c)
        visit(row, c, cell, factorOf(dropout, ragged.cellIndex[cell], ragged.position[row], c));
    }
  }
};

double d(float value) { return static_cast<double>(value); }

struct Shape {
  std::vector<std::int32_t> lengths;
  std::int64_t dim;
};
const std::vector<Shape> kShapes = {{{}, 8}, {{1}, 2}, {{0, 3, 0}, 6}, {{5, 1, 70}, 34}, {{130, 2}, 192}};
constexpr double kProbabilities[] = {0, 0.1, 0.5, 1};

const PerInstructionSet forward(
    "a gated residual agrees with float64 under the dropout mask of its stream",
    [](Backend& backend, DType type) {
      for (const auto& [lengths, dim] : kShapes)
        for (const double probability : kProbabilities) {
          Operands o(lengths, dim, type, probability);
          Doubles expected;
          o.eachElement([&](std::int64_t row, std::int64_t c, std::int64_t cell, double factor) {
            expected.push_back(d(o.x.at(row, c)) + d(o.gate.at(cell, c)) * d(o.h.at(row, c)) * factor);
          });
          backend.run(
              GateResidual{o.x.view(), o.h.view(), o.gate.view(), o.cells.view(), o.dropout, o.x.view()});
          checkAgainst(o.x.values(), expected, 1e-6);
          o.x.checkGaps();
        }
    });

struct Results {
  Tensor dh, dgate;
};

Results gradientsOf(Backend& backend, const Operands& o) {
  Results r{Tensor(o.cells.rows(), o.dim, o.h.type(), 2), Tensor(o.cells.cells(), o.dim, DType::f32, 8)};
  backend.run(GateResidualGradient{o.dy.view(), o.h.view(), o.gate.view(), o.cells.view(), o.dropout,
                                   r.dh.view(), r.dgate.view()});
  r.dh.checkGaps();
  r.dgate.checkGaps();
  return r;
}

// The op is linear in h and in gate, so these sums are its gradient.
const PerInstructionSet gradient("a gated residual's gradient sees the mask of its forward pass",
                                 [](Backend& backend, DType type) {
                                   for (const auto& [lengths, dim] : kShapes)
                                     for (const double probability : kProbabilities) {
                                       const Operands o(lengths, dim, type, probability);
                                       Doubles dh, dgate(static_cast<std::size_t>(o.cells.cells() * dim));
                                       o.eachElement([&](std::int64_t row, std::int64_t c, std::int64_t cell,
                                                         double factor) {
                                         dh.push_back(d(o.gate.at(cell, c)) * d(o.dy.at(row, c)) * factor);
                                         dgate[static_cast<std::size_t>(cell * dim + c)] +=
                                             d(o.dy.at(row, c)) * d(o.h.at(row, c)) * factor;
                                       });
                                       const Results r = gradientsOf(backend, o);
                                       checkAgainst(r.dh.values(), dh, tolerance(type));
                                       checkAgainst(r.dgate.values(), dgate, 2e-6);
                                     }
                                 });

const PerInstructionSet share("dropout keeps its share of the elements and scales them to the same mean",
                              [](Backend& backend, DType) {
                                const double probability = 0.1;
                                const std::int64_t dim = 512;
                                Operands o({600, 400}, dim, DType::f32, probability);
                                o.x.fill(0);
                                o.h.fill(1);
                                o.gate.fill(1);
                                backend.run(GateResidual{o.x.view(), o.h.view(), o.gate.view(),
                                                         o.cells.view(), o.dropout, o.x.view()});
                                double kept = 0;
                                for (const float value : o.x.values()) {
                                  if (value == 0) continue;
                                  checkClose(d(value), 1 / (1 - probability), 1e-6);
                                  ++kept;
                                }
                                const auto count = static_cast<double>(o.cells.rows() * dim);
                                checkClose(kept / count, 1 - probability,
                                           4 * std::sqrt(probability * (1 - probability) / count));
                              },
                              {DType::f32});

DDSC_TEST("a gated residual's gradient has the same bits with any number of threads") {
  checkThreadsAgree([](Backend& backend) {
    const Results r = gradientsOf(backend, Operands({300, 1, 90, 7}, 96, DType::f32, 0.2));
    std::vector<float> all = r.dh.values();
    for (const float value : r.dgate.values()) all.push_back(value);
    return all;
  });
}

}  // namespace
}  // namespace ddsc::test
