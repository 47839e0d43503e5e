#include "cuda/stream_marks.h"

#include <utility>

namespace ddsc::cuda {

Mark StreamMarks::mark() {
  Event event;
  if (!spare_.empty()) {
    event = std::move(spare_.back());
    spare_.pop_back();
  }
  stream_->record(event);
  ahead_.push_back({++last_, std::move(event)});
  return last_;
}

bool StreamMarks::passed(Mark mark) {
  std::size_t place = 0;
  while (place < ahead_.size() && ahead_[place].event.reached()) ++place;
  forgetBefore(place);
  return ahead_.empty() || mark < ahead_.front().mark;
}

void StreamMarks::waitFor(Mark mark) {
  std::size_t place = 0;
  while (place < ahead_.size() && ahead_[place].mark <= mark) ++place;
  if (place == 0) return;
  ahead_[place - 1].event.wait();
  forgetBefore(place);
}

void StreamMarks::delay(Stream& other, Mark mark) {
  if (passed(mark)) return;
  std::size_t place = 0;
  while (place + 1 < ahead_.size() && ahead_[place + 1].mark <= mark) ++place;
  other.runAfter(ahead_[place].event);
}

void StreamMarks::forgetBefore(std::size_t place) {
  for (; place > 0; --place) {
    spare_.push_back(std::move(ahead_.front().event));
    ahead_.pop_front();
  }
}

}  // namespace ddsc::cuda
