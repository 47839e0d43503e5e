// The host does not wait inside a step, work of the same shape is replayed, and batches are copied ahead: on
// the emulator, whose streams run as late as they may, every missing order shows as wrong bits.
#include <atomic>
#include <functional>
#include <optional>
#include <utility>

#include "core/errors.h"
#include "cuda/cuda_backend.h"
#include "test/native/cuda/emulator/runtime.h"
#include "test/native/cuda/emulator/stream_handle.h"
#include "test/native/harness.h"
#include "test/native/model/small_model.h"

namespace ddsc::test {
namespace {

using cuda::emulator::Counts;
using cuda::emulator::counts;

DenoiserConfig dropoutConfig() {
  DenoiserConfig config = smallConfig();
  config.dropout = 0.2;
  return config;
}

std::shared_ptr<Model> cudaModel(const DenoiserConfig& config, DType type) {
  return randomModel(cuda::makeCudaBackend(0), config, type);
}

/// Cells of these lengths, whose ranks are drawn from `seed`; every other token masked.
LossInput everyOtherMasked(const std::vector<std::int32_t>& lengths, const DenoiserConfig& config,
                           std::uint32_t seed) {
  LossInput input = lossInput(cells(lengths, config));
  std::vector<std::int32_t>& clean = input.batch.tokens;
  for (std::size_t i = 0; i < clean.size(); ++i)
    if (clean[i] >= kFirstValue) clean[i] = kFirstValue + static_cast<std::int32_t>((i * 13 + seed) % 50);
  input.masking.noisy = clean;
  for (std::size_t i = 1; i < clean.size(); i += 2)
    if (clean[i] >= kFirstValue) input.masking.noisy[i] = config.maskToken();
  return input;
}

DDSC_TEST("nothing waits between the start of a training step and its loss, and nothing is allocated") {
  for (const DType type : {DType::f32, DType::bf16}) {
    const DenoiserConfig config = dropoutConfig();
    const auto model = cudaModel(config, type);
    const LossInput input = lossInput(cells({40, 1, 33}, config));
    for (std::int64_t step = 1; step <= 2; ++step) {
      model->start(model->stage(input), 0.01, {1, 1}).finish();
      model->parameters().update(updateOptions(step));
    }
    const Counts before = counts();
    PendingLoss loss = model->start(model->stage(input), 0.01, {1, 3});
    ParameterStore::PendingUpdate update = model->parameters().start(updateOptions(3));
    checkEqual(counts().waits, before.waits);
    checkEqual(counts().allocations, before.allocations);
    check(loss.finish().loss > 0, "there is no loss");
    checkEqual(counts().waits, before.waits + 1);
    check(update.finish().applied, "the step was refused");
    checkEqual(counts().waits, before.waits + 2);
  }
}

DDSC_TEST("a sampling step waits once: for what was drawn") {
  const DenoiserConfig config = smallConfig();
  const auto model = cudaModel(config, DType::bf16);
  CellBatch batch = cells({20, 7}, config);
  for (std::size_t i = 2; i < batch.tokens.size(); i += 3) batch.tokens[i] = config.maskToken();
  const Prediction::DrawOptions options{.reveal = {1, 0.5f}, .stay = {0, 0.5f}, .sigma = {}, .places = {}};
  const auto step = [&] {
    return model->predict(batch, {0, 0}, {}, true, WeightSource::weights)->draw(options);
  };
  for (int i = 0; i < 2; ++i) step();
  const int before = counts().waits;
  step();
  checkEqual(counts().waits, before + 1);
}

std::vector<float> logitsOf(Model& model, const LossInput& input) {
  CellBatch batch = input.batch;
  batch.tokens = input.masking.noisy;
  const auto prediction = model.predict(batch, input.noise.conditioning, {}, true, WeightSource::weights);
  std::vector<float> logits(prediction->rows().size() * static_cast<std::size_t>(prediction->vocabSize()));
  prediction->logits({logits.data(), static_cast<std::int64_t>(logits.size())});
  return logits;
}

DDSC_TEST("a sampling step of a known shape is replayed, with the bits of one that is not") {
  const DenoiserConfig config = smallConfig();
  for (const DType type : {DType::f32, DType::bf16}) {
    const auto model = cudaModel(config, type);
    const auto replaysOf = [&](const std::vector<std::int32_t>& lengths, std::uint32_t seed) {
      const LossInput input = everyOtherMasked(lengths, config, seed);
      const Counts before = counts();
      const std::vector<float> logits = logitsOf(*model, input);
      const int replays = counts().replays - before.replays;
      checkSameBits(logits, logitsOf(*cudaModel(config, type), input));
      return replays;
    };
    // First seen, then its memory is one piece and it is seen so for the first time, then recorded.
    for (std::uint32_t seed = 1; seed <= 3; ++seed) replaysOf({30, 12}, seed);
    const int recordings = counts().recordings;
    checkEqual(replaysOf({30, 12}, 4), 1);
    checkEqual(replaysOf({17, 25}, 5), 0);  // as many tokens, but another longest cell
    checkEqual(counts().recordings, recordings);
    checkEqual(replaysOf({17, 25}, 6), 1);
    checkEqual(counts().recordings, recordings + 1);
    checkEqual(replaysOf({30, 12}, 7), 1);
    // Weights are read where they are: what was recorded sees new ones.
    const float moved = 0.5f;
    model->parameters().write("weights", model->parameters().layout().headBias.offset, {&moved, 1});
    const LossInput input = everyOtherMasked({30, 12}, config, 4);
    const auto fresh = cudaModel(config, type);
    fresh->parameters().write("weights", model->parameters().layout().headBias.offset, {&moved, 1});
    checkSameBits(logitsOf(*model, input), logitsOf(*fresh, input));
  }
}

DDSC_TEST("a training step of a known shape is replayed, with the gradient of one that is not") {
  const DenoiserConfig config = smallConfig();
  const auto model = cudaModel(config, DType::bf16);
  const auto clear = [](Model& m) {
    const std::vector<float> zeros(static_cast<std::size_t>(m.parameters().layout().size));
    m.parameters().write("gradient", 0, {zeros.data(), m.parameters().layout().size});
  };
  for (std::uint32_t seed = 1; seed <= 4; ++seed) {
    const LossInput input = everyOtherMasked({30, 12}, config, seed);
    const int before = counts().replays;
    clear(*model);
    const LossSums sums = model->accumulate(input, 0.25, {});
    checkEqual(counts().replays - before, seed == 1 ? 0 : 1);
    const auto eager = cudaModel(config, DType::bf16);
    const LossSums expected = eager->accumulate(input, 0.25, {});
    checkEqual(sums.loss, expected.loss);
    checkSameBits(buffer(*model, "gradient"), buffer(*eager, "gradient"));
  }
}

/// What is put beside a training step at each block: the part of the gradient that is final then, and where
/// to.
using Beside = std::function<void(cuda::emulator::StreamHandle&, std::size_t part, Span<float> gradient)>;

/// The gradient after a training step with something beside it.
std::vector<float> gradientBeside(Model& model, const LossInput& input, const Beside& beside) {
  ParameterStore& parameters = model.parameters();
  const std::vector<float> zeros(static_cast<std::size_t>(parameters.layout().size));
  parameters.write("gradient", 0, {zeros.data(), parameters.layout().size});
  const std::vector<BufferPart> parts = parameters.layout().finalParts();
  std::size_t next = 0;
  model.onBlockDone([&] {
    const BufferPart part = parts.at(next);
    model.backend().endPiece();
    auto* const stream = static_cast<cuda::emulator::StreamHandle*>(model.backend().queueBeside());
    beside(*stream, next++, parameters.wholeGradient().part(part.begin, part.size()));
  });
  PendingLoss loss = model.start(model.stage(input), 0.25, {1, 1});
  model.onBlockDone({});
  model.backend().joinBeside();
  std::vector<float> gradient = buffer(model, "gradient");
  check(model.backend().isDoneBeside(), "what was joined is not done");
  checkEqual(next, static_cast<std::size_t>(model.config().blocks));
  loss.finish();
  return gradient;
}

DDSC_TEST(
    "work beside a training step sees blocks' gradients as they stay, and is seen where it was joined") {
  const DenoiserConfig config = smallConfig();
  for (const bool isEager : {false, true}) {
    const auto model = cudaModel(config, DType::bf16);
    const std::vector<BufferPart> parts = model->parameters().layout().finalParts();
    for (std::uint32_t seed = 1; seed <= 6; ++seed) {
      const LossInput input = everyOtherMasked({30, 12}, config, seed);
      const auto plain = cudaModel(config, DType::bf16);
      plain->accumulate(input, 0.25, {1, 1});
      std::vector<float> expected = buffer(*plain, "gradient");
      std::vector<std::vector<float>> seen(parts.size());
      const auto copyAndDouble = [&](cuda::emulator::StreamHandle& stream, std::size_t part,
                                     Span<float> own) {
        stream.enqueue([&seen, part, own] {
          seen[part].assign(own.data, own.data + own.size);
          for (std::int64_t i = 0; i < own.size; ++i) own.data[i] *= 2;
        });
        check(!model->backend().isDoneBeside(), "it is done before it could begin");
        if (isEager) stream.catchUp();  // as on a GPU that has nothing else to do
      };
      const Counts before = counts();
      const std::vector<float> gradient = gradientBeside(*model, input, copyAndDouble);
      // By then each of the two slots of batches has its memory, and has been seen twice.
      if (seed > 4) checkEqual(counts().replays - before.replays, static_cast<int>(config.blocks) + 1);
      for (std::size_t block = 0; block < static_cast<std::size_t>(config.blocks); ++block) {
        float* const own = expected.data() + parts[block].begin;
        checkSameBits(seen[block], {own, static_cast<std::size_t>(parts[block].size())});
        for (std::int64_t i = 0; i < parts[block].size(); ++i) own[i] *= 2;
      }
      checkSameBits(gradient, expected);
    }
  }
}

DDSC_TEST("as many shapes are kept for replay where a step is of several pieces") {
  const DenoiserConfig config = smallConfig();
  const auto model = cudaModel(config, DType::f32);
  const int pieces = static_cast<int>(config.blocks) + 1;
  // More pieces than are kept of steps that are one, in turns: whatever is dropped would never come again.
  constexpr std::int32_t kShapes = 16;
  for (int round = 1; round <= 3; ++round) {
    const Counts before = counts();
    for (std::int32_t shape = 0; shape < kShapes; ++shape)
      gradientBeside(*model, everyOtherMasked({3 + shape}, config, 1),
                     [](auto&, std::size_t, Span<float>) {});
    if (round > 2) checkEqual(counts().replays - before.replays, kShapes * pieces);
  }
}

/// Five steps on different batches; `ahead` of them are given to the device before a loss is waited for.
std::vector<float> weightsAfterSteps(std::size_t ahead, std::vector<double>& losses) {
  const DenoiserConfig config = dropoutConfig();
  const auto model = cudaModel(config, DType::bf16);
  const std::vector<std::vector<std::int32_t>> lengths = {{9, 20}, {33, 2, 1}, {9, 20}, {40}, {12, 13, 14}};
  std::vector<PendingLoss> pending;
  std::vector<ParameterStore::PendingUpdate> updates;  // which would wait if they were dropped
  std::size_t finished = 0;
  const auto finishTo = [&](std::size_t count) {
    for (; finished < count; ++finished) losses.push_back(pending[finished].finish().loss);
  };
  pending.reserve(lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto step = static_cast<std::uint64_t>(i + 1);
    const LossInput input = everyOtherMasked(lengths[i], config, static_cast<std::uint32_t>(i));
    if (ahead == 0) {
      losses.push_back(model->accumulate(input, 0.1, {3, step}).loss);
      model->parameters().update(updateOptions(static_cast<std::int64_t>(step)));
      continue;
    }
    StagedLoss staged = model->stage(input);  // while earlier steps are under way
    pending.push_back(model->start(std::move(staged), 0.1, {3, step}));
    updates.push_back(model->parameters().start(updateOptions(static_cast<std::int64_t>(step))));
    if (i + 1 >= ahead) finishTo(i + 2 - ahead);
  }
  finishTo(pending.size());
  return buffer(*model, "weights");
}

DDSC_TEST("batches that are copied while earlier steps run give the bits of steps one by one") {
  std::vector<double> expectedLosses;
  const std::vector<float> expected = weightsAfterSteps(0, expectedLosses);
  for (const std::size_t ahead : {2u, 4u}) {
    for (const bool early : {false, true}) {
      std::optional<cuda::emulator::EarlyCopies> copies;
      if (early) copies.emplace();
      std::vector<double> losses;
      checkSameBits(weightsAfterSteps(ahead, losses), expected);
      check(losses == expectedLosses, "the losses differ");
    }
  }
}

/// Micro-batches of different lengths.
std::vector<LossInput> severalInputs(const DenoiserConfig& config) {
  const std::vector<std::vector<std::int32_t>> lengths = {{9, 20}, {33, 2, 1}, {9, 20}, {40}, {12, 13, 14}};
  std::vector<LossInput> inputs;
  for (std::size_t i = 0; i < lengths.size(); ++i)
    inputs.push_back(everyOtherMasked(lengths[i], config, static_cast<std::uint32_t>(i)));
  return inputs;
}

DDSC_TEST(
    "a batch is copied while the device works on the one before it, whose loss is waited for after that") {
  const DenoiserConfig config = dropoutConfig();
  const auto model = cudaModel(config, DType::bf16);
  const LossInput input = everyOtherMasked({30, 12}, config, 1);
  struct Given {
    int copiesBeside, waits;
  };
  const cuda::emulator::EarlyCopies copies;  // done when given, unless they were told to wait for kernels
  std::optional<StagedLoss> staged;
  const auto given = [&](bool next) {
    model->backend().synchronise();
    const Counts before = counts();
    StagedLoss batch = staged ? *std::exchange(staged, std::nullopt) : model->stage(input);
    PendingLoss loss = model->start(std::move(batch), 0.1, {1, 1});
    if (next) staged = model->stage(input);
    loss.finish();
    return Given{counts().copiesBeside - before.copiesBeside, counts().waits - before.waits};
  };
  for (int i = 0; i < 2; ++i) {  // allocates
    given(true);
    staged.reset();
  }
  checkEqual(given(false).copiesBeside, 0);
  const Given withNext = given(true);
  check(withNext.copiesBeside > 10, "the inputs of a batch are more than ten arrays");
  checkEqual(withNext.waits, 1);
  const Given fromNext = given(false);
  checkEqual(fromNext.copiesBeside, 0);
  checkEqual(fromNext.waits, 1);
}

/// What steps on micro-batches one after the other leave behind, an evaluation between any two of them.
std::vector<float> weightsAfterTurns(bool ahead, DType type, std::vector<LossSums>& sums) {
  const DenoiserConfig config = dropoutConfig();
  const auto model = cudaModel(config, type);
  const std::vector<LossInput> inputs = severalInputs(config);
  std::optional<StagedLoss> staged;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const DropoutStream dropout{3, static_cast<std::uint64_t>(i + 1)};
    if (ahead) {
      if (i == 0) staged = model->stage(inputs[0]);
      PendingLoss loss = model->start(*std::move(staged), 0.1, dropout);
      if (i + 1 < inputs.size()) staged = model->stage(inputs[i + 1]);
      sums.push_back(loss.finish());
    } else {
      sums.push_back(model->accumulate(inputs[i], 0.1, dropout));
    }
    model->parameters().update(updateOptions(static_cast<std::int64_t>(i + 1)));
    sums.push_back(model->evaluate(inputs[(i + 2) % inputs.size()]));
  }
  return buffer(*model, "weights");
}

DDSC_TEST("batches given ahead give the bits of batches one by one, evaluations in between") {
  for (const DType type : {DType::f32, DType::bf16}) {
    std::vector<LossSums> expectedSums;
    const std::vector<float> expected = weightsAfterTurns(false, type, expectedSums);
    for (const bool early : {false, true}) {
      std::optional<cuda::emulator::EarlyCopies> copies;
      if (early) copies.emplace();
      std::vector<LossSums> sums;
      checkSameBits(weightsAfterTurns(true, type, sums), expected);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        checkEqual(sums[i].loss, expectedSums[i].loss);
        checkEqual(sums[i].meanLoss, expectedSums[i].meanLoss);
        checkEqual(sums[i].correct, expectedSums[i].correct);
        check(sums[i].cellLoss == expectedSums[i].cellLoss, "the losses of cells differ");
      }
    }
  }
}

DDSC_TEST("a batch that was given ahead and is not wanted leaves nothing behind, nor does a bad one") {
  const DenoiserConfig config = dropoutConfig();
  const std::vector<LossInput> inputs = severalInputs(config);
  LossInput bad = inputs[1];
  bad.batch.tokens[2] = static_cast<std::int32_t>(config.vocabSize);
  const auto model = cudaModel(config, DType::bf16);
  const auto plain = cudaModel(config, DType::bf16);
  for (const bool isBad : {false, true}) {
    PendingLoss loss = model->start(model->stage(inputs[0]), 0.1, {1, 1});
    std::optional<StagedLoss> unwanted;
    if (isBad) {
      checkThrows<Error>([&] { model->stage(bad); }, "rank tokens");
    } else {
      unwanted = model->stage(inputs[1]);
    }
    loss.finish();
    model->start(model->stage(inputs[2]), 0.1, {1, 2}).finish();
    plain->accumulate(inputs[0], 0.1, {1, 1});
    plain->accumulate(inputs[2], 0.1, {1, 2});
  }
  // Cancelled on the way, with a batch ahead.
  PendingLoss loss = model->start(model->stage(inputs[0]), 0.1, {1, 3});
  StagedLoss staged = model->stage(inputs[3]);
  loss.finish();
  plain->accumulate(inputs[0], 0.1, {1, 3});
  const std::atomic<bool> cancelled = true;
  model->cancelBy(&cancelled);
  checkThrows<Error>([&] { model->start(std::move(staged), 0.1, {1, 4}); }, "cancelled");
  model->cancelBy(nullptr);
  const StagedLoss first = model->stage(inputs[1]);
  model->start(model->stage(inputs[4]), 0.1, {1, 4}).finish();  // there is room: what failed left no batch
  plain->accumulate(inputs[4], 0.1, {1, 4});
  checkSameBits(buffer(*model, "gradient"), buffer(*plain, "gradient"));
}

DDSC_TEST("a model may go while a batch is on its way") {
  const DenoiserConfig config = dropoutConfig();
  const std::vector<LossInput> inputs = severalInputs(config);
  auto model = cudaModel(config, DType::f32);
  std::optional<PendingLoss> loss = model->start(model->stage(inputs[0]), 0.1, {1, 1});
  const StagedLoss staged = model->stage(inputs[1]);
  loss->finish();
  loss.reset();
  model.reset();
}

DDSC_TEST("a third batch is not staged while two wait") {
  const DenoiserConfig config = smallConfig();
  const auto model = cudaModel(config, DType::f32);
  const LossInput input = lossInput(cells({5, 6}, config));
  const StagedLoss first = model->stage(input);
  {
    const StagedLoss second = model->stage(input);
    checkThrows<Error>([&] { model->stage(input); }, "two batches are staged");
  }
  model->stage(input);  // what is given up makes room
}

}  // namespace
}  // namespace ddsc::test
