#pragma once
#include "ops/backend.h"

namespace ddsc {

/// Overrides `run` for each of the ops with a call of Handler::handle(op).
template <class Handler, class Base, class... Ops>
class HandlesOps;

template <class Handler, class Base>
class HandlesOps<Handler, Base> : public Base {
 public:
  using Base::run;
};

template <class Handler, class Base, class Op, class... Others>
class HandlesOps<Handler, Base, Op, Others...> : public HandlesOps<Handler, Base, Others...> {
 public:
  using HandlesOps<Handler, Base, Others...>::run;
  void run(const Op& op) override { static_cast<Handler*>(this)->handle(op); }
};

/// The ops there are.
template <class... Ops>
struct OpList {
  template <class Handler, class Base>
  using Handling = HandlesOps<Handler, Base, Ops...>;
  /// List<Others..., Ops...>.
  template <template <class...> class List, class... Others>
  using After = List<Others..., Ops...>;
};
using AllOps = OpList<Embed, EmbedGradient, Linear, LinearInputGradient, LinearWeightGradient, NormModulate,
                      NormModulateGradient, Attention, AttentionGradient, GateResidual, GateResidualGradient,
                      TimeFeatures, GatherRows, ScatterRows, DiffusionLoss, TokenStatistics, DrawTokens,
                      SumOfSquares, AdamW, Convert>;

/// A backend that does the same to every op: a class Handler that derives from EveryOp<Handler> and has a
/// template `handle(op)`. Base is Backend or an interface on top of it.
template <class Handler, class Base = Backend>
using EveryOp = AllOps::Handling<Handler, Base>;

}  // namespace ddsc
