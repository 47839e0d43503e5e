// Costs counted by hand, and by walking through the loops an op stands for.
#include "ops/cost.h"

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

DDSC_TEST("a linear layer costs two operations a product and each operand once") {
  const Tensor x(4, 3), weight(5, 3), residual(4, 5);
  Tensor bias(1, 5), y(4, 5), kept(4, 5, DType::bf16);
  Linear op;
  op.x = x.view();
  op.weight = weight.view();
  op.y = y.view();
  checkClose(cost(op).flops, 2 * 4 * 3 * 5, 0);
  checkClose(cost(op).bytes, 4 * (4 * 3 + 5 * 3 + 4 * 5), 0);
  op.bias = bias.span();
  op.preactivation = kept.view();
  op.residual = residual.view();
  checkClose(cost(op).bytes, 4 * (4 * 3 + 5 * 3 + 4 * 5) + 4 * 5 + 2 * 4 * 5 + 4 * 4 * 5, 0);
}

DDSC_TEST("a weight gradient reads and writes what it adds to") {
  const Tensor dy(7, 5, DType::bf16), x(7, 3, DType::bf16);
  Tensor dweight(5, 3), dbias(1, 5);
  const LinearWeightGradient op{dy.view(), x.view(), dweight.view(), dbias.span()};
  checkClose(cost(op).flops, 2 * 7 * 5 * 3, 0);
  checkClose(cost(op).bytes, 2 * (7 * 5 + 7 * 3) + 2 * 4 * (5 * 3 + 5), 0);
  check(cost(op).operands == DType::bf16, "the type of the products' operands");
}

DDSC_TEST("attention costs by each cell's asking rows times its keys") {
  const RaggedBatch cells({3, 1, 0, 5}), keys({2, 1, 4, 6});
  constexpr std::int64_t heads = 2, headDim = 4, dim = heads * headDim;
  const Tensor query(9, dim), keyValue(13, 2 * dim), out(9, dim), dout(9, dim), logSumExp(9, heads);
  Tensor result(9, dim), resultLog(9, heads), dquery(9, dim), dkeyValue(13, 2 * dim),
      cosine(1, 6 * headDim / 2), sine(1, 6 * headDim / 2);
  const RotaryTable rotary{cosine.span(), sine.span()};

  std::int64_t pairs = 0;
  for (std::int64_t cell = 0; cell < cells.cells(); ++cell) pairs += cells.length(cell) * keys.length(cell);
  // Multiply-adds of one product of every asking row with its keys.
  const double products = static_cast<double>(pairs * heads * headDim);
  const double rotaryBytes = 2 * 4 * 6 * headDim / 2;

  const Attention forward{query.view(), keyValue.view(), cells.view(),  keys.view(),     pairs,
                          heads,        rotary,          result.view(), resultLog.view()};
  checkClose(cost(forward).flops, 2 * 2 * products, 0);
  checkClose(cost(forward).bytes, 4 * (9 * (2 * dim + heads) + 13 * 2 * dim) + rotaryBytes, 0);
  const AttentionGradient backward{query.view(),  keyValue.view(), out.view(), dout.view(), logSumExp.view(),
                                   cells.view(),  keys.view(),     pairs,      heads,       rotary,
                                   dquery.view(), dkeyValue.view()};
  checkClose(cost(backward).flops, 5 * 2 * products, 0);
  checkClose(cost(backward).bytes, 4 * (9 * (4 * dim + heads) + 13 * 4 * dim) + rotaryBytes, 0);
}

DDSC_TEST("dropout adds one operation an element and no bytes") {
  const RaggedBatch cells({3, 4});
  const Tensor x(7, 8), h(7, 8, DType::bf16), gate(2, 8);
  Tensor y(7, 8);
  GateResidual op{x.view(), h.view(), gate.view(), cells.view(), {}, y.view()};
  const Cost without = cost(op);
  op.dropout.probability = 0.1;
  checkClose(cost(op).flops - without.flops, 7 * 8, 0);
  checkClose(cost(op).bytes, without.bytes, 0);
  checkClose(without.bytes, 4 * 7 * 8 + 2 * 7 * 8 + 4 * 2 * 8 + 4 * 7 * 8, 0);
}

DDSC_TEST("the optimizer moves each of its arrays both ways, and the copy once") {
  Tensor values(1, 10), ema(1, 10);
  std::vector<bf16> copy(10);
  AdamW op;
  op.weights = op.firstMoment = op.secondMoment = op.gradient = values.span();
  checkClose(cost(op).bytes, 8 * 4 * 10, 0);
  op.ema = ema.span();
  op.copy = {copy.data(), 10};
  checkClose(cost(op).bytes, 10 * 4 * 10 + 2 * 10, 0);
}

DDSC_TEST("a count loss reads a row of its base's table for each row, but no more than there are") {
  const Tensor logits(6, 180);
  Tensor numbers(1, 6), dlogits(6, 180, DType::bf16);
  const std::vector<double> doubles(1000 * 177);
  const std::vector<std::int32_t> ids(6, 1);
  const Span<const std::int32_t> rows{ids.data(), 6};
  const auto some = [&](std::int64_t count) { return Span<const double>{doubles.data(), count}; };
  CountLoss op;
  op.logits = logits.view();
  op.base = {.middle = some(177),
             .share = some(1000),
             .depth = some(4),
             .sizes = some(1000),
             .table = some(std::int64_t{1000} * 177),
             .slope = some(std::int64_t{1000} * 177),
             .gene = rows,
             .cell = rows,
             .place = rows,
             .tilt = numbers.span()};
  op.target = rows;
  op.weight = op.loss = op.logProbability = numbers.span();
  const double base = 8 * (177 + 4) + 4 * 4 * 6;
  const double without = 4 * (6 * 180 + 4 * 6);
  checkClose(cost(op).bytes, base + 8 * 6 * 179 + without, 0);
  checkClose(cost(op).flops, 8 * 6 * 177, 0);
  op.dlogits = dlogits.view();
  op.dtilt = numbers.span();
  const double with = without + 2 * 6 * 180 + 4 * 6;
  checkClose(cost(op).bytes, base + 8 * 6 * 179 + with, 0);
  op.base.share = some(2);
  op.base.sizes = some(3);
  checkClose(cost(op).bytes, base + 8 * (2 + 3 * 178) + with, 0);
  op.logSize = op.dlogSize = numbers.span();
  checkClose(cost(op).bytes, base + 8 * (2 + 3 * 355) + with + 4 * 2 * 6, 0);
}

DDSC_TEST("a table of counts is written once, its slopes where they are wanted") {
  std::vector<double> doubles(20 * 177);
  const std::vector<std::int32_t> ids(20, 1);
  const Tensor logSize(1, 100);
  const Span<double> all{doubles.data(), 20 * 177};
  CountTable op{.middle = all.part(0, 177),
                .fixed = all.part(0, 177),
                .size = all.part(0, 100),
                .logSize = {},
                .genes = {ids.data(), 20},
                .sizes = all.part(0, 20),
                .table = all,
                .slope = {}};
  const double bytes = 8 * 2 * 177 + 4 * 20 + 8 * 20 + 8 * 20 + 8 * 20 * 177;
  checkClose(cost(op).bytes, bytes, 0);
  op.slope = all;
  op.logSize = {logSize.view().as<float>(), 100};
  checkClose(cost(op).bytes, bytes + 8 * 20 * 177 + 4 * 20, 0);
  op.rowLogSize = op.logSize.part(0, 20);
  checkClose(cost(op).bytes, bytes + 8 * 20 * 177 + 4 * 20, 0);
}

DDSC_TEST("no more of an embedding table is read than there are tokens") {
  const Tensor ranks(54, 8), genes(1000, 8);
  Tensor x(6, 8);
  const std::vector<std::int32_t> ids(6, 1);
  const Span<const std::int32_t> rows{ids.data(), 6};
  const Embed op{rows, rows, ranks.view(), genes.view(), x.view()};
  checkClose(cost(op).bytes, 4 * (2 * 6 + 6 * 8 + 6 * 8 + 6 * 8), 0);
}

}  // namespace
}  // namespace ddsc::test
