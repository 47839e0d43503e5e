#pragma once
#include <cstdint>
#include <memory>

namespace ddsc::cpu {

/// Persistent worker threads. `parallel(count, task)` calls task(index, worker) for every index in [0,
/// count), on the calling thread and the workers, and returns when all are done. Indices are handed out
/// dynamically: a task's result must not depend on which worker runs it. The first exception is rethrown on
/// the calling thread. Not reentrant: a call from inside a task runs its tasks on that thread.
class ThreadPool {
 public:
  /// `threads` counts the calling thread; 0: all the process may run on (its affinity mask).
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  template <class Task>
  void parallel(std::int64_t count, const Task& task) {
    run(
        count,
        [](const void* context, std::int64_t index, int worker) {
          (*static_cast<const Task*>(context))(index, worker);
        },
        &task);
  }

 private:
  using Call = void (*)(const void* context, std::int64_t index, int worker);
  void run(std::int64_t count, Call call, const void* context);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ddsc::cpu
