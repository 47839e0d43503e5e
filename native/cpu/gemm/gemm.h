#pragma once
// C = A B blocked for the caches. A task owns a block of C and walks the sum in chunks of steps: it packs A's
// part of a chunk into its own cache, multiplies tile by tile, and after the last chunk hands each finished
// tile to the epilogue while it is still in the first-level cache. The order of every sum depends on the
// number of steps alone, never on how C was split, so results do not depend on the number of threads.

#include "cpu/context.h"
#include "cpu/gemm/gemm_kernel.h"
#include "cpu/gemm/gemm_pack.h"

namespace ddsc::cpu::DDSC_ISA {

/// Whether B is packed once for all tasks (a weight: small beside the work) or by each task for itself
/// (activations, where packing all of it would cost a trip through memory).
enum class Packing { shared, perTask };

/// C [rows, cols] summed over `steps`.
struct Product {
  Operand a, b;
  std::int64_t rows = 0, cols = 0, steps = 0;
  Packing packing = Packing::shared;
  Span<float> rowSums = {};         // [rows] or empty: += sum of A over the steps
  std::uint64_t weightVersion = 0;  // of B, where that is a weight

  /// Where B packed whole belongs, and whether it is there.
  DDSC_INLINE PackedWeights::Place placeOfB(Context& context, std::int64_t bytes) const {
    const auto size = static_cast<std::size_t>(bytes);
    const PackedWeights::Place kept =
        context.weights.use({b.data, cols, steps, b.stride, b.type, b.stepsContiguous}, weightVersion, size);
    return kept.memory != nullptr ? kept : PackedWeights::Place{context.scratch.shared(size), false};
  }
};

/// How a product is cut up.
struct Blocking {
  // Most steps of a chunk. 512 of a shared B save a sum of 512, the commonest, the spill of its unfinished
  // tiles; B packed by the task itself has to fit the second-level cache beside A and the tiles.
  static constexpr std::int64_t kSharedChunk = 512, kTaskChunk = 256;
  // Most rows and columns of a task's block of C.
  static constexpr std::int64_t kMostRows = 240, kMostCols = 512;

  std::int64_t chunks, chunkSteps;        // of the sum
  std::int64_t rowsPerTask, colsPerTask;  // multiples of the tile
  std::int64_t rowTasks, colTasks;
  std::int64_t colPanels;

  DDSC_INLINE Blocking(const Product& product, std::int64_t threads) {
    constexpr std::int64_t mostRowTiles = kMostRows / kTileRows, mostColTiles = kMostCols / kTileCols;
    chunks = ceilDivide(product.steps, product.packing == Packing::shared ? kSharedChunk : kTaskChunk);
    chunkSteps = ceilDivide(product.steps, chunks);
    colPanels = ceilDivide(product.cols, kTileCols);
    const std::int64_t rowPanels = ceilDivide(product.rows, kTileRows);
    // With one chunk no unfinished tile is kept, and the block of C may be as wide as it likes.
    std::int64_t colTiles = chunks == 1 ? colPanels : least(mostColTiles, colPanels);
    std::int64_t rowTiles = least(mostRowTiles, rowPanels);
    // Enough tasks to keep all threads busy to the end; fewer where each packs both operands for itself.
    const std::int64_t tasksPerThread = product.packing == Packing::shared ? 4 : 2;
    const std::int64_t wanted = threads == 1 ? 1 : tasksPerThread * threads;
    while (ceilDivide(rowPanels, rowTiles) * ceilDivide(colPanels, colTiles) < wanted &&
           rowTiles * colTiles > 8) {
      if (rowTiles * kTileRows > colTiles * kTileCols || colTiles == 1) {
        rowTiles = ceilDivide(rowTiles, 2);
      } else {
        colTiles = ceilDivide(colTiles, 2);
      }
    }
    // Even shares.
    rowTasks = ceilDivide(rowPanels, rowTiles);
    colTasks = ceilDivide(colPanels, colTiles);
    rowsPerTask = ceilDivide(rowPanels, rowTasks) * kTileRows;
    colsPerTask = ceilDivide(colPanels, colTasks) * kTileCols;
    rowTasks = ceilDivide(product.rows, rowsPerTask);
    colTasks = ceilDivide(product.cols, colsPerTask);
  }

  DDSC_INLINE std::int64_t firstStep(std::int64_t chunk) const { return chunk * chunkSteps; }
};

/// sums[i] += sum of a packed panel over its steps, for its kTileRows rows.
DDSC_INLINE void addPanelSums(const float* panel, std::int64_t steps, float* sums) {
  for (std::int64_t lane = 0; lane < kTileRows; lane += kWidth) {
    const std::int64_t lanes = least(kWidth, kTileRows - lane);
    F even = zero(), odd = zero();
    std::int64_t step = 0;
    for (; step + 2 <= steps; step += 2) {
      even = even + load(panel + step * kTileRows + lane, lanes);
      odd = odd + load(panel + (step + 1) * kTileRows + lane, lanes);
    }
    if (step < steps) even = even + load(panel + step * kTileRows + lane, lanes);
    store(sums + lane, load(sums + lane, lanes) + (even + odd), lanes);
  }
}

DDSC_INLINE float* packShared(Context& context, const Product& product, const Blocking& blocking) {
  const std::int64_t paddedCols = blocking.colPanels * kTileCols;
  const PackedWeights::Place place =
      product.placeOfB(context, paddedCols * product.steps * sizeOf(DType::f32));
  auto* packed = static_cast<float*>(place.memory);
  if (place.packed) return packed;
  constexpr std::int64_t panelsAtOnce = 8;
  const std::int64_t groups = ceilDivide(blocking.colPanels, panelsAtOnce);
  context.pool.parallel(blocking.chunks * groups, [&](std::int64_t index, int) {
    const std::int64_t chunk = index / groups, firstPanel = index % groups * panelsAtOnce;
    const std::int64_t firstStep = blocking.firstStep(chunk);
    const std::int64_t steps = least(blocking.chunkSteps, product.steps - firstStep);
    const std::int64_t first = firstPanel * kTileCols;
    const std::int64_t count = least(panelsAtOnce * kTileCols, product.cols - first);
    pack<kTileCols>(product.b, first, count, firstStep, steps,
                    packed + firstStep * paddedCols + first * steps);
  });
  return packed;
}

/// Runs the product; epilogue(row, col, rows, cols, tile) takes finished tiles: rows x cols values, kTileCols
/// apart; epilogue.prepare(row, col, rows) comes before the tile is multiplied for the last time, to fetch
/// what the epilogue will read. An empty product touches nothing.
template <class Epilogue>
void multiply(Context& context, const Product& product, const Epilogue& epilogue) {
  if (product.rows == 0 || product.cols == 0 || product.steps == 0) return;
  const Blocking blocking(product, context.pool.threads());
  const bool shared = product.packing == Packing::shared;
  const std::int64_t paddedCols = blocking.colPanels * kTileCols;
  const float* packedB = shared ? packShared(context, product, blocking) : nullptr;

  const std::int64_t sizeA = blocking.rowsPerTask * blocking.chunkSteps;
  const std::int64_t sizeB = shared ? 0 : blocking.colsPerTask * blocking.chunkSteps;
  const std::int64_t sizeTiles =
      blocking.chunks == 1 ? kTileSize : blocking.rowsPerTask * blocking.colsPerTask;
  const std::int64_t floats = sizeA + sizeB + sizeTiles + blocking.rowsPerTask;

  context.pool.parallel(blocking.rowTasks * blocking.colTasks, [&](std::int64_t index, int worker) {
    const std::int64_t row = index / blocking.colTasks * blocking.rowsPerTask;
    const std::int64_t col = index % blocking.colTasks * blocking.colsPerTask;
    const std::int64_t rows = least(blocking.rowsPerTask, product.rows - row);
    const std::int64_t cols = least(blocking.colsPerTask, product.cols - col);

    auto* packedA =
        static_cast<float*>(context.scratch.worker(worker, static_cast<std::size_t>(floats) * sizeof(float)));
    float* ownB = packedA + sizeA;
    float* tiles = ownB + sizeB;
    float* sums = tiles + sizeTiles;
    const bool sumRows = product.rowSums && col == 0;
    if (sumRows)
      for (std::int64_t i = 0; i < blocking.rowsPerTask; ++i) sums[i] = 0;

    for (std::int64_t chunk = 0; chunk < blocking.chunks; ++chunk) {
      const std::int64_t firstStep = blocking.firstStep(chunk);
      const std::int64_t steps = least(blocking.chunkSteps, product.steps - firstStep);
      pack<kTileRows>(product.a, row, rows, firstStep, steps, packedA);
      if (!shared) pack<kTileCols>(product.b, col, cols, firstStep, steps, ownB);
      const float* b = shared ? packedB + firstStep * paddedCols + col * steps : ownB;
      if (sumRows)
        for (std::int64_t i = 0; i < rows; i += kTileRows) addPanelSums(packedA + i * steps, steps, sums + i);

      const bool last = chunk + 1 == blocking.chunks;
      const Tile mode = chunk == 0 ? Tile::overwrite : Tile::add;
      float* tile = tiles;
      for (std::int64_t j = 0; j < cols; j += kTileCols) {
        for (std::int64_t i = 0; i < rows; i += kTileRows) {
          if (last) epilogue.prepare(row + i, col + j, least(kTileRows, rows - i));
          multiplyTile<1, kTileRows, kTileCols>(steps, packedA + i * steps, b + j * steps, tile, mode);
          if (last) epilogue(row + i, col + j, least(kTileRows, rows - i), least(kTileCols, cols - j), tile);
          if (blocking.chunks > 1) tile += kTileSize;
        }
      }
    }
    if (sumRows)
      for (std::int64_t i = 0; i < rows; ++i) product.rowSums[row + i] += sums[i];
  });
}

}  // namespace ddsc::cpu::DDSC_ISA
