// Queries, keys and values. In a model of ranks every row has all three, by one product. In a model of counts
// only cls and evidence are keys, and in the last block only cls and the queries ask: what nobody reads is
// not computed.
#include "model/denoiser.h"
#include "model/linear_backward.h"

namespace ddsc {

void Denoiser::project(std::size_t index, const ParameterStore& p, WeightSource source,
                       const DenoiserInput& input, const DenoiserActivations& a) {
  const BlockActivations& s = a.blocks[index];
  const BlockParameters& names = p.layout().blocks[index];
  // Where activations go to save memory, no packed copies of weights shall take their place.
  const std::uint64_t version = a.recomputed > 0 ? 0 : p.version();
  const auto linear = [&](const char* place, const Matrix& x, const Parameter& weight, const Matrix& y) {
    backend_->at(place).run(Linear{x, p.weight(weight, source), {}, Activation::none, {}, {}, y, version});
  };
  if (!config_.ofCounts()) return linear("qkv", s.normed1, names.qkv, s.qkv);
  if (isLast(index)) backend_->run(GatherRows{s.normed1, input.selected, s.asking});
  backend_->run(GatherRows{s.normed1, input.counts.keyRows, s.keying});
  linear("query", s.asking, names.query, s.query);
  linear("key, value", s.keying, names.keyValue, s.keyValue);
}

void Denoiser::projectBackward(std::size_t index, const ParameterStore& p, const DenoiserInput& input,
                               const BlockActivations& s, const AttentionGradient& attention,
                               const Matrix& dnormed, Workspace& w) {
  const BlockParameters& names = p.layout().blocks[index];
  const LinearBackward linear{*backend_, p, false};
  const std::int64_t d = config_.hidden;
  if (!config_.ofCounts()) {
    // The gradients of queries, keys and values are columns of one matrix, of which those of the queries come
    // first.
    const Matrix& dquery = attention.dquery;
    return linear("qkv", {dquery.data, dquery.rows, 3 * d, dquery.stride, dquery.type}, s.normed1, names.qkv,
                  nullptr, dnormed);
  }
  const Matrix dkeying = w.matrix(s.keying.rows, d, compute_);
  if (isLast(index)) {
    const Matrix dasking = w.matrix(s.asking.rows, d, compute_);
    linear("query", attention.dquery, s.asking, names.query, nullptr, dasking);
    backend_->run(ScatterRows{dasking, input.selected, dnormed});
  } else {
    linear("query", attention.dquery, s.asking, names.query, nullptr, dnormed);
  }
  linear("key, value", attention.dkeyValue, s.keying, names.keyValue, nullptr, dkeying);
  backend_->run(AddRows{dkeying, input.counts.keyRows, dnormed});
}

}  // namespace ddsc
