#pragma once
// Weights of a model whose optimizer is shared out: each rank has updated its own part.

#include "cluster/communicator.h"
#include "model/parameters.h"

namespace ddsc::cluster {

/// Brings to every rank the weights that the others have updated. On GPUs that NCCL joins they stay there.
/// Every rank has a share of the same optimizer, by its number. Throws as `Communicator::gather` or
/// `startBroadcastOnDevice`.
void exchangeWeights(Communicator& communicator, ParameterStore& parameters);

}  // namespace ddsc::cluster
