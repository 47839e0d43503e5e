#pragma once
// What ops cost by their definitions in ops.h, whatever a backend makes of them: the yardstick of a profile.

#include "ops/ops.h"

namespace ddsc {

/// `flops`: for linear layers and attention the additions and multiplications of their matrix products, two a
/// multiply-add; for other ops those of the formula, an exponential, root, sine or quotient counted as one.
/// Random bits are not counted. `bytes`: every operand read once, every result written once, and one that
/// accumulates both; of an embedding table as many rows as there are tokens, at most the whole.
struct Cost {
  double flops = 0, bytes = 0;
  DType operands = DType::f32;  // of the matrix products
};

Cost cost(const Embed&);
Cost cost(const EmbedGradient&);
Cost cost(const Linear&);
Cost cost(const LinearInputGradient&);
Cost cost(const LinearWeightGradient&);
Cost cost(const NormModulate&);
Cost cost(const NormModulateGradient&);
/// A cell of n rows has 2 products of n x n by the width.
Cost cost(const Attention&);
/// The same with 5 products: the scores again, and the gradients of probabilities, values, queries and keys.
Cost cost(const AttentionGradient&);
Cost cost(const GateResidual&);
Cost cost(const GateResidualGradient&);
Cost cost(const TimeFeatures&);
Cost cost(const GatherRows&);
Cost cost(const ScatterRows&);
Cost cost(const DiffusionLoss&);
Cost cost(const TokenStatistics&);
Cost cost(const DrawTokens&);
Cost cost(const SumOfSquares&);
Cost cost(const AdamW&);
Cost cost(const Convert&);

}  // namespace ddsc
