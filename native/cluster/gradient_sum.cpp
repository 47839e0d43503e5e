#include "cluster/gradient_sum.h"

#include <algorithm>
#include <utility>

namespace ddsc::cluster {

void GradientSum::begin(ParameterStore& parameters) {
  const BufferPart part = parameters.layout().finalParts().at(next_++);
  for (std::int64_t at = part.begin; at < part.end; at += Communicator::kBucket) {
    if (pieces_.size() == kMostPieces) takeFirst(parameters);
    const std::int64_t size = std::min(Communicator::kBucket, part.end - at);
    const auto values = std::make_shared<std::vector<float>>(static_cast<std::size_t>(size));
    parameters.read("gradient", at, {values->data(), size});
    pieces_.push_back({at, values, communicator_->startSum(values)});
  }
}

void GradientSum::finish(ParameterStore& parameters) {
  // A GPU is never handed blocks one by one: nothing has begun.
  if (parameters.backend().kind() == DeviceKind::gpu && communicator_->sumsOnDevices()) {
    communicator_->sumOnDevice(parameters.backend(), parameters.wholeGradient());
    return;
  }
  const std::size_t parts = parameters.layout().finalParts().size();
  while (next_ < parts) begin(parameters);
  while (!pieces_.empty()) takeFirst(parameters);
}

void GradientSum::takeFirst(ParameterStore& parameters) {
  const Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  piece.wait();
  parameters.write("gradient", piece.offset,
                   {piece.values->data(), static_cast<std::int64_t>(piece.values->size())});
}

}  // namespace ddsc::cluster
