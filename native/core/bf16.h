#pragma once
#include "core/views.h"

namespace ddsc {

/// Exact.
DDSC_INLINE float toFloat(bf16 value) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(value.bits) << 16);
}
DDSC_INLINE float toFloat(float value) { return value; }

/// Rounded to nearest even; a NaN stays one (quiet).
DDSC_INLINE bf16 toBf16(float value) {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<std::uint16_t>(bits >> 16 | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16)};
}

/// float to T: itself, or rounded to bf16.
template <class T>
DDSC_INLINE T fromFloat(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    return toBf16(value);
  }
}

}  // namespace ddsc
