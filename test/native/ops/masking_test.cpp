#include "ops/masking.h"

#include <cmath>

#include "core/random.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

std::vector<std::int32_t> maskTokens(const std::vector<std::int32_t>& tokens, const RaggedBatch& cells,
                                     const std::vector<double>& moveChance, std::uint64_t step = 5) {
  std::vector<std::int32_t> noisy(tokens.size(), -1);
  run(MaskNoise{.tokens = {tokens.data(), cells.rows()},
                .cells = cells.view(),
                .moveChance = {moveChance.data(), cells.cells()},
                .seed = 11,
                .step = step,
                .noisy = {noisy.data(), cells.rows()}});
  return noisy;
}

DDSC_TEST("masking leaves special positions and covers values at chance one, nothing at chance zero") {
  const RaggedBatch cells({3, 0, 4});
  const std::vector<std::int32_t> tokens = {0, 2, 52, 1, 7, 2, 0};
  check(maskTokens(tokens, cells, {1, 1, 1}) == std::vector<std::int32_t>{0, 53, 53, 1, 53, 53, 0},
        "chance one");
  check(maskTokens(tokens, cells, {0, 0, 0}) == tokens, "chance zero");
}

DDSC_TEST("masking takes word 0 of the cell's stream at the token's position") {
  const RaggedBatch cells({40, 60}, 9);
  const std::vector<std::int32_t> tokens(100, 20);
  const std::vector<std::int32_t> noisy = maskTokens(tokens, cells, {0.3, 0.6});
  for (std::int64_t row = 0; row < 100; ++row) {
    const bool second = row >= 40;
    const Stream stream(11, Purpose::mask, 5, second ? 10 : 9);
    const std::uint32_t word = philox(stream, static_cast<std::uint32_t>(second ? row - 40 : row)).word[0];
    checkEqual(noisy[static_cast<std::size_t>(row)], word < threshold32(second ? 0.6 : 0.3) ? 53 : 20);
  }
}

DDSC_TEST("a cell is masked alike whatever batch it comes in") {
  const std::vector<std::int32_t> tokens(90, 4);
  const std::vector<std::int32_t> together = maskTokens(tokens, RaggedBatch({40, 50}, 3), {0.5, 0.5});
  const std::vector<std::int32_t> alone =
      maskTokens(std::vector<std::int32_t>(50, 4), RaggedBatch({50}, 4), {0.5});
  check(std::vector<std::int32_t>(together.begin() + 40, together.end()) == alone, "cell 4 differs");
}

DDSC_TEST("the masked share is the move chance within four standard deviations") {
  const std::int32_t rows = 200'000;
  const RaggedBatch cells({rows});
  for (const double chance : {0.001, 0.2, 0.97}) {
    const std::vector<std::int32_t> noisy = maskTokens(std::vector<std::int32_t>(rows, 9), cells, {chance});
    std::int64_t masked = 0;
    for (const std::int32_t token : noisy) masked += token == 53;
    checkClose(static_cast<double>(masked) / rows, chance, 4 * std::sqrt(chance * (1 - chance) / rows));
  }
}

}  // namespace
}  // namespace ddsc::test
