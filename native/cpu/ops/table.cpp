#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {

const OpTable opTable = {
    .embed = embed,
    .embedGradient = embedGradient,
    .linear = linear,
    .linearInputGradient = linearInputGradient,
    .linearWeightGradient = linearWeightGradient,
    .normModulate = normModulate,
    .normModulateGradient = normModulateGradient,
    .attention = attention,
    .attentionGradient = attentionGradient,
    .gateResidual = gateResidual,
    .gateResidualGradient = gateResidualGradient,
    .timeFeatures = timeFeatures,
    .gatherRows = gatherRows,
    .scatterRows = scatterRows,
    .diffusionLoss = diffusionLoss,
    .tokenStatistics = tokenStatistics,
    .drawTokens = drawTokens,
    .sumOfSquares = sumOfSquares,
    .adamW = adamW,
    .convert = convert,
};

}  // namespace ddsc::cpu::DDSC_ISA
