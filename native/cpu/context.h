#pragma once
// What a CPU kernel gets beside its op: the threads, scratch memory and weights packed before.

#include "cpu/memory.h"
#include "cpu/packed_weights.h"
#include "cpu/thread_pool.h"
#include "ops/op_list.h"

namespace ddsc::cpu {

struct Context {
  ThreadPool& pool;
  Scratch& scratch;
  PackedWeights& weights;
};

/// The kernels of one instruction set: runEmbed, runLinear, ... Filled in cpu/ops/table.cpp, compiled once
/// for each.
struct OpTable {
#define DDSC_EACH(Op, name)             \
  void (*run##Op)(Context&, const Op&); \
  void run(Context& context, const Op& op) const { run##Op(context, op); }
  DDSC_FOR_EACH_OP(DDSC_EACH)
#undef DDSC_EACH
};

}  // namespace ddsc::cpu
