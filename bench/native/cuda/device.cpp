#include "bench/native/cuda/device.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/bf16.h"

namespace ddsc::bench {
namespace {

/// A small generator is enough: nothing depends on the values but how many bits flip.
float nextValue(std::uint32_t& state) {
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
}

template <class T, class Make>
Buffer filled(Backend& backend, std::int64_t elements, const Make& make) {
  std::vector<T> values(static_cast<std::size_t>(elements));
  for (T& value : values) value = make();
  Buffer buffer(backend, values.size() * sizeof(T));
  backend.upload(buffer.as<void>(), values.data(), buffer.bytes());
  return buffer;
}

}  // namespace

Buffer randomBuffer(Backend& backend, std::int64_t elements, DType type) {
  std::uint32_t state = 1;
  if (type == DType::f32) return filled<float>(backend, elements, [&] { return nextValue(state); });
  return filled<bf16>(backend, elements, [&] { return toBf16(nextValue(state)); });
}

void measureOnDevice(const Context& context, Backend& backend, double flops,
                     const std::function<void()>& give, const std::string& part) {
  using Clock = std::chrono::steady_clock;
  constexpr double kRowSeconds = 0.02;
  constexpr int kMostCalls = 500;
  const auto run = [&](int calls) {
    for (int call = 0; call < calls; ++call) give();
    backend.synchronise();
  };
  run(2);
  const auto start = Clock::now();
  run(1);
  const std::chrono::duration<double> once = Clock::now() - start;
  const int calls = std::clamp(static_cast<int>(kRowSeconds / once.count()), 1, kMostCalls);
  context.measure({.flops = flops, .calls = static_cast<double>(calls)}, [&] { run(calls); }, part);
}

}  // namespace ddsc::bench
