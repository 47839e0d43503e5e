#pragma once
// C = A B with A[i, step] and B[j, step] summed over the steps: what the three linear ops have in common. A
// block makes one tile of C; finished tiles pass through shared memory, so that the epilogue sees whole runs
// of eight columns and every access to global memory is wide. Three main loops: bf16 on the matrix
// units, the same on those of Hopper GPUs, float32 on the plain ones. With `splits` > 1 the steps are shared
// between blocks, whose tiles meet in scratch memory and are added in order: the same bits each time.

#include "cuda/ops/elements.cuh"

namespace ddsc::cuda {

/// One side of a product. Element (i, step) is at i * stride + step (stepsContiguous) or step * stride + i.
template <class T, bool stepsContiguous>
struct Operand {
  Rows<const T> rows;
  std::int64_t count;  // of i

  DDSC_DEVICE T at(std::int64_t i, std::int64_t step) const {
    return stepsContiguous ? rows[i][step] : rows[step][i];
  }
};

template <class A, class B>
struct Product {
  A a;
  B b;
  std::int64_t steps;
  std::int64_t stepsPerSplit;  // a multiple of 32: parts begin aligned
};

/// Where a block stands in C and in the steps.
struct TilePlace {
  std::int64_t row, col, firstStep, endStep;
  int split;

  template <class P>
  DDSC_DEVICE static TilePlace of(const P& product, int tileRows, int tileCols) {
    const Index block = blockIndex();
    const std::int64_t first = block.z * product.stepsPerSplit;
    // Neighbouring blocks make the tiles of one row of C: what they read of A, the larger side, is in the
    // cache.
    const int across = static_cast<int>((product.b.count + tileCols - 1) / tileCols);
    const int row = block.x / across, col = block.x % across;
    return {static_cast<std::int64_t>(row) * tileRows, static_cast<std::int64_t>(col) * tileCols, first,
            least(first + product.stepsPerSplit, product.steps), block.z};
  }
};

/// Values of a finished tile go to epilogue(split, row, col, count, Vector<float, 8>), count <= 8 of them
/// valid.
inline constexpr int kEpilogueWidth = 8;

template <int rows, int cols>
struct FinishedTile {
  // The pad keeps the rows of a fragment in different banks.
  static constexpr int kStride = cols + 8;
  static constexpr int kFloats = rows * kStride;

  template <int threads, class P, class Epilogue>
  DDSC_DEVICE static void hand(Shared<float> tile, const TilePlace& at, const P& product,
                               const Epilogue& epilogue) {
    const std::int64_t allRows = product.a.count, allCols = product.b.count;
    constexpr int kRuns = cols / kEpilogueWidth;
    for (int i = threadIndex(); i < rows * kRuns; i += threads) {
      const int row = i / kRuns, col = i % kRuns * kEpilogueWidth;
      if (at.row + row >= allRows || at.col + col >= allCols) continue;
      Vector<float, kEpilogueWidth> values;
#pragma unroll
      for (int j = 0; j < kEpilogueWidth; j += 4) {
        const Vector<float, 4> part = tile.template load<4>(row * kStride + col + j);
#pragma unroll
        for (int k = 0; k < 4; ++k) values.value[j + k] = part.value[k];
      }
      const auto left = static_cast<int>(least(allCols - at.col - col, std::int64_t{kEpilogueWidth}));
      epilogue(at.split, at.row + row, at.col + col, left, values);
    }
  }
};

}  // namespace ddsc::cuda
