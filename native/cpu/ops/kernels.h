#pragma once
// The ops of one instruction set. Files in cpu/ops/ are compiled once for each, with DDSC_ISA its name;
// everything they define lives in namespace ddsc::cpu::DDSC_ISA or is local to the file, so that code built
// for one processor is never linked into another's path (checked by scripts/check-isa-symbols). Hence no
// std:: containers or algorithms here.

#include "cpu/context.h"

#ifndef DDSC_ISA
#define DDSC_ISA generic  // for editors and single-file checks
#endif

namespace ddsc::cpu::DDSC_ISA {

void embed(Context&, const Embed&);
void embedGradient(Context&, const EmbedGradient&);
void linear(Context&, const Linear&);
void linearInputGradient(Context&, const LinearInputGradient&);
void linearWeightGradient(Context&, const LinearWeightGradient&);
void normModulate(Context&, const NormModulate&);
void normModulateGradient(Context&, const NormModulateGradient&);
void attention(Context&, const Attention&);
void attentionGradient(Context&, const AttentionGradient&);
void gateResidual(Context&, const GateResidual&);
void gateResidualGradient(Context&, const GateResidualGradient&);
void timeFeatures(Context&, const TimeFeatures&);
void gatherRows(Context&, const GatherRows&);
void scatterRows(Context&, const ScatterRows&);
void diffusionLoss(Context&, const DiffusionLoss&);
void tokenStatistics(Context&, const TokenStatistics&);
void drawTokens(Context&, const DrawTokens&);
void sumOfSquares(Context&, const SumOfSquares&);
void adamW(Context&, const AdamW&);
void convert(Context&, const Convert&);

extern const OpTable opTable;

}  // namespace ddsc::cpu::DDSC_ISA
