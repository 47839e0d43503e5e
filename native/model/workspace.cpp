#include "model/workspace.h"

#include <algorithm>

namespace ddsc {

namespace {
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSmallestPiece = std::size_t{1} << 20;
}  // namespace

Matrix Workspace::matrix(std::int64_t rows, std::int64_t cols, DType type) {
  const auto bytes = static_cast<std::size_t>(rows * cols * sizeOf(type));
  return {take(bytes), rows, cols, cols, type};
}

std::size_t Workspace::needed() const { return std::max(largest_, taken_); }

void Workspace::reset() {
  largest_ = needed();
  taken_ = used_ = 0;
  const std::size_t wanted = std::max(largest_, reserved_);
  if (wanted == 0 || (pieces_.size() == 1 && total_ >= wanted)) return;
  pieces_.clear();  // before the new piece is taken: both need not fit
  total_ = 0;
  addPiece(wanted);
}

void Workspace::addPiece(std::size_t bytes) {
  pieces_.emplace_back(*backend_, bytes);
  total_ += bytes;
  // Who had this memory before may have work under way.
  if (ahead_) free_ = backend_->mark();
}

void* Workspace::take(std::size_t bytes) {
  const std::size_t size = std::max((bytes + kAlignment - 1) / kAlignment, std::size_t{1}) * kAlignment;
  if (pieces_.empty() || used_ + size > pieces_.back().bytes()) {
    addPiece(std::max({size, kSmallestPiece, total_ / 2}));
    used_ = 0;
  }
  char* memory = pieces_.back().as<char>() + used_;
  used_ += size;
  taken_ += size;
  return memory;
}

}  // namespace ddsc
