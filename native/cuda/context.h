#pragma once
// What a CUDA op gets beside its views: the stream it runs on, scratch memory, and the way to the host.

#include <cstddef>

#include "cuda/runtime.h"
#include "cuda/staging.h"
#include "ops/backend.h"

namespace ddsc::cuda {

/// Device memory that grows and is kept. What an op took is void when the next op asks; work already on the
/// stream keeps its own, as the stream runs in order and memory that was outgrown is freed only when it is
/// idle.
class Scratch {
 public:
  explicit Scratch(Stream& stream) : stream_(&stream) {}
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// `count` elements, 256-byte aligned.
  template <class T>
  T* take(std::int64_t count) {
    return static_cast<T*>(bytes(static_cast<std::size_t>(count) * sizeof(T)));
  }
  /// Bytes that it holds.
  std::size_t size() const { return size_; }

 private:
  void* bytes(std::size_t wanted);

  Stream* stream_;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

struct Context {
  Stream& stream;
  Scratch& scratch;
  Staging& staging;
};

}  // namespace ddsc::cuda
