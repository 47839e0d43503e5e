// What the ops around the matrix products cost at hidden 512 and 4096 tokens, half of them masked. Their
// limit is memory: the bytes counted are those that must be read or written once.
#include <string>
#include <vector>

#include "bench/native/bench.h"
#include "cpu/cpu_backend.h"
#include "ops/count_values.h"

namespace ddsc::bench {
namespace {

constexpr std::int64_t kCells = 4, kLength = 1024, kRows = kCells * kLength, kDim = 512;
constexpr std::int64_t kVocabulary = 54, kParameters = 30'000'000;

/// Cells of `length` rows each.
struct Batch {
  std::vector<std::int32_t> offsets{0}, cell, position;
  std::vector<std::uint64_t> cellIndex;
  std::int32_t length;

  explicit Batch(std::int32_t rowsOfCell) : length(rowsOfCell) {
    for (std::int32_t c = 0; c < kCells; ++c) {
      for (std::int32_t row = 0; row < length; ++row) {
        cell.push_back(c);
        position.push_back(row);
      }
      offsets.push_back((c + 1) * length);
      cellIndex.push_back(static_cast<std::uint64_t>(c));
    }
  }
  Ragged view() const {
    return {{offsets.data(), kCells + 1},
            {cell.data(), kCells * length},
            {position.data(), kCells * length},
            {cellIndex.data(), kCells},
            length};
  }
};

/// Zeroed memory of a backend, seen as a matrix or a span.
struct Array {
  Buffer memory;
  std::int64_t rows, cols;
  DType type;

  Array(Backend& backend, std::int64_t rowCount, std::int64_t columnCount, DType elementType = DType::f32)
      : memory(backend, static_cast<std::size_t>(rowCount * columnCount * sizeOf(elementType))),
        rows(rowCount),
        cols(columnCount),
        type(elementType) {
    backend.zero(memory.as<void>(), memory.bytes());
  }
  Matrix matrix() const { return {memory.as<void>(), rows, cols, cols, type}; }
  Span<float> span() const { return {memory.as<float>(), rows * cols}; }
  double bytes() const { return static_cast<double>(memory.bytes()); }
};

DDSC_BENCH("norm and gate, 4096 x 512, bf16") {
  const auto backend = cpu::makeCpuBackend("", context.settings().threads);
  const Batch batch(kLength);
  const Array x(*backend, kRows, kDim), dx(*backend, kRows, kDim), mean(*backend, 1, kRows),
      rstd(*backend, 1, kRows);
  const Array h(*backend, kRows, kDim, DType::bf16), out(*backend, kRows, kDim, DType::bf16);
  const Array gain(*backend, 1, kDim), dgain(*backend, 1, kDim), shift(*backend, kCells, kDim);
  const Array dshift(*backend, kCells, kDim), dscale(*backend, kCells, kDim);
  const auto cells = batch.view();
  context.measure(
      {.bytes = x.bytes() + out.bytes()},
      [&] {
        backend->run(NormModulate{x.matrix(), gain.span(), shift.matrix(), shift.matrix(), cells.cell,
                                  out.matrix(), mean.span(), rstd.span()});
      },
      "norm");
  context.measure(
      {.bytes = x.bytes() + 2 * dx.bytes() + h.bytes()},
      [&] {
        backend->run(NormModulateGradient{h.matrix(), x.matrix(), gain.span(), shift.matrix(), cells,
                                          mean.span(), rstd.span(), dx.matrix(), dgain.span(),
                                          dshift.matrix(), dscale.matrix()});
      },
      "norm gradient");
  for (const double probability : {0.0, 0.1}) {
    const std::string name = probability > 0 ? "gate with dropout" : "gate";
    const Dropout dropout{.probability = probability};
    context.measure(
        {.bytes = x.bytes() + dx.bytes() + h.bytes()},
        [&] {
          backend->run(GateResidual{x.matrix(), h.matrix(), shift.matrix(), cells, dropout, dx.matrix()});
        },
        name);
    context.measure(
        {.bytes = x.bytes() + h.bytes() + out.bytes()},
        [&] {
          backend->run(GateResidualGradient{x.matrix(), h.matrix(), shift.matrix(), cells, dropout,
                                            out.matrix(), dshift.matrix()});
        },
        name + " gradient");
  }
}

DDSC_BENCH("loss and draw, 2048 x 54") {
  const auto backend = cpu::makeCpuBackend("", context.settings().threads);
  const Batch batch(kLength / 2);
  const Ragged cells = batch.view();
  const std::int64_t rows = cells.rows();
  const Array logits(*backend, rows, kVocabulary), dlogits(*backend, rows, kVocabulary);
  const Array loss(*backend, 1, rows), meanLoss(*backend, 1, rows), noise(*backend, 1, kCells);
  const std::vector<float> ones(kCells, 1.0f);
  backend->upload(noise.memory.as<void>(), ones.data(), noise.memory.bytes());
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(rows), 20);
  const double bytes = logits.bytes() + dlogits.bytes();
  context.measure(
      {.bytes = bytes},
      [&] {
        backend->run(DiffusionLoss{.logits = logits.matrix(),
                                   .target = {tokens.data(), rows},
                                   .cell = cells.cell,
                                   .noise = {noise.span(), {}, {}, noise.span()},
                                   .loss = loss.span(),
                                   .meanLoss = meanLoss.span(),
                                   .dlogits = dlogits.matrix()});
      },
      "SUBS with mean matching");
  std::vector<std::int32_t> drawn(tokens.size());
  context.measure(
      {.bytes = logits.bytes()},
      [&] {
        backend->run(DrawTokens{.logits = logits.matrix(),
                                .rows = cells,
                                .reveal = noise.span(),
                                .stay = noise.span(),
                                .sigma = {},
                                .tokens = {drawn.data(), rows},
                                .probability = loss.span()});
      },
      "draw");
}

DDSC_BENCH("losses, 6400 rows: ranks 54 wide, counts 180 wide with a base") {
  const auto backend = cpu::makeCpuBackend("", context.settings().threads);
  const Batch batch(1600);
  const Ragged cells = batch.view();
  const std::int64_t rows = cells.rows();
  const Array loss(*backend, 1, rows), logProbability(*backend, 1, rows), dtilt(*backend, 1, rows);
  const Array zeros(*backend, 1, rows);
  const std::vector<float> ones(static_cast<std::size_t>(rows), 1.0f);
  const std::vector<std::int32_t> target(ones.size(), 20);
  for (const DType type : {DType::f32, DType::bf16}) {
    const Array logits(*backend, rows, kVocabulary), dlogits(*backend, rows, kVocabulary, type);
    context.measure(
        {.bytes = logits.bytes() + dlogits.bytes()},
        [&] {
          backend->run(DiffusionLoss{.logits = logits.matrix(),
                                     .target = {target.data(), rows},
                                     .cell = cells.cell,
                                     .noise = {{ones.data(), kCells}, {}, {}, {}},
                                     .loss = loss.span(),
                                     .meanLoss = {},
                                     .dlogits = dlogits.matrix()});
        },
        type == DType::f32 ? "SUBS" : "SUBS, bf16");
  }
  constexpr std::int64_t kGenes = 20'000;
  const CountValues counts;
  const std::vector<double> share(kGenes, 1.0 / kGenes), size(kGenes, 0.7), depth(kCells, 5000);
  const std::vector<float> logSize(kGenes, 0.1f);
  // Every row asks for a gene of its own.
  std::vector<std::int32_t> gene, place;
  for (std::int64_t row = 0; row < rows; ++row) {
    gene.push_back(static_cast<std::int32_t>(row * 7919 % kGenes));
    place.push_back(static_cast<std::int32_t>(row * 3989 % rows));
  }
  std::vector<double> sizes(ones.size()), table(ones.size() * static_cast<std::size_t>(counts.values()));
  std::vector<double> slope(table.size());
  const auto spanOf = [](auto& of) { return Span{of.data(), static_cast<std::int64_t>(of.size())}; };
  CountTable tables{.middle = counts.middle(),
                    .fixed = counts.fixed(),
                    .size = spanOf(size),
                    .logSize = spanOf(logSize),
                    .genes = spanOf(gene),
                    .sizes = spanOf(sizes),
                    .table = spanOf(table),
                    .slope = {}};
  const double tableBytes = static_cast<double>(table.size() * sizeof(double));
  context.measure({.bytes = tableBytes}, [&] { backend->run(tables); }, "table of 6400 genes");
  tables.slope = spanOf(slope);
  context.measure({.bytes = 2 * tableBytes}, [&] { backend->run(tables); }, "table and slopes");
  const CountBase base{.middle = counts.middle(),
                       .share = spanOf(share),
                       .depth = spanOf(depth),
                       .sizes = spanOf(sizes),
                       .table = spanOf(table),
                       .slope = spanOf(slope),
                       .gene = spanOf(gene),
                       .cell = cells.cell,
                       .place = spanOf(place),
                       .tilt = zeros.span()};
  const std::int64_t width = counts.values() + 3;
  const Array logits(*backend, rows, width);
  const double read = logits.bytes() + static_cast<double>(rows * counts.values()) * sizeof(double);
  const Array dlogSize(*backend, 1, rows);
  CountLoss op{.logits = logits.matrix(),
               .base = base,
               .target = {target.data(), rows},
               .weight = {ones.data(), rows},
               .loss = loss.span(),
               .logProbability = logProbability.span(),
               .dlogits = {},
               .dtilt = dtilt.span(),
               .logSize = spanOf(logSize),
               .dlogSize = {}};
  for (const DType type : {DType::f32, DType::bf16}) {
    const Array dlogits(*backend, rows, width, type);
    op.dlogits = dlogits.matrix();
    const std::string of = type == DType::f32 ? "counts" : "counts, bf16";
    op.base.slope = {};
    op.dlogSize = {};
    context.measure({.bytes = read + dlogits.bytes()}, [&] { backend->run(op); }, of);
    op.base.slope = base.slope;
    op.dlogSize = dlogSize.span();
    context.measure(
        {.bytes = read + tableBytes + dlogits.bytes()}, [&] { backend->run(op); }, of + " and sizes");
  }
  std::vector<std::int32_t> values(ones.size()), drawn(ones.size());
  context.measure(
      {.bytes = read},
      [&] {
        backend->run(DrawCounts{.logits = logits.matrix(),
                                .base = base,
                                .rows = cells,
                                .low = counts.bounds(),
                                .values = {values.data(), rows},
                                .counts = {drawn.data(), rows}});
      },
      "draw counts");
}

DDSC_BENCH("optimizer, 30 million parameters") {
  const auto backend = cpu::makeCpuBackend("", context.settings().threads);
  const Array weights(*backend, 1, kParameters), first(*backend, 1, kParameters),
      second(*backend, 1, kParameters);
  const Array gradient(*backend, 1, kParameters), ema(*backend, 1, kParameters);
  const Array copy(*backend, 1, kParameters, DType::bf16);
  const Buffer memory(*backend, sizeof(double));
  const Span<double> squares{memory.as<double>(), 1};
  context.measure(
      {.bytes = gradient.bytes()}, [&] { backend->run(SumOfSquares{gradient.span(), squares}); },
      "gradient norm");
  context.measure(
      {.bytes = 10 * weights.bytes() + copy.bytes()},
      [&] {
        backend->run(AdamW{.weights = weights.span(),
                           .firstMoment = first.span(),
                           .secondMoment = second.span(),
                           .gradient = gradient.span(),
                           .ema = ema.span(),
                           .copy = {copy.memory.as<bf16>(), kParameters},
                           .squares = squares});
      },
      "AdamW, moving average and bf16 copy");
}

}  // namespace
}  // namespace ddsc::bench
