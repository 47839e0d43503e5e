#pragma once
// The sum of all ranks' gradients, part by part as backward makes them final.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "cluster/communicator.h"
#include "model/parameters.h"

namespace ddsc::cluster {

/// One step's sum. The parts are those of `ParameterLayout::finalParts`, in that order on every rank,
/// whenever a rank has them: one whose share of the cells is empty begins with the first in `finish`. On GPUs
/// that NCCL joins they are summed where they are, neighbours of few values together.
class GradientSum {
 public:
  explicit GradientSum(std::shared_ptr<Communicator> communicator) : communicator_(std::move(communicator)) {}
  ~GradientSum() { abandon(); }
  GradientSum(const GradientSum&) = delete;
  GradientSum& operator=(const GradientSum&) = delete;

  /// Whether parts are to be begun as backward has them: not where a GPU would have to stop for each.
  bool goesAlong(const Backend& backend) const {
    return backend.kind() == DeviceKind::cpu || communicator_->sumsOn(backend);
  }
  /// Begins to sum the next part, whose gradient is final, and returns; waits only where much is under way
  /// already. Throws as `Communicator::startSum` or `startSumOnDevice`.
  void begin(ParameterStore& parameters);
  /// Begins with all that is left, waits, and has the sums in the place of the gradient. Throws as `begin`;
  /// the gradient is then good for nothing.
  void finish(ParameterStore& parameters);

  /// Gives up what has begun on a GPU, as where a step fails half way: it would wait for peers that have no
  /// reason to come. Nothing more can be summed there.
  void abandon() noexcept;

 private:
  /// Some of the gradient, in the host's memory.
  struct Piece {
    std::int64_t offset;
    std::shared_ptr<std::vector<float>> values;
    std::function<void()> wait;
  };
  /// Pieces under way at most: 64 MiB, whatever the size of the model and the speed of the network.
  static constexpr std::size_t kMostPieces = 16;

  void beginOnHost(ParameterStore& parameters, const BufferPart& part);
  void takeFirst(ParameterStore& parameters);
  void beginOnDevice(ParameterStore& parameters, const BufferPart& part);
  /// Begins with the parts that were put together.
  void beginGathered(ParameterStore& parameters);

  std::shared_ptr<Communicator> communicator_;
  std::size_t next_ = 0;
  std::deque<Piece> pieces_;
  BufferPart gathered_{0, 0};
  bool isUnderWay_ = false;  // on a GPU
};

}  // namespace ddsc::cluster
