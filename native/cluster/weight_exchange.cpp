#include "cluster/weight_exchange.h"

#include <algorithm>
#include <cstring>

namespace ddsc::cluster {

namespace {

/// Floats that a rank gives at a time.
constexpr std::int64_t kAtOnce = std::int64_t{1} << 20;

/// `size` floats of a rank's part from its `at`th on, as far as it goes.
BufferPart pieceOf(const BufferPart& part, std::int64_t at, std::int64_t size) {
  return part.within({part.begin + at, part.begin + at + size});
}

}  // namespace

void exchangeWeights(Communicator& communicator, ParameterStore& parameters) {
  const OptimizerShare& share = parameters.share();
  Backend& backend = parameters.backend();
  const Span<float> weights = parameters.wholeWeights();
  if (communicator.sumsOn(backend)) {
    for (std::int64_t rank = 0; rank < share.count; ++rank) {
      const BufferPart part = share.of(weights.size, rank);
      if (part.size() > 0)
        communicator.startBroadcastOnDevice(backend, weights.part(part.begin, part.size()),
                                            static_cast<int>(rank));
    }
    communicator.finishOnDevice(backend);
    return;
  }
  const BufferPart own = share.of(weights.size);
  const std::int64_t longest = share.of(weights.size, 0).size();
  for (std::int64_t at = 0; at < longest; at += kAtOnce) {
    const BufferPart piece = pieceOf(own, at, kAtOnce);
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(piece.size()) * sizeof(float));
    if (!bytes.empty()) backend.download(bytes.data(), weights.data + piece.begin, bytes.size());
    const std::vector<std::vector<std::uint8_t>> all = communicator.gather(bytes);
    for (std::int64_t rank = 0; rank < share.count; ++rank) {
      const BufferPart other = pieceOf(share.of(weights.size, rank), at, kAtOnce);
      const std::vector<std::uint8_t>& given = all.at(static_cast<std::size_t>(rank));
      require(given.size() == static_cast<std::size_t>(other.size()) * sizeof(float), "CLUSTER_MESSAGE",
              "ranks do not share the optimizer in the same way");
      if (rank != share.index && !given.empty())
        backend.upload(weights.data + other.begin, given.data(), given.size());
    }
  }
}

}  // namespace ddsc::cluster
