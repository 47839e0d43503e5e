#pragma once
#include <cstddef>
#include <vector>

#include "cuda/timeline.h"

namespace ddsc::cuda {

/// Copies on their way to the host: they land in page-locked memory while the host goes on, and are put where
/// they belong when a mark behind them was waited for.
class Arrivals {
 public:
  Arrivals(Stream& stream, Timeline& timeline) : stream_(&stream), timeline_(&timeline) {}
  ~Arrivals();
  Arrivals(const Arrivals&) = delete;
  Arrivals& operator=(const Arrivals&) = delete;

  void fetch(void* toHost, const void* from, std::size_t bytes);
  /// Waits for the mark, and puts what was fetched before it in its place. Where waiting fails nothing that
  /// was fetched arrives any more.
  void waitFor(Mark mark);

 private:
  struct Arrival {
    Mark mark;
    void* toHost;
    const std::byte* landed;
    std::size_t bytes;
  };
  struct Landing {
    std::byte* memory;
    std::size_t bytes;
  };
  std::byte* land(std::size_t bytes);

  Stream* stream_;
  Timeline* timeline_;
  std::vector<Arrival> underWay_;  // in order
  std::vector<Landing> landings_;  // the last one is in use
  std::size_t used_ = 0;
};

}  // namespace ddsc::cuda
