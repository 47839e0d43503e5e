// More cells than a grid takes in y or z: nearly all empty, some of one token, for which attention is the
// value itself.
#include <vector>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

constexpr std::int32_t kCells = 70000;
constexpr std::int64_t kDim = 4;

RaggedBatch manyCells() {
  std::vector<std::int32_t> lengths(kCells);
  for (std::int32_t i = 0; i < kCells; ++i) lengths[static_cast<std::size_t>(i)] = i % 1000 == 999 ? 1 : 0;
  // On both sides of the most that a grid takes, and at the end.
  for (const std::size_t i : {0u, 65534u, 65535u, 65536u, 69998u}) lengths[i] = 1;
  return RaggedBatch(lengths);
}

/// Columns first .. first + kDim - 1 of each row.
std::vector<float> columns(const Tensor& tensor, std::int64_t first) {
  std::vector<float> values;
  for (std::int64_t row = 0; row < tensor.rows(); ++row)
    for (std::int64_t col = first; col < first + kDim; ++col) values.push_back(tensor.at(row, col));
  return values;
}

const PerInstructionSet attention("attention takes any number of cells, empty ones included",
                                  [](Backend& backend, DType type) {
                                    const RaggedBatch batch = manyCells();
                                    const Tensor query = Tensor::random(1, batch.rows(), kDim, type);
                                    const Tensor keyValue = Tensor::random(3, batch.rows(), 2 * kDim, type);
                                    const Tensor dout = Tensor::random(2, batch.rows(), kDim, type);
                                    Tensor out(batch.rows(), kDim, type), logSumExp(batch.rows(), 1),
                                        dquery(batch.rows(), kDim, type),
                                        dkeyValue(batch.rows(), 2 * kDim, type);
                                    backend.run(Attention{.query = query.view(),
                                                          .keyValue = keyValue.view(),
                                                          .cells = batch.view(),
                                                          .keys = batch.view(),
                                                          .heads = 1,
                                                          .rotary = {},
                                                          .out = out.view(),
                                                          .logSumExp = logSumExp.view()});
                                    checkSameBits(out.values(), columns(keyValue, kDim));
                                    backend.run(AttentionGradient{.query = query.view(),
                                                                  .keyValue = keyValue.view(),
                                                                  .out = out.view(),
                                                                  .dout = dout.view(),
                                                                  .logSumExp = logSumExp.view(),
                                                                  .cells = batch.view(),
                                                                  .keys = batch.view(),
                                                                  .heads = 1,
                                                                  .rotary = {},
                                                                  .dquery = dquery.view(),
                                                                  .dkeyValue = dkeyValue.view()});
                                    checkClose(columns(dkeyValue, kDim), dout.values(), 1e-2);
                                    const std::vector<float> none(
                                        static_cast<std::size_t>(batch.rows() * kDim));
                                    checkClose(dquery.values(), none, 1e-2);
                                    checkClose(columns(dkeyValue, 0), none, 1e-2);
                                  });

const PerInstructionSet gate("a gate's gradient takes any number of cells, empty ones included",
                             [](Backend& backend, DType type) {
                               const RaggedBatch batch = manyCells();
                               const Tensor dy = Tensor::random(1, batch.rows(), kDim),
                                            h = Tensor::random(2, batch.rows(), kDim, type),
                                            weight = Tensor::random(3, kCells, kDim);
                               Tensor dh(batch.rows(), kDim, type), dgate(kCells, kDim);
                               backend.run(GateResidualGradient{.dy = dy.view(),
                                                                .h = h.view(),
                                                                .gate = weight.view(),
                                                                .cells = batch.view(),
                                                                .dropout = {},
                                                                .dh = dh.view(),
                                                                .dgate = dgate.view()});
                               std::vector<float> expected;
                               for (std::int64_t cell = 0; cell < kCells; ++cell) {
                                 for (std::int64_t col = 0; col < kDim; ++col) {
                                   const bool empty = batch.length(cell) == 0;
                                   expected.push_back(empty ? 0
                                                            : dy.at(batch.start(cell), col) *
                                                                  h.at(batch.start(cell), col));
                                 }
                               }
                               checkSameBits(dgate.values(), expected);
                             },
                             {DType::f32});

const PerInstructionSet tilt(
    "a tilt's gradient takes any number of cells, empty ones included",
    [](Backend& backend, DType) {
      const RaggedBatch batch = manyCells();
      Tensor dtilt = Tensor::random(1, 1, batch.rows());
      const Tensor factor = Tensor::random(2, 1, kDim), state = Tensor::random(3, kCells, kDim);
      const std::vector<std::int32_t> gene(static_cast<std::size_t>(batch.rows()), 0);
      Tensor dfactor(1, kDim), dstate(kCells, kDim);
      TiltGradient op;
      op.dtilt = dtilt.span();
      op.factor = factor.view();
      op.state = state.view();
      op.gene = {gene.data(), batch.rows()};
      op.rows = batch.view();
      op.dfactor = dfactor.view();
      op.dstate = dstate.view();
      backend.run(op);
      std::vector<float> expected;
      for (std::int64_t cell = 0; cell < kCells; ++cell)
        for (std::int64_t col = 0; col < kDim; ++col)
          expected.push_back(batch.length(cell) == 0 ? 0
                                                     : dtilt.at(0, batch.start(cell)) * factor.at(0, col));
      checkSameBits(dstate.values(), expected);
    },
    {DType::f32});

}  // namespace
}  // namespace ddsc::test
