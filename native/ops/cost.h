#pragma once
// What ops cost by their definitions in ops.h, whatever a backend makes of them: the yardstick of a profile.

#include "ops/op_list.h"

namespace ddsc {

/// `flops`: for linear layers and attention the additions and multiplications of their matrix products, two a
/// multiply-add; for other ops those of the formula, an exponential, root, sine or quotient counted as one.
/// Random bits are not counted. `bytes`: every operand read once, every result written once, and one that
/// accumulates both; of an embedding table as many rows as there are tokens, at most the whole.
struct Cost {
  double flops = 0, bytes = 0;
  DType operands = DType::f32;  // of the matrix products
};

#define DDSC_EACH(Op, name) Cost cost(const Op&);
DDSC_FOR_EACH_OP(DDSC_EACH)
#undef DDSC_EACH

}  // namespace ddsc
