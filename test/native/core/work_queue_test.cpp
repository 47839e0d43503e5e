#include "core/work_queue.h"

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "test/native/harness.h"

namespace ddsc::test {
namespace {

/// Waits until all that was pushed so far has run.
void drain(WorkQueue& queue) {
  const auto done = std::make_shared<std::promise<void>>();
  queue.push([done] { done->set_value(); });
  done->get_future().wait();
}

DDSC_TEST("a work queue runs tasks in order on one thread, which is not the caller's") {
  WorkQueue queue;
  std::vector<int> order;  // plain: two tasks at once would be a race the sanitizer sees
  std::vector<std::thread::id> threads;
  for (int i = 0; i < 1000; ++i) {
    queue.push([&, i] {
      order.push_back(i);
      threads.push_back(std::this_thread::get_id());
    });
  }
  drain(queue);
  checkEqual(order.size(), std::size_t{1000});
  for (int i = 0; i < 1000; ++i) checkEqual(order[static_cast<std::size_t>(i)], i);
  for (const std::thread::id id : threads)
    check(id == threads[0] && id != std::this_thread::get_id(), "tasks ran on several threads");
}

DDSC_TEST("a work queue's thread wakes up for tasks from several threads, each one's in order") {
  WorkQueue queue;
  constexpr int kThreads = 4, kTasks = 500;
  std::vector<std::vector<int>> seen(kThreads);
  std::vector<std::thread> pushing;
  for (int from = 0; from < kThreads; ++from) {
    pushing.emplace_back([&, from] {
      for (int i = 0; i < kTasks; ++i)
        queue.push([&, from, i] { seen[static_cast<std::size_t>(from)].push_back(i); });
    });
  }
  for (std::thread& thread : pushing) thread.join();
  drain(queue);
  for (const std::vector<int>& tasks : seen) {
    checkEqual(tasks.size(), std::size_t{kTasks});
    for (int i = 0; i < kTasks; ++i) checkEqual(tasks[static_cast<std::size_t>(i)], i);
  }
}

DDSC_TEST("the end of a work queue waits for the task on its thread and drops those that have not begun") {
  std::promise<void> begun, letGo;
  std::atomic<bool> finished = false, other = false;
  const auto held = std::make_shared<int>(0);
  WorkQueue queue;
  queue.push([&] {
    begun.set_value();
    letGo.get_future().wait();
    finished = true;
  });
  queue.push([&other, held] { other = true; });
  begun.get_future().wait();
  std::thread releasing([&] {
    while (queue.push([&] { other = true; })) std::this_thread::yield();  // until the queue has ended
    letGo.set_value();
  });
  queue.end();
  releasing.join();
  check(finished, "the task under way was not waited for");
  check(!other, "a task ran after the end");
  checkEqual(held.use_count(), 1L);
  check(!queue.push([&] { other = true; }), "a task was taken after the end");
  check(!other, "a task ran after the end");
}

DDSC_TEST("a work queue that never had a task starts no thread, and may end twice") {
  WorkQueue queue;
  queue.end();
  queue.end();
}

DDSC_TEST(
    "a task that waits lets those behind it run on its thread, up to the first that must come after it") {
  WorkQueue queue;
  std::vector<int> order;
  std::promise<void> allPushed;
  const auto note = [&](int number) { return [&order, number] { order.push_back(number); }; };
  queue.push([&] {
    allPushed.get_future().wait();
    order.push_back(1);
    queue.runBeside();
    order.push_back(2);
  });
  queue.push(note(3), WorkQueue::Order::beside);
  queue.push(note(4), WorkQueue::Order::beside);
  queue.push(note(5));
  queue.push(note(6), WorkQueue::Order::beside);
  allPushed.set_value();
  drain(queue);
  check(order == std::vector<int>{1, 3, 4, 2, 5, 6}, "the tasks ran in another order");
}

}  // namespace
}  // namespace ddsc::test
