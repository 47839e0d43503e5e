#include "cuda/launch_graphs.h"

#include <algorithm>
#include <utility>

#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

/// Kept of each of the pieces that are given one after the other.
constexpr std::size_t kMostKnown = 32;

void run(Context& context, const Zero& zero) { context.stream.fillZero(zero.memory, zero.bytes); }

}  // namespace

void LaunchGraphs::launchEach(const std::vector<AnyOp>& ops) {
  for (const AnyOp& any : ops) std::visit([&](const auto& op) { run(*context_, op); }, any);
}

void LaunchGraphs::launch(std::vector<AnyOp> ops, std::size_t number) {
  ++pieces_;
  mostTogether_ = std::max(mostTogether_, number);
  const auto same = [&](const Known& known) { return known.ops == ops; };
  const auto found = std::find_if(known_.begin(), known_.end(), same);
  if (found == known_.end()) {
    // The first time as it is: kernels are loaded, scratch memory grows, which a recording could not bear.
    launchEach(ops);
    const auto older = [](const Known& a, const Known& b) { return a.lastUsed < b.lastUsed; };
    if (known_.size() >= kMostKnown * mostTogether_)
      known_.erase(std::min_element(known_.begin(), known_.end(), older));
    known_.push_back({std::move(ops), {}, 0, pieces_});
    return;
  }
  found->lastUsed = pieces_;
  if (!found->graph || found->scratch != context_->scratch.generation()) {
    found->graph.reset();
    context_->stream.beginRecording();
    try {
      launchEach(ops);
    } catch (...) {
      static_cast<void>(context_->stream.endRecording());
      throw;
    }
    found->graph = context_->stream.endRecording();
    found->scratch = context_->scratch.generation();
  }
  context_->stream.replay(*found->graph);
}

}  // namespace ddsc::cuda
