#pragma once
// Reading untrusted bytes: every read is checked, and ends in DATA_CORRUPT past the end.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "core/errors.h"

namespace ddsc::data {

using Bytes = std::span<const std::uint8_t>;

[[noreturn]] inline void corrupt(const char* what) { throw Error("DATA_CORRUPT", what); }

/// Little-endian value at `at`, which must have sizeof(T) bytes behind it.
template <class T>
inline T load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

/// A cursor over bytes.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) : bytes_(bytes) {}

  std::size_t left() const { return bytes_.size(); }
  Bytes rest() const { return bytes_; }

  Bytes take(std::size_t count) {
    if (count > bytes_.size()) corrupt("data ends early");
    const Bytes taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }

  template <class T>
  T fixed() {
    return load<T>(take(sizeof(T)).data());
  }

  /// Unsigned LEB128 of at most 64 bits.
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t byte = fixed<std::uint8_t>();
      value |= static_cast<std::uint64_t>(byte & 0x7Fu) << shift;
      if (byte < 0x80u) return value;
    }
    corrupt("a number has too many bytes");
  }

  std::int64_t zigzag() {
    const std::uint64_t value = varint();
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
  }

 private:
  Bytes bytes_;
};

}  // namespace ddsc::data
