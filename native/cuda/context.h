#pragma once
// What a CUDA op gets beside its views: the stream it runs on, scratch memory, and a library for plain
// products where one serves.

#include <cstddef>

#include "cuda/runtime.h"
#include "ops/backend.h"

namespace ddsc::cuda {

namespace cublaslt {
class Products;
}

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
  /// Another number whenever the memory is another.
  int generation() const { return generation_; }
  /// What it holds after growing for so many bytes: more, so that it seldom grows.
  static constexpr std::size_t grownSize(std::size_t wanted) { return wanted + wanted / 4; }

 private:
  void* bytes(std::size_t wanted);

  Stream* stream_;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
  int generation_ = 0;
};

struct Context {
  Stream& stream;
  Scratch& scratch;
  cublaslt::Products* products = nullptr;  // null: our kernels alone
};

}  // namespace ddsc::cuda
