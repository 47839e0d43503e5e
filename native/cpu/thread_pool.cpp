#include "cpu/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace ddsc::cpu {
namespace {

/// How often to look before going to sleep: some 50 microseconds, about what waking up costs.
constexpr int kSpins = 1000;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Makes what kernels stored past the caches visible before the job counts as done.
void finishStreaming() {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

int availableProcessors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  const unsigned processors = std::thread::hardware_concurrency();
  return processors == 0 ? 1 : static_cast<int>(processors);
}

/// The pool whose task this thread is running, and as which worker.
struct Running {
  const void* pool = nullptr;
  int worker = 0;
};
thread_local Running running;

/// Marks this thread as inside a task for as long as it lives.
class Inside {
 public:
  Inside(const void* pool, int worker) : before_(running) { running = {pool, worker}; }
  ~Inside() { running = before_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Running before_;
};

}  // namespace

/// A job is published under the mutex as a new generation. Workers join it while it is open and take indices
/// until none is left; the caller closes it and waits only for those that joined, so a worker which the
/// system has not scheduled yet delays nobody.
struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable wake, left;
  std::atomic<std::uint64_t> generation{0};
  std::atomic<int> joined{0};
  bool open = false, stopping = false;

  Call call = nullptr;
  const void* context = nullptr;
  std::int64_t count = 0;
  std::atomic<std::int64_t> next{0};
  std::exception_ptr failure;

  std::vector<std::thread> workers;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ~State() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
      generation.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  void takeIndices(int worker) {
    const Inside inside(this, worker);
    try {
      for (;;) {
        const std::int64_t index = next.fetch_add(1, std::memory_order_relaxed);
        if (index >= count) break;
        call(context, index, worker);
      }
      finishStreaming();
    } catch (...) {
      next.store(count, std::memory_order_relaxed);
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  }

  void serve(int worker) {
    std::uint64_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && generation.load(std::memory_order_acquire) == seen; ++spin) relax();
      std::unique_lock lock(mutex);
      wake.wait(lock, [&] { return generation.load(std::memory_order_relaxed) != seen; });
      if (stopping) return;
      seen = generation.load(std::memory_order_relaxed);
      if (!open) continue;
      joined.fetch_add(1, std::memory_order_relaxed);
      lock.unlock();
      takeIndices(worker);
      lock.lock();
      joined.fetch_sub(1, std::memory_order_release);
      left.notify_one();
    }
  }

  void publish(std::int64_t indices, Call function, const void* argument) {
    {
      const std::lock_guard lock(mutex);
      call = function;
      context = argument;
      count = indices;
      next.store(0, std::memory_order_relaxed);
      failure = nullptr;
      open = true;
      generation.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
  }

  void finish() {
    std::unique_lock lock(mutex);
    open = false;
    if (joined.load(std::memory_order_relaxed) != 0) {
      lock.unlock();
      for (int spin = 0; spin < kSpins && joined.load(std::memory_order_acquire) != 0; ++spin) relax();
      lock.lock();
      left.wait(lock, [&] { return joined.load(std::memory_order_relaxed) == 0; });
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  const int wanted = threads > 0 ? threads : availableProcessors();
  state_->workers.reserve(static_cast<std::size_t>(wanted - 1));
  for (int worker = 1; worker < wanted; ++worker)
    state_->workers.emplace_back([state = state_.get(), worker] { state->serve(worker); });
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::run(std::int64_t count, Call call, const void* context) {
  if (running.pool == state_.get() || state_->workers.empty() || count == 1) {
    const int worker = running.pool == state_.get() ? running.worker : 0;
    const Inside inside(state_.get(), worker);
    for (std::int64_t index = 0; index < count; ++index) call(context, index, worker);
    return;
  }
  if (count <= 0) return;
  state_->publish(count, call, context);
  state_->takeIndices(0);
  state_->finish();
  if (state_->failure) std::rethrow_exception(std::exchange(state_->failure, nullptr));
}

}  // namespace ddsc::cpu
