#pragma once
#include <deque>
#include <vector>

#include "cuda/runtime.h"
#include "ops/backend.h"

namespace ddsc::cuda {

/// Marks in a stream's work.
class StreamMarks {
 public:
  explicit StreamMarks(Stream& stream) : stream_(&stream) {}

  Mark mark();
  /// The mark that the next call of `mark` gives.
  Mark next() const { return last_ + 1; }
  bool passed(Mark mark);
  void waitFor(Mark mark);
  /// The other stream's work from now on runs after the mark.
  void delay(Stream& other, Mark mark);

 private:
  struct Place {
    Mark mark;
    Event event;
  };
  /// Forgets the places before this one.
  void forgetBefore(std::size_t place);

  Stream* stream_;
  std::deque<Place> ahead_;  // not passed when last looked at, ascending
  std::vector<Event> spare_;
  Mark last_ = 0;
};

}  // namespace ddsc::cuda
