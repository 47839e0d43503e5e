#pragma once
// The sum of all ranks' gradients, part by part as backward makes them final.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "cluster/communicator.h"
#include "model/parameters.h"

namespace ddsc::cluster {

/// One step's sum. The parts are those of `ParameterLayout::finalParts`, in that order on every rank,
/// whenever a rank has them: one whose share of the cells is empty begins with the first in `finish`. On GPUs
/// that NCCL joins all of it is summed at once, there, in `finish`.
class GradientSum {
 public:
  explicit GradientSum(std::shared_ptr<Communicator> communicator) : communicator_(std::move(communicator)) {}

  /// Begins to sum the next part, whose gradient is final, and returns; waits only where much is under way
  /// already. Throws as `Communicator::startSum`.
  void begin(ParameterStore& parameters);
  /// Begins with all that is left, waits, and has the sums in the place of the gradient. Throws as
  /// `Communicator::startSum` or `sumOnDevice`; the gradient is then good for nothing.
  void finish(ParameterStore& parameters);

 private:
  /// Some of the gradient, in the host's memory.
  struct Piece {
    std::int64_t offset;
    std::shared_ptr<std::vector<float>> values;
    std::function<void()> wait;
  };
  /// Pieces under way at most: 64 MiB, whatever the size of the model and the speed of the network.
  static constexpr std::size_t kMostPieces = 16;

  void takeFirst(ParameterStore& parameters);

  std::shared_ptr<Communicator> communicator_;
  std::size_t next_ = 0;
  std::deque<Piece> pieces_;
};

}  // namespace ddsc::cluster
