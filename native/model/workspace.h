#pragma once
#include <cstdint>
#include <vector>

#include "ops/backend.h"

namespace ddsc {

/// Memory of one call: handed out by bumping a pointer, given back all at once by `reset`. What a call took
/// in several pieces is one piece from the next call on, as large as the largest call so far or as was
/// reserved, so that a training run allocates in its first steps only.
class Workspace {
 public:
  explicit Workspace(Backend& backend) : backend_(&backend) {}

  /// Uploads need not wait for ops given after the mark: none of them uses what this hands out. Until this is
  /// called uploads come in order.
  void freeAfter(Mark mark) {
    ahead_ = true;
    free_ = mark;
  }

  /// From the next `reset` on, calls of up to so many bytes allocate nothing.
  void reserve(std::size_t bytes) { reserved_ = bytes; }
  /// Bytes that the largest call so far took, the one under way included.
  std::size_t needed() const;

  /// Uninitialised [rows, cols].
  Matrix matrix(std::int64_t rows, std::int64_t cols, DType type);
  /// Uninitialised elements.
  template <class T>
  Span<T> span(std::int64_t count) {
    return {static_cast<T*>(take(static_cast<std::size_t>(count) * sizeof(T))), count};
  }
  /// A copy of host memory.
  template <class T>
  Span<const T> upload(const T* host, std::int64_t count) {
    const Span<T> copy = span<T>(count);
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (ahead_) {
      backend_->uploadAhead(copy.data, host, bytes, free_);
    } else {
      backend_->upload(copy.data, host, bytes);
    }
    return copy;
  }
  template <class T>
  Span<const T> upload(const std::vector<T>& host) {
    return upload(host.data(), static_cast<std::int64_t>(host.size()));
  }

  /// Takes everything back; views handed out before are void.
  void reset();

 private:
  void* take(std::size_t bytes);
  void addPiece(std::size_t bytes);

  Backend* backend_;
  std::vector<Buffer> pieces_;
  std::size_t used_ = 0;      // of the last piece
  std::size_t total_ = 0;     // of all pieces
  std::size_t taken_ = 0;     // in this call
  std::size_t largest_ = 0;   // call before this one
  std::size_t reserved_ = 0;  // on request
  bool ahead_ = false;
  Mark free_ = 0;
};

}  // namespace ddsc
