#pragma once
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "cuda/context.h"
#include "ops/every_op.h"

namespace ddsc::cuda {

struct Zero {
  void* memory = nullptr;
  std::size_t bytes = 0;
  bool operator==(const Zero&) const = default;
};

/// Pieces of work that are given as a whole. One that is given again, equal in every field of every op, is
/// recorded as a graph, to be replayed from then on: hundreds of launches become one. What changes from
/// time to time (tokens, lengths, weights) lies in memory that the ops name; another shape is another piece.
class Repeats {
 public:
  using AnyOp = AllOps::After<std::variant, Zero>;

  explicit Repeats(Context& context) : context_(&context) {}
  void run(std::vector<AnyOp> ops);

 private:
  struct Known {
    std::vector<AnyOp> ops;
    std::optional<Graph> graph;
    int scratch = 0;             // generation that the graph's kernels use
    std::uint64_t lastUsed = 0;  // by number of piece
  };
  void runEach(const std::vector<AnyOp>& ops);

  Context* context_;
  std::vector<Known> known_;
  std::uint64_t pieces_ = 0;
};

}  // namespace ddsc::cuda
