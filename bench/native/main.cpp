/// ddsc_bench [--filter TEXT] [--seconds S] [--threads N] [--json] [--list]: measures the cases whose name
/// contains TEXT. Exit code 0, 1 if a case failed or none matched, 2 for a usage error.
#include <charconv>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "bench/native/bench.h"

namespace {

struct Options {
  ddsc::bench::Settings settings;
  std::string filter;
  bool list = false;
};

template <typename Number>
bool parse(std::string_view text, Number& value) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end && value >= 0;
}

std::optional<Options> parseOptions(int argumentCount, char** arguments) {
  Options options;
  for (int i = 1; i < argumentCount; ++i) {
    const std::string_view argument = arguments[i];
    const bool hasValue = i + 1 < argumentCount;
    if (argument == "--json") {
      options.settings.json = true;
    } else if (argument == "--list") {
      options.list = true;
    } else if (argument == "--filter" && hasValue) {
      options.filter = arguments[++i];
    } else if (argument == "--seconds" && hasValue) {
      if (!parse(arguments[++i], options.settings.seconds)) return std::nullopt;
    } else if (argument == "--threads" && hasValue) {
      if (!parse(arguments[++i], options.settings.threads)) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  return options;
}

}  // namespace

int main(int argumentCount, char** arguments) {
  const auto options = parseOptions(argumentCount, arguments);
  if (!options) {
    std::fprintf(stderr, "usage: ddsc_bench [--filter TEXT] [--seconds S] [--threads N] [--json] [--list]\n");
    return 2;
  }
  bool ran = false;
  for (const ddsc::bench::Case& bench : ddsc::bench::cases()) {
    if (bench.name.find(options->filter) == std::string::npos) continue;
    ran = true;
    if (options->list) {
      std::printf("%s\n", bench.name.c_str());
      continue;
    }
    try {
      bench.run(ddsc::bench::Context(bench.name, options->settings));
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: %s\n", bench.name.c_str(), error.what());
      return 1;
    }
  }
  if (!ran) std::fprintf(stderr, "no benchmark's name contains '%s'\n", options->filter.c_str());
  return ran ? 0 : 1;
}
