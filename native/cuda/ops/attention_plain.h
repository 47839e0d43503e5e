#pragma once
// Attention on the plain units, in float32 throughout: for float32, and for heads too wide for the matrix
// units.

#include "cuda/context.h"

namespace ddsc::cuda {

void attendPlain(Context& context, const Attention& op);
void differentiatePlain(Context& context, const AttentionGradient& op);

/// [rows, heads] sum over each head's columns of dout * out, in scratch memory that the caller gives.
void attentionDelta(Context& context, const ConstMatrix& out, const ConstMatrix& dout, std::int64_t heads,
                    float* delta);

}  // namespace ddsc::cuda
