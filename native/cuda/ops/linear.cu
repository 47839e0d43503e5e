// Linear layers: three products over one blocked multiplication (product.cuh), differing in which operand is
// read along rows and in what happens to a finished tile. Fused there: bias, activation, residual, the
// activation's derivative, accumulation into the gradient, rounding to bf16. Plain products may be left to
// cuBLASLt.

#include "cuda/cublaslt/products.h"
#include "cuda/launch.cuh"
#include "cuda/ops/kernels.h"
#include "cuda/product/product_bf16.cuh"
#include "cuda/product/product_float.cuh"
#include "cuda/product/product_group.cuh"
#include "ops/gpu_scratch.h"

namespace ddsc::cuda {
namespace {

using Values = Vector<float, kEpilogueWidth>;

struct ForwardEpilogue {
  Global<const float> bias;
  Activation activation;
  AnyRows<void> preactivation;
  AnyRows<const void> residual;
  AnyRows<void> y;

  DDSC_DEVICE void operator()(int, std::int64_t row, std::int64_t col, int count, Values values) const {
    if (bias.data != nullptr) {
#pragma unroll
      for (int i = 0; i < kEpilogueWidth; ++i)
        if (i < count) values.value[i] += bias[col + i];
    }
    if (preactivation) preactivation.store(row, col, count, values);
    if (activation != Activation::none) {
#pragma unroll
      for (int i = 0; i < kEpilogueWidth; ++i) values.value[i] = activate(activation, values.value[i]);
    }
    if (residual) {
      const Values add = residual.load<kEpilogueWidth>(row, col, count);
#pragma unroll
      for (int i = 0; i < kEpilogueWidth; ++i) values.value[i] += add.value[i];
    }
    y.store(row, col, count, values);
  }
};

struct InputGradientEpilogue {
  Activation activation;
  AnyRows<const void> preactivation;
  AnyRows<void> dx;

  DDSC_DEVICE void operator()(int, std::int64_t row, std::int64_t col, int count, Values values) const {
    if (activation != Activation::none) {
      const Values pre = preactivation.load<kEpilogueWidth>(row, col, count);
#pragma unroll
      for (int i = 0; i < kEpilogueWidth; ++i)
        values.value[i] *= activationDerivative(activation, pre.value[i]);
    }
    dx.store(row, col, count, values);
  }
};

/// Adds to the gradient, or with several splits leaves each one's share to `addSplits`.
struct WeightGradientEpilogue {
  AnyRows<void> dweight;
  Global<float> dbias;
  float* shares;  // [splits, N, K]; null: one split
  float* biasShares;

  DDSC_DEVICE void operator()(int split, std::int64_t row, std::int64_t col, int count, Values values) const {
    if (shares != nullptr) {
      const Rows<float> share{shares + split * dweight.rows * dweight.cols, dweight.rows, dweight.cols,
                              dweight.cols};
      storeRow<kEpilogueWidth>(share, row, col, count, dweight.cols % 4 == 0, values);
      return;
    }
    const Values before = dweight.load<kEpilogueWidth>(row, col, count);
#pragma unroll
    for (int i = 0; i < kEpilogueWidth; ++i) values.value[i] += before.value[i];
    dweight.store(row, col, count, values);
  }

  /// The bias' gradient.
  DDSC_DEVICE void addRowSum(int split, std::int64_t row, float sum) const {
    if (biasShares != nullptr) {
      Global<float>{biasShares + split * dbias.size, dbias.size}[row] = sum;
    } else {
      dbias[row] += sum;
    }
  }
};

struct NoRowSums {
  DDSC_DEVICE void operator()(int, std::int64_t, float) const {}
};
struct BiasSums {
  WeightGradientEpilogue epilogue;
  DDSC_DEVICE void operator()(int split, std::int64_t row, float sum) const {
    epilogue.addRowSum(split, row, sum);
  }
};

template <bool a, bool b>
using ProductOfBf16 = Product<Operand<bf16, a>, Operand<bf16, b>>;
template <bool a, bool b>
using ProductOfFloat = Product<Operand<float, a>, Operand<float, b>>;

template <bool aligned, bool a, bool b, class Epilogue>
DDSC_KERNEL(ProductBf16::kThreads, ProductBf16::kBlocks)
multiplyBf16(ProductOfBf16<a, b> product, Epilogue epilogue) {
  ProductBf16::run<aligned>(product, epilogue, false, NoRowSums{});
}
template <bool a, bool b, class Epilogue>
DDSC_KERNEL(ProductGroup::kThreads, ProductGroup::kBlocks)
multiplyByGroup(ProductOfBf16<a, b> product, Epilogue epilogue) {
  if constexpr (kHasGroupProducts) ProductGroup::run(product, epilogue, false, NoRowSums{});
}
template <bool a, bool b, class Epilogue>
DDSC_KERNEL(ProductFloat::kThreads, ProductFloat::kBlocks)
multiplyFloat(ProductOfFloat<a, b> product, Epilogue epilogue) {
  ProductFloat::run(product, epilogue, false, NoRowSums{});
}
template <bool aligned>
DDSC_KERNEL(ProductBf16::kThreads, ProductBf16::kBlocks)
weightGradientBf16(ProductOfBf16<false, false> product, WeightGradientEpilogue epilogue) {
  ProductBf16::run<aligned>(product, epilogue, epilogue.dbias.data != nullptr, BiasSums{epilogue});
}
DDSC_KERNEL(ProductGroup::kThreads, ProductGroup::kBlocks)
weightGradientByGroup(ProductOfBf16<false, false> product, WeightGradientEpilogue epilogue) {
  if constexpr (kHasGroupProducts)
    ProductGroup::run(product, epilogue, epilogue.dbias.data != nullptr, BiasSums{epilogue});
}
DDSC_KERNEL(ProductFloat::kThreads, ProductFloat::kBlocks)
weightGradientFloat(ProductOfFloat<false, false> product, WeightGradientEpilogue epilogue) {
  ProductFloat::run(product, epilogue, epilogue.dbias.data != nullptr, BiasSums{epilogue});
}

/// to[i] += sum over splits, ascending, of shares[split, i]; [rows, cols] elements of `to`.
DDSC_KERNEL(256) addSplits(Rows<float> to, const float* shares, int splits) {
  const std::int64_t size = to.rows * to.cols;
  const std::int64_t i = threadOfGrid();
  if (i >= size) return;
  const Global<const float> from{shares, splits * size};
  float sum = 0;
  for (int split = 0; split < splits; ++split) sum += from[split * size + i];
  to[i / to.cols][i % to.cols] += sum;
}

template <class Tile, class P>
LaunchShape shapeOf(const P& product, std::int64_t splits) {
  return {.x = ceilDivide(product.a.count, Tile::kRows) * ceilDivide(product.b.count, Tile::kCols),
          .z = splits,
          .threads = Tile::kThreads,
          .sharedBytes = Tile::kSharedBytes};
}

/// Whether four warps multiply at a time: not by the number of cells, on which a cell's bits shall not
/// depend.
template <class P>
bool multipliesByGroup(const Context& context, const P& product) {
  return context.hasGroupProducts && product.b.count > gpu::productTile(DType::bf16);
}

template <bool a, bool b, class Epilogue>
void multiply(Context& context, const char* name, const ConstMatrix& left, const ConstMatrix& right,
              std::int64_t rows, std::int64_t cols, std::int64_t steps, const Epilogue& epilogue) {
  if (left.type == DType::f32) {
    const ProductOfFloat<a, b> product{
        {rowsOf<float>(left), rows}, {rowsOf<float>(right), cols}, steps, steps};
    launch<multiplyFloat<a, b, Epilogue>>(context.stream, name, shapeOf<ProductFloat>(product, 1), product,
                                          epilogue);
    return;
  }
  const ProductOfBf16<a, b> product{{rowsOf<bf16>(left), rows}, {rowsOf<bf16>(right), cols}, steps, steps};
  const bool aligned =
      isAligned(left.data, left.stride, left.type) && isAligned(right.data, right.stride, right.type);
  const LaunchShape shape = shapeOf<ProductBf16>(product, 1);
  if (aligned && multipliesByGroup(context, product)) {
    launch<multiplyByGroup<a, b, Epilogue>>(context.stream, name, shapeOf<ProductGroup>(product, 1), product,
                                            epilogue);
  } else if (aligned) {
    launch<multiplyBf16<true, a, b, Epilogue>>(context.stream, name, shape, product, epilogue);
  } else {
    launch<multiplyBf16<false, a, b, Epilogue>>(context.stream, name, shape, product, epilogue);
  }
}

static_assert(ProductFloat::kRows == gpu::productTile(DType::f32) &&
              ProductFloat::kCols == gpu::productTile(DType::f32) &&
              ProductBf16::kRows == gpu::productTile(DType::bf16) &&
              ProductBf16::kCols == gpu::productTile(DType::bf16));
static_assert(gpu::kWholeSteps % ProductFloat::kSteps == 0 && gpu::kWholeSteps % ProductBf16::kSteps == 0 &&
              gpu::kWholeSteps % 8 == 0);  // a part begins aligned

}  // namespace

void run(Context& context, const Linear& op) {
  if (cublaslt::multiplies(context, op)) return;
  multiply<true, true>(context, "linear", op.x, op.weight, op.x.rows, op.weight.rows, op.x.cols,
                       ForwardEpilogue{globalOf(op.bias), op.activation, anyRows(op.preactivation),
                                       anyRows(op.residual), anyRows(op.y)});
}

void run(Context& context, const LinearInputGradient& op) {
  if (cublaslt::multiplies(context, op)) return;
  multiply<true, false>(context, "linearInputGradient", op.dy, op.weight, op.dy.rows, op.weight.cols,
                        op.dy.cols,
                        InputGradientEpilogue{op.activation, anyRows(op.preactivation), anyRows(op.dx)});
}

void run(Context& context, const LinearWeightGradient& op) {
  const std::int64_t rows = op.dy.cols, cols = op.x.cols, steps = op.dy.rows;
  if (rows == 0 || cols == 0 || steps == 0 || cublaslt::multiplies(context, op)) return;
  const bool isFloat = op.dy.type == DType::f32;
  const auto [splits, perSplit, scratchFloats] = gpu::weightGradientSplits(op.dy.type, rows, cols, steps);

  WeightGradientEpilogue epilogue{anyRows(op.dweight), globalOf(op.dbias), nullptr, nullptr};
  if (splits > 1) {
    epilogue.shares = context.scratch.take<float>(scratchFloats);
    epilogue.biasShares = epilogue.shares + splits * rows * cols;
  }
  if (isFloat) {
    const ProductOfFloat<false, false> product{
        {rowsOf<float>(op.dy), rows}, {rowsOf<float>(op.x), cols}, steps, perSplit};
    launch<weightGradientFloat>(context.stream, "linearWeightGradient",
                                shapeOf<ProductFloat>(product, splits), product, epilogue);
  } else {
    const ProductOfBf16<false, false> product{
        {rowsOf<bf16>(op.dy), rows}, {rowsOf<bf16>(op.x), cols}, steps, perSplit};
    const bool aligned =
        isAligned(op.dy.data, op.dy.stride, op.dy.type) && isAligned(op.x.data, op.x.stride, op.x.type);
    const LaunchShape shape = shapeOf<ProductBf16>(product, splits);
    if (aligned && multipliesByGroup(context, product)) {
      launch<weightGradientByGroup>(context.stream, "linearWeightGradient",
                                    shapeOf<ProductGroup>(product, splits), product, epilogue);
    } else if (aligned) {
      launch<weightGradientBf16<true>>(context.stream, "linearWeightGradient", shape, product, epilogue);
    } else {
      launch<weightGradientBf16<false>>(context.stream, "linearWeightGradient", shape, product, epilogue);
    }
  }
  if (splits > 1) {
    const auto add = [&](const Rows<float>& to, const float* shares) {
      launch<addSplits>(context.stream, "addSplits", {.x = ceilDivide(to.rows * to.cols, 256)}, to, shares,
                        static_cast<int>(splits));
    };
    add(rowsOf<float>(op.dweight), epilogue.shares);
    if (op.dbias) add({op.dbias.data, 1, op.dbias.size, op.dbias.size}, epilogue.biasShares);
  }
}

}  // namespace ddsc::cuda
