#include "test/native/cuda/emulator/settings.h"

#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/errors.h"

namespace ddsc::cuda::emulator {
namespace {

/// The number after `name=` in the word; false for another word.
template <class Number>
bool readNumber(std::string_view word, std::string_view name, Number& value) {
  if (!word.starts_with(name) || !word.substr(name.size()).starts_with('=')) return false;
  const std::string_view digits = word.substr(name.size() + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size() && !digits.empty();
}

void readWord(std::string_view word, Settings& settings) {
  if (word == "no-driver") {
    settings.hasDriver = false;
  } else if (word == "old-driver") {
    settings.isDriverOld = true;
  } else if (word == "no-gpu") {
    settings.hasGpu = false;
  } else if (word == "old-gpu") {
    settings.isGpuOld = true;
  } else if (word == "ampere") {
    settings.isAmpere = true;
  } else if (readNumber(word, "memory", settings.memoryBytes)) {
    settings.memoryBytes <<= 20;
  } else if (!readNumber(word, "fails-at", settings.failsAt)) {
    throw Error("CUDA_EMULATOR", "DDSC_EMULATED_GPU knows no word \"" + std::string(word) + "\"");
  }
}

Settings readSettings() {
  Settings settings;
  const char* given = std::getenv("DDSC_EMULATED_GPU");
  std::string_view words = given == nullptr ? "" : given;
  while (!words.empty()) {
    const std::size_t comma = words.find(',');
    readWord(words.substr(0, comma), settings);
    words = comma == std::string_view::npos ? "" : words.substr(comma + 1);
  }
  return settings;
}

}  // namespace

const Settings& settings() {
  static const Settings read = readSettings();
  return read;
}

}  // namespace ddsc::cuda::emulator
