#include <cmath>

#include "core/random.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// How to draw, the same for every cell.
struct Settings {
  Objective objective = Objective::subs;
  float reveal = 1, stay = 0, sigma = 1, temperature = 1;
  std::uint64_t seed = 1, step = 0;
};

struct Draws {
  std::vector<std::int32_t> tokens;
  std::vector<float> probability;
};

/// One draw for each row of the batch, all from the same logits.
Draws draw(Backend& backend, const std::vector<float>& logits, const RaggedBatch& batch, const Settings& s) {
  const auto vocabulary = static_cast<std::int64_t>(logits.size());
  const std::vector<float> reveal(static_cast<std::size_t>(batch.cells()), s.reveal);
  const std::vector<float> stay(reveal.size(), s.stay), sigma(reveal.size(), s.sigma);
  Draws draws{std::vector<std::int32_t>(static_cast<std::size_t>(batch.rows())),
              std::vector<float>(static_cast<std::size_t>(batch.rows()))};
  backend.run(DrawTokens{
      .objective = s.objective,
      .logits = {logits.data(), batch.rows(), vocabulary, 0, DType::f32},  // stride 0: one row for all
      .rows = batch.view(),
      .reveal = {reveal.data(), batch.cells()},
      .stay = {stay.data(), batch.cells()},
      .sigma = {sigma.data(), batch.cells()},
      .temperature = s.temperature,
      .seed = s.seed,
      .step = s.step,
      .tokens = {draws.tokens.data(), batch.rows()},
      .probability = {draws.probability.data(), batch.rows()}});
  return draws;
}

/// The distribution of a draw over all tokens, from the definition of DrawTokens.
std::vector<double> distribution(const std::vector<float>& logits, const Settings& s) {
  const std::size_t mask = logits.size() - 1;
  const auto weight = [&](std::size_t k, double temperature) {
    return std::exp(static_cast<double>(logits[k]) / temperature);
  };
  double values = 0, sharpened = 0;
  for (std::size_t k = 2; k < mask; ++k) {
    values += weight(k, 1);
    sharpened += weight(k, static_cast<double>(s.temperature));
  }
  double mass = 1;
  if (s.objective == Objective::d3pm) mass = values / (values + weight(mask, 1));
  if (s.objective == Objective::sedd)
    mass = values / std::expm1(static_cast<double>(s.sigma)) / static_cast<double>(logits.size() - 1);
  const double revealed = static_cast<double>(s.reveal) * mass;
  std::vector<double> p(logits.size());
  for (std::size_t k = 2; k < mask; ++k)
    p[k] = revealed * weight(k, static_cast<double>(s.temperature)) / sharpened;
  p[mask] = s.objective == Objective::sedd ? std::max(0.0, 1 - revealed) : static_cast<double>(s.stay);
  double total = 0;
  for (const double value : p) total += value;
  for (double& value : p) value /= total;
  return p;
}

/// Draws and compares each token's count with its binomial distribution.
void checkFrequencies(Backend& backend, const std::vector<float>& logits, const Settings& settings,
                      std::int32_t count) {
  const RaggedBatch batch({count / 4, count / 4, count / 4, count / 4}, 100);
  const std::vector<double> expected = distribution(logits, settings);
  std::vector<double> drawn(logits.size());
  for (const std::int32_t token : draw(backend, logits, batch, settings).tokens)
    ++drawn[static_cast<std::size_t>(token)];
  const double draws = count;
  for (std::size_t k = 0; k < logits.size(); ++k) {
    const double p = expected[k];
    checkClose(drawn[k], draws * p, 4.5 * std::sqrt(draws * p * (1 - p)));
  }
}

/// Two special tokens (likely ones: they must never be drawn), six values of probability from 0.9 to 1e-6,
/// the mask.
std::vector<float> rareValues() {
  std::vector<float> logits = {5, 3};
  for (const double p : {1e-5, 0.9, 1e-4, 0.098889, 1e-3, 1e-6})
    logits.push_back(static_cast<float>(std::log(p)));
  logits.push_back(-1);
  return logits;
}

const PerInstructionSet frequencies("values are drawn as often as they should, down to one in a million",
                                    [](Backend& backend, DType) {
                                      checkFrequencies(backend, rareValues(), {}, 1 << 21);
                                    },
                                    {DType::f32});

const PerInstructionSet partlyRevealed(
    "rows stay masked as often as the stay weight says, under every objective and temperature",
    [](Backend& backend, DType) {
      for (const Objective objective : {Objective::subs, Objective::d3pm, Objective::sedd})
        for (const float temperature : {1.0f, 0.6f, 1.7f})
          checkFrequencies(backend, rareValues(),
                           {.objective = objective,
                            .reveal = 0.03f,
                            .stay = 0.3f,
                            .sigma = 0.4f,
                            .temperature = temperature},
                           1 << 17);
    },
    {DType::f32});

const PerInstructionSet excess("a score whose sum exceeds one leaves no row masked",
                               [](Backend& backend, DType) {
                                 const Settings settings{
                                     .objective = Objective::sedd, .reveal = 1, .stay = 1, .sigma = 0.01f};
                                 for (const std::int32_t token :
                                      draw(backend, rareValues(), RaggedBatch({4000}), settings).tokens)
                                   check(token >= 2 && token < 8, "a row stayed masked");
                               },
                               {DType::f32});

const PerInstructionSet greedy(
    "temperature zero draws the most probable value, the lowest of equals, and stay still applies",
    [](Backend& backend, DType) {
      const std::vector<float> logits = {9, 9, 1, 4, 0, 4, 9};
      const Draws draws =
          draw(backend, logits, RaggedBatch({20'000}), {.reveal = 0.25f, .stay = 0.75f, .temperature = 0});
      double revealed = 0;
      for (const std::int32_t token : draws.tokens) {
        check(token == 3 || token == 6, "drew another value");
        revealed += token == 3;
      }
      checkClose(revealed / 20'000, 0.25, 4 * std::sqrt(0.25 * 0.75 / 20'000));
    },
    {DType::f32});

const PerInstructionSet probabilities(
    "a draw comes with the model's probability of its value, zero where the row stays masked",
    [](Backend& backend, DType) {
      const std::vector<float> logits = rareValues();
      const std::vector<double> expected = distribution(logits, {});
      for (const float temperature : {0.0f, 1.0f, 2.0f}) {
        const Draws draws =
            draw(backend, logits, RaggedBatch({3000}), {.stay = 0.5f, .temperature = temperature});
        for (std::size_t row = 0; row < draws.tokens.size(); ++row) {
          const auto token = static_cast<std::size_t>(draws.tokens[row]);
          checkClose(static_cast<double>(draws.probability[row]), token == 8 ? 0 : expected[token], 1e-6);
        }
      }
    },
    {DType::f32});

const PerInstructionSet uniforms(
    "a draw inverts the cumulative distribution at the uniform of its cell, step and position",
    [](Backend& backend, DType) {
      const std::vector<float> logits = {0, 0, 0, 0, 0, 0, 0};  // four equal values: the draw is floor(4 u)
      const Settings settings{.seed = 77, .step = 12};
      const RaggedBatch batch({5, 50}, 1ull << 35);
      const Draws draws = draw(backend, logits, batch, settings);
      for (std::int64_t row = 0; row < batch.rows(); ++row) {
        const Ragged cells = batch.view();
        const Stream stream(77, Purpose::draw, 12, cells.cellIndex[cells.cell[row]]);
        const PhiloxBlock block = philox(stream, static_cast<std::uint32_t>(cells.position[row]));
        const double u = uniform53(block.word[0], block.word[1]);
        checkEqual(draws.tokens[static_cast<std::size_t>(row)], 2 + static_cast<std::int32_t>(4 * u));
      }
    },
    {DType::f32});

const PerInstructionSet rarest(
    "a draw tells apart values rarer than one in 2^27, which need the second word of the uniform",
    [](Backend& backend, DType) {
      const std::uint64_t cell =
          81'678'177;  // found by search: the first word's share of its uniform is zero
      const PhiloxBlock block = philox(Stream(1, Purpose::draw, 0, cell), 0);
      const double u = uniform53(block.word[0], block.word[1]);
      check(u > 4e-9 && u < 5e-9, "the stream has changed");
      for (const double share : {0.5, 2.0}) {
        const float rare =
            static_cast<float>(std::log(u * share));  // its probability, beside a value of weight 1
        const Draws draws = draw(backend, {0, 0, rare, 0, 0}, RaggedBatch({1}, cell), {});
        checkEqual(draws.tokens[0], share > 1 ? 2 : 3);
      }
    },
    {DType::f32});

const PerInstructionSet nothingToDraw("a row with no weight at all stays masked",
                                      [](Backend& backend, DType) {
                                        const Draws draws = draw(backend, rareValues(), RaggedBatch({50}),
                                                                 {.reveal = 0, .stay = 0});
                                        for (std::size_t row = 0; row < 50; ++row) {
                                          checkEqual(draws.tokens[row], 8);
                                          checkEqual(draws.probability[row], 0.0f);
                                        }
                                      },
                                      {DType::f32});

const PerInstructionSet notFinite(
    "a row with a value's logit that is no finite number draws -1 at every temperature, whatever the "
    "specials have",
    [](Backend& backend, DType) {
      for (const float bad : {std::nanf(""), INFINITY, -INFINITY})
        for (const std::size_t place : {0u, 2u, 5u, 7u})
          for (const float temperature : {0.0f, 0.5f, 1.0f}) {
            std::vector<float> logits = rareValues();
            logits[place] = bad;
            const Draws draws = draw(backend, logits, RaggedBatch({40}), {.temperature = temperature});
            for (std::size_t row = 0; row < 40; ++row) {
              check((draws.tokens[row] == -1) == (place > 0), "drew something else");
              if (place > 0) checkEqual(draws.probability[row], 0.0f);
            }
          }
      const float large = 3e38f;  // finite, but no mass of scores
      const Draws draws =
          draw(backend, {0, 0, large, large, 0}, RaggedBatch({5}), {.objective = Objective::sedd});
      checkEqual(draws.tokens[0], -1);
    },
    {DType::f32});

DDSC_TEST("draws are the same with any number of threads") {
  checkThreadsAgree([](Backend& backend) {
    const Draws draws = draw(backend, rareValues(), RaggedBatch({300, 2, 90}), {.stay = 0.2f});
    return std::vector<float>(draws.tokens.begin(), draws.tokens.end());
  });
}

}  // namespace
}  // namespace ddsc::test
