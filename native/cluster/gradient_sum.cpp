#include "cluster/gradient_sum.h"

#include <algorithm>
#include <utility>

namespace ddsc::cluster {
namespace {

/// Values of a gradient of so many that a GPU sums at a time, at least: an eighth, so that most of it goes
/// along with backward, within bounds where messages are neither too short nor begun too late.
std::int64_t atOnceOnDevice(std::int64_t size) {
  constexpr std::int64_t kLeast = std::int64_t{1} << 10, kMost = std::int64_t{1} << 22;
  return std::clamp(size / 8, kLeast, kMost);
}

}  // namespace

void GradientSum::abandon() noexcept {
  if (std::exchange(isUnderWay_, false)) communicator_->dropNccl();
}

void GradientSum::begin(ParameterStore& parameters) {
  const BufferPart part = parameters.layout().finalParts().at(next_++);
  if (communicator_->sumsOn(parameters.backend())) {
    beginOnDevice(parameters, part);
  } else {
    beginOnHost(parameters, part);
  }
}

void GradientSum::finish(ParameterStore& parameters) {
  const std::size_t parts = parameters.layout().finalParts().size();
  while (next_ < parts) begin(parameters);
  while (!pieces_.empty()) takeFirst(parameters);
  if (!communicator_->sumsOn(parameters.backend())) return;
  beginGathered(parameters);
  communicator_->finishOnDevice(parameters.backend());
  isUnderWay_ = false;
}

void GradientSum::beginOnHost(ParameterStore& parameters, const BufferPart& part) {
  for (std::int64_t at = part.begin; at < part.end; at += Communicator::kBucket) {
    if (pieces_.size() == kMostPieces) takeFirst(parameters);
    const std::int64_t size = std::min(Communicator::kBucket, part.end - at);
    const auto values = std::make_shared<std::vector<float>>(static_cast<std::size_t>(size));
    parameters.read("gradient", at, {values->data(), size});
    pieces_.push_back({at, values, communicator_->startSum(values)});
  }
}

void GradientSum::takeFirst(ParameterStore& parameters) {
  const Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  piece.wait();
  parameters.write("gradient", piece.offset,
                   {piece.values->data(), static_cast<std::int64_t>(piece.values->size())});
}

void GradientSum::beginOnDevice(ParameterStore& parameters, const BufferPart& part) {
  if (part.end == gathered_.begin || part.begin == gathered_.end) {
    gathered_ = {std::min(gathered_.begin, part.begin), std::max(gathered_.end, part.end)};
  } else {
    beginGathered(parameters);
    gathered_ = part;
  }
  if (gathered_.size() >= atOnceOnDevice(parameters.layout().size)) beginGathered(parameters);
}

void GradientSum::beginGathered(ParameterStore& parameters) {
  if (gathered_.size() == 0) return;
  Backend& backend = parameters.backend();
  backend.endPiece();
  isUnderWay_ = true;
  communicator_->startSumOnDevice(backend,
                                  parameters.wholeGradient().part(gathered_.begin, gathered_.size()));
  gathered_ = {0, 0};
}

}  // namespace ddsc::cluster
