#pragma once
// Copies between the host and a device that neither waits for, by way of page-locked memory.

#include <cstddef>
#include <vector>

#include "cuda/stream_marks.h"

namespace ddsc::cuda {

/// Page-locked memory on the way to the device: what is put in is copied at once, so that the caller's memory
/// is free again, and travels while the host goes on. Two halves are filled in turn: the host waits only for
/// a copy that left the other half before this one was filled.
class Uploads {
 public:
  explicit Uploads(Stream& stream) : stream_(&stream) {}
  ~Uploads();
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;

  void upload(void* to, const void* fromHost, std::size_t bytes);

 private:
  static constexpr std::size_t kBytes = std::size_t{8} << 20;
  struct Half {
    std::byte* memory = nullptr;
    Event left;  // all copies from here
  };
  void turn();

  Stream* stream_;
  Half halves_[2];
  int filling_ = 0;
  std::size_t used_ = 0;  // of the half that is being filled
};

/// Copies on their way to the host: they land in page-locked memory while the host goes on, and are put where
/// they belong when a mark behind them was waited for.
class Downloads {
 public:
  Downloads(Stream& stream, StreamMarks& marks) : stream_(&stream), marks_(&marks) {}
  ~Downloads();
  Downloads(const Downloads&) = delete;
  Downloads& operator=(const Downloads&) = delete;

  void begin(void* toHost, const void* from, std::size_t bytes);
  /// Waits for the mark, and puts what was begun before it in its place. Where waiting fails nothing that
  /// was begun arrives any more.
  void waitFor(Mark mark);

 private:
  struct Download {
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
  StreamMarks* marks_;
  std::vector<Download> pending_;  // in order
  std::vector<Landing> landings_;  // the last one is in use
  std::size_t used_ = 0;
};

}  // namespace ddsc::cuda
