#pragma once
// The list of all ops: the only one there is. A new op is
//   its struct, with what it computes, in ops.h;
//   a line here;
//   void run(Context&, const Op&) in a file of cpu/ops/ and in one of cuda/ops/, and its Cost in cost.cpp;
//   a test in test/native/ops/.
// Backends, tables of kernels, profiles, costs and memory estimates take it from here; what is left out above
// does not link.

#include "ops/ops.h"

/// use(Op, name) for each op: its type, and what a profile calls it.
// clang-format off
#define DDSC_FOR_EACH_OP(use)                   \
  use(Embed, "embed")                           \
  use(EmbedGradient, "embed gradient")          \
  use(Linear, "linear")                         \
  use(LinearInputGradient, "input gradient")    \
  use(LinearWeightGradient, "weight gradient")  \
  use(NormModulate, "norm")                     \
  use(NormModulateGradient, "norm gradient")    \
  use(Attention, "attention")                   \
  use(AttentionGradient, "attention gradient")  \
  use(GateResidual, "gate")                     \
  use(GateResidualGradient, "gate gradient")    \
  use(TimeFeatures, "time features")            \
  use(GatherRows, "gather rows")                \
  use(ScatterRows, "scatter rows")              \
  use(AddRows, "add rows")                      \
  use(DiffusionLoss, "loss")                    \
  use(TokenStatistics, "statistics")            \
  use(DrawTokens, "draw")                       \
  use(CountTable, "count table")                \
  use(CountLoss, "count loss")                  \
  use(CountStatistics, "count statistics")      \
  use(DrawCounts, "draw counts")                \
  use(Tilt, "tilt")                             \
  use(TiltGradient, "tilt gradient")            \
  use(Guide, "guidance")                        \
  use(ConditionSum, "condition")                \
  use(SumOfSquares, "gradient norm")            \
  use(AdamW, "adamw")                           \
  use(FollowWeights, "follow weights")          \
  use(Convert, "convert")
// clang-format on
