#include "cpu/thread_pool.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/errors.h"
#include "cpu/context.h"
#include "cpu/cpu_backend.h"
#include "test/native/harness.h"

namespace ddsc::test {
namespace {

const std::vector<int> threadCounts = {1, 2, 3, 5};

DDSC_TEST("a pool runs every index exactly once") {
  for (const int threads : threadCounts) {
    cpu::ThreadPool pool(threads);
    checkEqual(pool.threads(), threads);
    for (const std::int64_t count : {0, 1, 2, 7, 1000}) {
      // Plain integers: an index run twice at once would be a race the sanitizer sees.
      std::vector<int> runs(static_cast<std::size_t>(count));
      pool.parallel(count, [&](std::int64_t index, int) { ++runs[static_cast<std::size_t>(index)]; });
      for (const int times : runs) checkEqual(times, 1);
    }
  }
}

DDSC_TEST("a worker runs one task at a time") {
  cpu::ThreadPool pool(4);
  std::vector<int> total(4);
  pool.parallel(5000, [&](std::int64_t, int worker) { ++total[static_cast<std::size_t>(worker)]; });
  checkEqual(total[0] + total[1] + total[2] + total[3], 5000);
}

DDSC_TEST("many small runs one after the other all finish") {
  cpu::ThreadPool pool(3);
  std::int64_t sum = 0;
  std::vector<std::int64_t> parts(4);
  for (std::int64_t run = 0; run < 5000; ++run) {
    pool.parallel(4, [&](std::int64_t index, int) { parts[static_cast<std::size_t>(index)] = run + index; });
    for (const std::int64_t part : parts) sum += part;
  }
  checkEqual(sum, 4 * (5000LL * 4999 / 2) + 5000 * 6);
}

DDSC_TEST("workers that went to sleep wake up for the next run") {
  cpu::ThreadPool pool(3);
  for (int run = 0; run < 5; ++run) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> done = 0;
    pool.parallel(100, [&](std::int64_t, int) { ++done; });
    checkEqual(done.load(), 100);
  }
}

DDSC_TEST("an exception in a task reaches the caller, and the pool still works") {
  for (const int threads : threadCounts) {
    cpu::ThreadPool pool(threads);
    for (int run = 0; run < 20; ++run) {
      checkThrows<std::runtime_error>(
          [&] {
            pool.parallel(100, [](std::int64_t index, int) {
              if (index % 10 == 3) throw std::runtime_error("task failed");
            });
          },
          "task failed");
      std::atomic<int> done = 0;
      pool.parallel(50, [&](std::int64_t, int) { ++done; });
      checkEqual(done.load(), 50);
    }
  }
}

DDSC_TEST("a run from inside a task happens on that thread, as that worker") {
  for (const int threads : threadCounts) {
    cpu::ThreadPool pool(threads);
    std::vector<int> inner(40);
    std::atomic<int> strayed = 0;
    pool.parallel(8, [&](std::int64_t outerIndex, int outerWorker) {
      const auto thread = std::this_thread::get_id();
      pool.parallel(5, [&](std::int64_t index, int worker) {
        if (worker != outerWorker || std::this_thread::get_id() != thread) ++strayed;
        ++inner[static_cast<std::size_t>(outerIndex * 5 + index)];
      });
    });
    checkEqual(strayed.load(), 0);
    for (const int times : inner) checkEqual(times, 1);
  }
}

DDSC_TEST("an exception in a nested run passes through both") {
  cpu::ThreadPool pool(3);
  checkThrows<std::runtime_error>(
      [&] {
        pool.parallel(4, [&](std::int64_t, int) {
          pool.parallel(4, [](std::int64_t index, int) {
            if (index == 2) throw std::runtime_error("inner task failed");
          });
        });
      },
      "inner task failed");
}

DDSC_TEST("pools do not disturb each other") {
  cpu::ThreadPool outer(2), inner(2);
  std::atomic<int> done = 0;
  outer.parallel(1, [&](std::int64_t, int) { inner.parallel(10, [&](std::int64_t, int) { ++done; }); });
  checkEqual(done.load(), 10);
}

DDSC_TEST("a pool of no given size has at least one thread") {
  check(cpu::ThreadPool().threads() >= 1, "no thread");
}

DDSC_TEST("scratch is aligned, private to each worker, and kept") {
  cpu::Scratch scratch(2);
  const auto address = [](void* memory) { return reinterpret_cast<std::uintptr_t>(memory); };
  char* first = static_cast<char*>(scratch.worker(0, 100));
  char* second = static_cast<char*>(scratch.worker(1, 5000));
  char* shared = static_cast<char*>(scratch.shared(1));
  for (char* block : {first, second, shared}) checkEqual(address(block) % 64, std::uintptr_t{0});
  first[99] = 1;
  second[4999] = 2;
  shared[0] = 3;
  checkEqual(scratch.worker(0, 60), static_cast<void*>(first));
  checkEqual(static_cast<int>(first[99]), 1);
  checkEqual(static_cast<int>(second[4999]), 2);
}

DDSC_TEST("an allocation no machine can serve says how much was asked for") {
  const auto backend = cpu::makeCpuBackend("", 1);
  checkThrows<Error>([&] { backend->allocate(SIZE_MAX - 5); }, std::to_string(SIZE_MAX - 5));
}

DDSC_TEST("an instruction set nobody has is refused with those there are") {
  checkThrows<Error>([] { cpu::makeCpuBackend("mmx", 1); }, "generic");
}

DDSC_TEST("a backend says what it runs on") {
  checkEqual(cpu::makeCpuBackend("generic", 1)->describe(), std::string("cpu (generic, 1 thread)"));
  checkEqual(cpu::makeCpuBackend("generic", 2)->describe(), std::string("cpu (generic, 2 threads)"));
}

}  // namespace
}  // namespace ddsc::test
