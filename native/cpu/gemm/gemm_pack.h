#pragma once
// Packing: a block of an operand becomes panels of `width` rows, [steps][width] float, read front to back by
// the micro-kernel. bf16 is widened here, so products and sums are float32 for either type. Places past the
// edge of the operand hold finite or repeated values that only reach results nobody stores.

#include "cpu/simd.h"

namespace ddsc::cpu::DDSC_ISA {

/// An operand of a product: element (i, step), i along the result, step along the sum.
struct Operand {
  const void* data = nullptr;
  std::int64_t stride = 0;
  DType type = DType::f32;
  bool stepsContiguous = true;  // element (i, step) at i * stride + step; else at step * stride + i
};

DDSC_INLINE constexpr std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
DDSC_INLINE constexpr std::int64_t most(std::int64_t a, std::int64_t b) { return a > b ? a : b; }
DDSC_INLINE constexpr std::int64_t ceilDivide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
DDSC_INLINE constexpr std::int64_t roundUp(std::int64_t a, std::int64_t to) { return ceilDivide(a, to) * to; }

/// Rows ahead of the one being packed that are asked for: strided rows of few lines each are not foreseen by
/// the processor itself.
inline constexpr std::int64_t kRowsAhead = 8;

/// Asks for `bytes` from p on to be brought near.
DDSC_INLINE void prefetch(const void* p, std::int64_t bytes) {
  for (std::int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(static_cast<const char*>(p) + at);
}

/// The first `lanes` of a vector; of all but a panel's last step the whole vector, which is faster, as the
/// next step overwrites what is too much.
DDSC_INLINE void storeLanes(float* out, F value, std::int64_t lanes, bool lastStep) {
  if (lastStep) {
    store(out, value, lanes);
  } else {
    store(out, value);
  }
}

/// Steps contiguous in memory: kWidth rows by kWidth steps at a time, transposed in registers.
template <std::int64_t width, class T>
void packTransposed(const T* data, std::int64_t stride, std::int64_t count, std::int64_t steps, float* out) {
  for (std::int64_t first = 0; first < count; first += width, out += width * steps) {
    for (std::int64_t lane = 0; lane < width; lane += kWidth) {
      const std::int64_t lanes = least(kWidth, width - lane);
      const T* rows[kWidth];
      for (std::int64_t r = 0; r < kWidth; ++r) rows[r] = data + least(first + lane + r, count - 1) * stride;
      F block[kWidth];
      std::int64_t step = 0;
      for (; step + kWidth <= steps; step += kWidth) {
#pragma GCC unroll 16
        for (std::int64_t r = 0; r < kWidth; ++r) block[r] = load(rows[r] + step);
        transpose(block);
#pragma GCC unroll 16
        for (std::int64_t r = 0; r < kWidth; ++r)
          storeLanes(out + (step + r) * width + lane, block[r], lanes, step + r + 1 == steps);
      }
      if (step < steps) {
        for (std::int64_t r = 0; r < kWidth; ++r) block[r] = load(rows[r] + step, steps - step);
        transpose(block);
        for (std::int64_t r = 0; r < steps - step; ++r)
          store(out + (step + r) * width + lane, block[r], lanes);
      }
    }
  }
}

/// Rows contiguous in memory: copies, several panels a sweep so that whole cache lines of the source are
/// used, but not so many that the panels' write positions crowd each other out of the cache.
template <std::int64_t width, class T>
void packCopied(const T* data, std::int64_t stride, std::int64_t count, std::int64_t steps, float* out) {
  constexpr std::int64_t sweep = 8 * width;
  for (std::int64_t first = 0; first < count; first += sweep) {
    const std::int64_t end = least(first + sweep, count);
    for (std::int64_t step = 0; step < steps; ++step) {
      const T* from = data + step * stride;
      for (std::int64_t panel = first; panel < end; panel += width) {
        float* to = out + panel * steps + step * width;
        prefetch(from + kRowsAhead * stride + panel, width * static_cast<std::int64_t>(sizeof(T)));
        if (panel + width <= end) {
#pragma GCC unroll 4
          for (std::int64_t lane = 0; lane < width; lane += kWidth) {
            const std::int64_t lanes = least(kWidth, width - lane);
            storeLanes(to + lane, load(from + panel + lane, lanes), lanes, step + 1 == steps);
          }
        } else {
          for (std::int64_t lane = 0; lane < width; lane += kWidth) {
            const std::int64_t present = least(kWidth, most(0, end - panel - lane));
            store(to + lane, load(from + panel + lane, present), least(kWidth, width - lane));
          }
        }
      }
    }
  }
}

/// Panels of rows first .. first + count - 1, steps firstStep .. firstStep + steps - 1.
template <std::int64_t width>
void pack(const Operand& operand, std::int64_t first, std::int64_t count, std::int64_t firstStep,
          std::int64_t steps, float* out) {
  const std::int64_t offset =
      operand.stepsContiguous ? first * operand.stride + firstStep : firstStep * operand.stride + first;
  const auto packAs = [&](const auto* data) {
    if (operand.stepsContiguous) {
      packTransposed<width>(data + offset, operand.stride, count, steps, out);
    } else {
      packCopied<width>(data + offset, operand.stride, count, steps, out);
    }
  };
  if (operand.type == DType::f32) {
    packAs(static_cast<const float*>(operand.data));
  } else {
    packAs(static_cast<const bf16*>(operand.data));
  }
}

}  // namespace ddsc::cpu::DDSC_ISA
