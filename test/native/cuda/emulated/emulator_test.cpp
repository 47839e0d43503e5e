// The emulator finds what it is there to find, and runs what is right.
#include "core/errors.h"
#include "cuda/launch.cuh"
#include "test/native/harness.h"

namespace ddsc::test {
namespace {

using namespace cuda;

constexpr int kThreads = 64;

/// Device memory of a test.
template <class T>
class Memory {
 public:
  explicit Memory(std::vector<T> values)
      : size_(static_cast<std::int64_t>(values.size())), values_(std::move(values)) {
    data_ = static_cast<T*>(allocateDevice(bytes()));
  }
  ~Memory() { freeDevice(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void upload(cuda::Stream& stream) { stream.copyToDevice(data_, values_.data(), bytes()); }
  Global<T> view() const { return {data_, size_}; }
  const std::vector<T>& download(cuda::Stream& stream) {
    stream.copyToHost(values_.data(), data_, bytes());
    stream.synchronize();
    return values_;
  }

 private:
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

  std::int64_t size_;
  std::vector<T> values_;
  T* data_;
};

std::vector<float> counting(int count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return values;
}

enum class Fault { none, missingBarrier, divergentBarrier, divergentShuffle, unwaitedCopy, overwrite };

/// Turns a block's values round through shared memory, with one of the faults that make kernels wrong now and
/// then.
template <Fault fault>
DDSC_KERNEL(kThreads)
reverse(Global<float> x) {
  SharedMemory memory;
  const Shared<float> shared = memory.take<float>(kThreads);
  const int i = threadIndex();
  if constexpr (fault == Fault::unwaitedCopy) {
    if (i % 4 == 0) copyAsync(shared, i, Global<const float>{x.data, x.size}, i, 4);
    commitCopies();
  } else {
    shared[i] = x[i];
  }
  if constexpr (fault == Fault::divergentShuffle) {
    if (i % 2 == 0) shuffleXor(i, 1);
  }
  if (fault == Fault::divergentBarrier && i == 3) return;
  if (fault != Fault::missingBarrier) syncBlock();
  const float value = shared[kThreads - 1 - i];
  if constexpr (fault == Fault::overwrite) shared[i] = value;
  x[i] = value;
  waitForCopies<0>();
}

template <auto kernel>
std::vector<float> runReverse(int size = kThreads) {
  cuda::Stream stream;
  Memory<float> x(counting(kThreads));
  x.upload(stream);
  launch<kernel>(stream, "reverse", {.threads = kThreads, .sharedBytes = kThreads * sizeof(float)},
                 Global<float>{x.view().data, size});
  return x.download(stream);
}

DDSC_TEST("emulated threads meet at barriers and see what the others wrote") {
  const std::vector<float> turned = runReverse<reverse<Fault::none>>();
  for (int i = 0; i < kThreads; ++i)
    checkEqual(turned[static_cast<std::size_t>(i)], static_cast<float>(kThreads - 1 - i));
}

DDSC_TEST("the emulator finds a missing barrier") {
  checkThrows<Error>([] { runReverse<reverse<Fault::missingBarrier>>(); }, "shared memory");
}

DDSC_TEST("the emulator finds a barrier that some threads never reach") {
  checkThrows<Error>([] { runReverse<reverse<Fault::divergentBarrier>>(); }, "the block is stuck");
}

DDSC_TEST("the emulator finds a warp operation that some lanes never reach") {
  checkThrows<Error>([] { runReverse<reverse<Fault::divergentShuffle>>(); }, "stuck");
}

DDSC_TEST("the emulator finds an asynchronous copy that is used before it was waited for") {
  checkThrows<Error>([] { runReverse<reverse<Fault::unwaitedCopy>>(); }, "not waited for");
}

DDSC_TEST("the emulator finds a write over what another thread may still read") {
  checkThrows<Error>([] { runReverse<reverse<Fault::overwrite>>(); }, "since the last barrier");
}

DDSC_TEST("the emulator finds an access past the end of global memory") {
  checkThrows<Error>([] { runReverse<reverse<Fault::none>>(kThreads - 1); },
                     "reverse, block (0, 0, 0), thread 63");
}

DDSC_KERNEL(kThreads) takeTooMuch(Global<float> x) {
  SharedMemory memory;
  memory.take<float>(kThreads)[threadIndex()] = x[threadIndex()];
  memory.take<float>(1)[0] = 1;
}

DDSC_TEST("the emulator finds a kernel that takes more shared memory than its launch gave") {
  checkThrows<Error>([] { runReverse<takeTooMuch>(); }, "shared memory");
}

/// One 16 x 8 x 16 product of each warp, from row-major A and B transposed.
DDSC_KERNEL(32) multiplyOnce(Global<const bf16> a, Global<const bf16> b, Global<float> c) {
  SharedMemory memory;
  const Shared<bf16> sharedA = memory.take<bf16>(256), sharedB = memory.take<bf16>(128);
  const int lane = laneIndex();
  copyAsync(sharedA, lane * 8, a, lane * 8, 8);
  if (lane < 16) copyAsync(sharedB, lane * 8, b, lane * 8, 8);
  commitCopies();
  waitForCopies<0>();
  syncBlock();
  std::uint32_t fragmentA[4], fragmentB[4];
  loadMatrix4(fragmentA, sharedA + (lane % 16 * 16 + lane / 16 * 8));
  loadMatrix4(fragmentB, sharedB + (lane % 8 * 16 + lane / 8 % 2 * 8));
  float sums[4] = {};
  multiplyAccumulate(sums, fragmentA, fragmentB[0], fragmentB[1]);
  const int group = lane / 4, pair = lane % 4 * 2;
  for (int i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + pair + i % 2] = sums[i];
}

DDSC_TEST("emulated matrix instructions multiply fragments in the documented layout") {
  std::vector<bf16> a(256), b(128);
  for (int i = 0; i < 256; ++i) a[static_cast<std::size_t>(i)] = toBf16(static_cast<float>(i * 37 % 17 - 8));
  for (int i = 0; i < 128; ++i) b[static_cast<std::size_t>(i)] = toBf16(static_cast<float>(i * 29 % 13 - 6));
  cuda::Stream stream;
  Memory<bf16> deviceA(a), deviceB(b);
  Memory<float> deviceC(std::vector<float>(128));
  deviceA.upload(stream);
  deviceB.upload(stream);
  launch<multiplyOnce>(stream, "multiplyOnce", {.threads = 32, .sharedBytes = 768},
                       Global<const bf16>{deviceA.view().data, 256},
                       Global<const bf16>{deviceB.view().data, 128}, deviceC.view());
  const std::vector<float>& c = deviceC.download(stream);
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t col = 0; col < 8; ++col) {
      float expected = 0;
      for (std::size_t k = 0; k < 16; ++k) expected += toFloat(a[row * 16 + k]) * toFloat(b[col * 16 + k]);
      checkEqual(c[row * 8 + col], expected);
    }
  }
}

DDSC_TEST("emulated work waits for the stream, and a recorded graph runs each time it is replayed") {
  cuda::Stream stream;
  Memory<float> x(counting(kThreads));
  x.upload(stream);
  stream.synchronize();
  stream.beginRecording();
  launch<reverse<Fault::none>>(stream, "reverse",
                               {.threads = kThreads, .sharedBytes = kThreads * sizeof(float)}, x.view());
  const Graph graph = stream.endRecording();
  checkEqual(x.view()[0], 0.0f);
  stream.replay(graph);
  checkEqual(x.view()[0], 0.0f);
  stream.synchronize();
  checkEqual(x.view()[0], static_cast<float>(kThreads - 1));
  stream.replay(graph);
  stream.synchronize();
  checkEqual(x.view()[0], 0.0f);
}

}  // namespace
}  // namespace ddsc::test
