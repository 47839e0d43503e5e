#include "core/work_queue.h"

#include <utility>

namespace ddsc {

bool WorkQueue::push(Task task, Order order) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
    waiting_.push_back({std::move(task), order});
  }
  changed_.notify_one();
  return true;
}

void WorkQueue::runBeside() {
  for (;;) {
    Entry next;
    {
      const std::lock_guard lock(mutex_);
      if (ended_ || waiting_.empty() || waiting_.front().order != Order::beside) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    next.task();
  }
}

void WorkQueue::end() {
  std::deque<Entry> dropped;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    dropped.swap(waiting_);
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void WorkQueue::loop() {
  for (;;) {
    Entry next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ended_ || !waiting_.empty(); });
      if (ended_) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    next.task();
  }
}

}  // namespace ddsc
