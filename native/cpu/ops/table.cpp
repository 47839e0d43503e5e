// The kernels of an instruction set, for cpu/dispatch.cpp.

#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {

#if defined(DDSC_EXTENDS)
/// What a level with units for bf16 pairs does better than the one it extends.
void extend(OpTable& table) {
  table.runLinear = run;
  table.runLinearInputGradient = run;
  table.runLinearWeightGradient = run;
  table.runAttention = run;
  table.runAttentionGradient = run;
}
#else
extern const OpTable opTable;
const OpTable opTable = {
#define DDSC_EACH(Op, name) .run##Op = run,
    DDSC_FOR_EACH_OP(DDSC_EACH)
#undef DDSC_EACH
};
#endif

}  // namespace ddsc::cpu::DDSC_ISA
