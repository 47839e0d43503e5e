// What a level with units for bf16 pairs does better than the one it extends; compiled once for each such
// level.

#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {

void extend(OpTable& table) {
  table.linear = linear;
  table.linearInputGradient = linearInputGradient;
  table.linearWeightGradient = linearWeightGradient;
  table.attention = attention;
  table.attentionGradient = attentionGradient;
}

}  // namespace ddsc::cpu::DDSC_ISA
