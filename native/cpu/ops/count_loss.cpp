// Loss of queries and its gradient in one pass over the logits: a row's base is made where it is needed and
// lives in cache with its exponentials, probabilities are never stored. Float64 but for what is written.

#include "cpu/count_softmax.h"
#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

template <class T>
void fillWithZeros(T* to, std::int64_t count) {
  eachVector(count, [&](std::int64_t i, auto lanes) { store(to + i, zero(), lanes); });
}

template <class T>
void writeGradient(const CountLoss& op, std::int64_t row, double scale, const CountSums& sums,
                   const CountRow& memory) {
  const std::int64_t values = op.base.middle.size, target = op.target[row];
  const std::int64_t first = op.firstValue, end = first + values;
  const D perExponential = allOf(scale / sums.total()), least = allOf(kLeastGradient), none = allOf(0.0);
  eachDoubles(memory.padded, [&](std::int64_t i) {
    const D share = loadDoubles(memory.e + i) * perExponential;
    storeDoubles(memory.single + i, ifLess(share, least, none, share));
  });
  // The target's is what the others hold, so that it stays exact for a good prediction.
  const double others = scale * sums.othersOf(target, memory.e[target]);
  memory.single[target] = others < kLeastGradient ? 0 : static_cast<float>(-others);
  T* gradient = op.dlogits.row<T>(row);
  fillWithZeros(gradient, first);
  eachVector(values, [&](std::int64_t i, auto lanes) {
    store(gradient + first + i, load(memory.single + i, lanes), lanes);
  });
  fillWithZeros(gradient + end, op.dlogits.cols - end);
}

/// E_p[D] - D[target] of CountLoss, with `per` the derivative's share of the middles.
double sizeMoment(const CountBase& base, std::int64_t row, std::int64_t target, double per,
                  const CountSums& sums, const CountRow& memory) {
  const std::int64_t values = base.middle.size, whole = values / kBlock * kBlock;
  const double* slope = ofPlace(base.slope, base, row);
  const double ofTarget = slope[target], middle = memory.middle[target];
  const D ofTargets = allOf(ofTarget), middles = allOf(middle);
  double moment = sumOfDoubles(whole, [&](std::int64_t i) {
    return loadDoubles(memory.e + i) *
           ((loadDoubles(slope + i) - ofTargets) - (loadDoubles(memory.middle + i) - middles) * per);
  });
  for (std::int64_t i = whole; i < values; ++i)
    moment += memory.e[i] * ((slope[i] - ofTarget) - (memory.middle[i] - middle) * per);
  return moment / sums.total();
}

void lossOfRow(const CountLoss& op, std::int64_t row, const CountRow& memory) {
  const std::int64_t target = op.target[row];
  const RowBase base = baseOf(op.base, row);
  const CountSums sums = countSums(op.base, base, op.logits.row<float>(row) + op.firstValue, row, memory);
  const double logProbability = sums.logProbability(memory.x[target]);
  const auto weight = static_cast<double>(op.weight[row]);
  op.loss[row] = static_cast<float>(-weight * logProbability);
  op.logProbability[row] = static_cast<float>(logProbability);
  const double scale = static_cast<double>(op.gradientScale) * weight;
  if (op.dtilt) {
    const D middle = allOf(memory.middle[target]);
    const double moment = sumOfDoubles(memory.padded, [&](std::int64_t i) {
      return loadDoubles(memory.e + i) * (loadDoubles(memory.middle + i) - middle);
    });
    op.dtilt[row] = static_cast<float>(scale * base.perTilt * (moment / sums.total()));
  }
  if (op.dlogSize) {
    const bool moves = movesSize(op.rowLogSize ? op.rowLogSize[row] : op.logSize[op.base.gene[row]]);
    op.dlogSize[row] =
        moves ? static_cast<float>(scale * sizeMoment(op.base, row, target, base.perSize, sums, memory)) : 0;
  }
  if (!op.dlogits) return;
  if (op.dlogits.type == DType::f32) {
    writeGradient<float>(op, row, scale, sums, memory);
  } else {
    writeGradient<bf16>(op, row, scale, sums, memory);
  }
}

}  // namespace

void run(Context& context, const CountLoss& op) {
  eachCountRow(context, op.base,
               [&](std::int64_t row, const CountRow& memory) { lossOfRow(op, row, memory); });
}

}  // namespace ddsc::cpu::DDSC_ISA
