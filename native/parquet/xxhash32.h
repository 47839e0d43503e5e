#pragma once
// xxHash with 32 bits, seed 0: the checksum of LZ4 frames.

#include <bit>

#include "cells/bytes.h"

namespace ddsc::data {

inline std::uint32_t xxhash32(Bytes input) {
  constexpr std::uint32_t p1 = 2654435761u, p2 = 2246822519u, p3 = 3266489917u, p4 = 668265263u,
                          p5 = 374761393u;
  std::size_t at = 0;
  std::uint32_t hash = p5;
  if (input.size() >= 16) {
    std::uint32_t lanes[4] = {p1 + p2, p2, 0, 0u - p1};
    for (; at + 16 <= input.size(); at += 16) {
      for (std::size_t lane = 0; lane < 4; ++lane) {
        const auto word = load<std::uint32_t>(&input[at + 4 * lane]);
        lanes[lane] = std::rotl(lanes[lane] + word * p2, 13) * p1;
      }
    }
    hash =
        std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
  }
  hash += static_cast<std::uint32_t>(input.size());
  for (; at + 4 <= input.size(); at += 4) {
    hash = std::rotl(hash + load<std::uint32_t>(&input[at]) * p3, 17) * p4;
  }
  for (; at < input.size(); ++at) hash = std::rotl(hash + input[at] * p5, 11) * p1;
  hash = (hash ^ (hash >> 15)) * p2;
  hash = (hash ^ (hash >> 13)) * p3;
  return hash ^ (hash >> 16);
}

}  // namespace ddsc::data
