#pragma once
// Every op of the CUDA backend. Each puts its work on the context's stream and returns.

#include "cuda/context.h"

namespace ddsc::cuda {

void run(Context&, const Embed&);
void run(Context&, const EmbedGradient&);
void run(Context&, const Linear&);
void run(Context&, const LinearInputGradient&);
void run(Context&, const LinearWeightGradient&);
void run(Context&, const NormModulate&);
void run(Context&, const NormModulateGradient&);
void run(Context&, const Attention&);
void run(Context&, const AttentionGradient&);
void run(Context&, const GateResidual&);
void run(Context&, const GateResidualGradient&);
void run(Context&, const TimeFeatures&);
void run(Context&, const GatherRows&);
void run(Context&, const ScatterRows&);
void run(Context&, const DiffusionLoss&);
void run(Context&, const TokenStatistics&);
void run(Context&, const DrawTokens&);
void run(Context&, const SumOfSquares&);
void run(Context&, const AdamW&);
void run(Context&, const Convert&);

/// As Backend::measureLimits.
Limits measureLimits(Context&, int multiprocessors);

}  // namespace ddsc::cuda
