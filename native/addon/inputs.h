#pragma once
// The objects of lib/native/types.ts as the model's structs.

#include "addon/arguments.h"
#include "model/memory_plan.h"
#include "model/model.h"

namespace ddsc::addon {

DenoiserConfig denoiserConfig(const Field& value);
DType dtype(const Field& value);                // "fp32" | "bf16"
WeightSource weightSource(const Field& value);  // "weights" | "ema"; missing: weights
Objective objectiveKind(const Field& value);    // "subs" | "d3pm" | "sedd"
/// All but the conditioning, which a loss without a network does not have.
HostNoise lossNoise(const Field& value);
CellBatch cellBatch(const Field& value);
CountRows countRows(const Field& value);
/// Of ranks, or with `rows` of counts.
AnyLossInput lossInput(const Field& value);
Prediction::DrawOptions drawOptions(const Field& value);
ParameterStore::UpdateOptions updateOptions(const Field& value);
Activations activations(const Field& recompute);  // a boolean; missing: kept
/// All of it where none is given.
OptimizerShare optimizerShare(const Field& value);
Workload workload(const Field& value);

}  // namespace ddsc::addon
