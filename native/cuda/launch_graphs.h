#pragma once
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "cuda/context.h"
#include "ops/op_list.h"

namespace ddsc::cuda {

/// Fills memory with zeros.
struct Zero {
  void* memory = nullptr;
  std::size_t bytes = 0;
  bool operator==(const Zero&) const = default;
};

/// Pieces of work that are given as a whole. One that is given again, equal in every field of every op, is
/// recorded as a graph, to be replayed from then on: hundreds of launches become one. What changes from
/// time to time (tokens, lengths, weights) lies in memory that the ops name; another shape is another piece.
class LaunchGraphs {
 public:
#define DDSC_EACH(Op, name) , Op
  using AnyOp = std::variant<Zero DDSC_FOR_EACH_OP(DDSC_EACH)>;
#undef DDSC_EACH

  explicit LaunchGraphs(Context& context) : context_(&context) {}
  /// @param number of this piece among those that are given one after the other each time, from 1: as many
  /// more are
  ///   kept
  void launch(std::vector<AnyOp> ops, std::size_t number);

 private:
  struct Known {
    std::vector<AnyOp> ops;
    std::optional<Graph> graph;
    int scratch = 0;             // generation that the graph's kernels use
    std::uint64_t lastUsed = 0;  // by number of piece
  };
  void launchEach(const std::vector<AnyOp>& ops);

  Context* context_;
  std::vector<Known> known_;
  std::uint64_t pieces_ = 0;
  std::size_t mostTogether_ = 1;
};

}  // namespace ddsc::cuda
