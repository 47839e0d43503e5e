#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace ddsc {

/// Tasks that run one after the other, in the order in which they came, on a thread of their own. The thread
/// starts with the first task and sleeps while there is none. Tasks must not throw.
class WorkQueue {
 public:
  using Task = std::function<void()>;

  /// Whether a task has to wait for the one before it to end, or may also run while that waits for a device.
  enum class Order : std::uint8_t { after, beside };

  WorkQueue() = default;
  ~WorkQueue() { end(); }
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// Returns false, without the task, once the queue has ended.
  bool push(Task task, Order order = Order::after);

  /// For a task that is about to wait for a device: runs the tasks that come next, as long as they may run
  /// beside it.
  void runBeside();

  /// Waits for the task that is running, drops the others and ends the thread. Not for use in a task.
  void end();

 private:
  struct Entry {
    Task task;
    Order order;
  };

  void loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> waiting_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace ddsc
