#include <cmath>
#include <numbers>

#include "core/bf16.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

struct Shape {
  std::int64_t rows, inputs, outputs;
};

// Single rows and columns, the conditioning (few rows), the head (54 outputs), sums of several chunks, edges
// of tiles, sums so long that they are cut once more.
const std::vector<Shape> shapes = {{1, 1, 1},    {3, 2, 5},     {4, 128, 96},   {17, 31, 54},  {45, 33, 67},
                                   {5, 600, 33}, {300, 64, 54}, {70, 520, 130}, {5, 4500, 20}, {7, 20, 2300}};

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::geluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::none: break;
  }
  return x;
}

double activationDerivative(Activation activation, double x) {
  switch (activation) {
    case Activation::geluTanh: {
      const double rate = std::sqrt(2 / std::numbers::pi);
      const double t = std::tanh(rate * (x + 0.044715 * x * x * x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * rate * (1 + 3 * 0.044715 * x * x);
    }
    case Activation::silu: {
      const double s = 1 / (1 + std::exp(-x));
      return s * (1 + x * (1 - s));
    }
    case Activation::none: break;
  }
  return 1;
}

/// sum over k of a(i, k) b(k, j) in float64.
template <class A, class B>
std::vector<double> product(std::int64_t rows, std::int64_t cols, std::int64_t steps, const A& a,
                            const B& b) {
  std::vector<double> result;
  result.reserve(static_cast<std::size_t>(rows * cols));
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      double total = 0;
      for (std::int64_t k = 0; k < steps; ++k) total += a(i, k) * b(k, j);
      result.push_back(total);
    }
  }
  return result;
}

/// What rows lie apart beyond their length: `odd`, or what makes them begin at multiples of 16 bytes.
std::int64_t gapAfter(std::int64_t cols, bool aligned, std::int64_t odd) {
  return aligned ? (8 - cols % 8) % 8 : odd;
}

double element(const Tensor& tensor, std::int64_t row, std::int64_t col) {
  return static_cast<double>(tensor.at(row, col));
}

/// x weightᵀ.
std::vector<double> forwardOf(const Tensor& x, const Tensor& weight) {
  return product(
      x.rows(), weight.rows(), x.cols(), [&](auto i, auto k) { return element(x, i, k); },
      [&](auto k, auto j) { return element(weight, j, k); });
}

/// dy weight.
std::vector<double> inputGradientOf(const Tensor& dy, const Tensor& weight) {
  return product(
      dy.rows(), weight.cols(), dy.cols(), [&](auto i, auto k) { return element(dy, i, k); },
      [&](auto k, auto j) { return element(weight, k, j); });
}

/// before + dyᵀ x.
std::vector<double> weightGradientOf(const Tensor& dy, const Tensor& x, const std::vector<double>& before) {
  std::vector<double> sums = product(
      dy.cols(), x.cols(), x.rows(), [&](auto i, auto k) { return element(dy, k, i); },
      [&](auto k, auto j) { return element(x, k, j); });
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += before[i];
  return sums;
}

Linear plainLinear(const Tensor& x, const Tensor& weight, Tensor& y) {
  return {
      .x = x.view(), .weight = weight.view(), .bias = {}, .preactivation = {}, .residual = {}, .y = y.view()};
}

const PerInstructionSet forward(
    "linear adds the bias, keeps the preactivation, activates and adds the residual",
    [](Backend& backend, DType type) {
      std::uint32_t name = 0;
      for (const Shape& s : shapes) {
        for (const Activation activation : {Activation::none, Activation::geluTanh, Activation::silu}) {
          const bool plain = name % 2 == 0, aligned = activation == Activation::geluTanh;
          const Tensor x = Tensor::random(++name, s.rows, s.inputs, type, 1, gapAfter(s.inputs, aligned, 3));
          const Tensor weight =
              Tensor::random(++name, s.outputs, s.inputs, type, 1, gapAfter(s.inputs, aligned, 2));
          Tensor bias = Tensor::random(++name, 1, s.outputs);
          const Tensor residual = Tensor::random(++name, s.rows, s.outputs, DType::f32, 1, 1);
          Tensor pre(s.rows, s.outputs, type, 5), y(s.rows, s.outputs, type, 4);
          backend.run(Linear{.x = x.view(),
                             .weight = weight.view(),
                             .bias = bias.span(),
                             .activation = activation,
                             .preactivation = plain ? Matrix{} : pre.view(),
                             .residual = plain ? ConstMatrix{} : residual.view(),
                             .y = y.view()});
          std::vector<double> expected = forwardOf(x, weight);
          std::vector<double> before;
          for (std::size_t i = 0; i < expected.size(); ++i) {
            const auto row = static_cast<std::int64_t>(i) / s.outputs,
                       col = static_cast<std::int64_t>(i) % s.outputs;
            before.push_back(expected[i] + element(bias, 0, col));
            expected[i] = activate(activation, before[i]) + (plain ? 0 : element(residual, row, col));
          }
          checkAgainst(y.values(), expected, tolerance(type));
          y.checkGaps();
          if (!plain) {
            checkAgainst(pre.values(), before, tolerance(type));
            pre.checkGaps();
          }
          name += plain ? 1 : 0;
        }
      }
    });

const PerInstructionSet inputGradient(
    "the input gradient is dy times the weight times the derivative of the activation before it",
    [](Backend& backend, DType type) {
      std::uint32_t name = 1000;
      for (const Shape& s : shapes) {
        for (const Activation activation : {Activation::none, Activation::geluTanh, Activation::silu}) {
          const bool aligned = activation == Activation::geluTanh;
          const Tensor dy =
              Tensor::random(++name, s.rows, s.outputs, type, 1, gapAfter(s.outputs, aligned, 3));
          const Tensor weight =
              Tensor::random(++name, s.outputs, s.inputs, type, 1, gapAfter(s.inputs, aligned, 2));
          const Tensor pre = Tensor::random(++name, s.rows, s.inputs, type, 4, 1);
          Tensor dx(s.rows, s.inputs, type, 4);
          backend.run(LinearInputGradient{.dy = dy.view(),
                                          .weight = weight.view(),
                                          .activation = activation,
                                          .preactivation = pre.view(),
                                          .dx = dx.view()});
          std::vector<double> expected = inputGradientOf(dy, weight);
          for (std::size_t i = 0; i < expected.size(); ++i) {
            const auto row = static_cast<std::int64_t>(i) / s.inputs,
                       col = static_cast<std::int64_t>(i) % s.inputs;
            expected[i] *= activationDerivative(activation, element(pre, row, col));
          }
          checkAgainst(dx.values(), expected, tolerance(type));
          dx.checkGaps();
        }
      }
    });

const PerInstructionSet weightGradient(
    "the weight and bias gradients are added to what is there", [](Backend& backend, DType type) {
      std::uint32_t name = 2000;
      for (const Shape& s : shapes) {
        // Rows are the sum here: swap so that some shapes have many.
        const std::int64_t rows = s.inputs, inputs = s.rows;
        const bool aligned = &s - shapes.data() >= 5;
        const Tensor dy = Tensor::random(++name, rows, s.outputs, type, 1, gapAfter(s.outputs, aligned, 3));
        const Tensor x = Tensor::random(++name, rows, inputs, type, 1, gapAfter(inputs, aligned, 2));
        Tensor dweight = Tensor::random(++name, s.outputs, inputs, DType::f32, 1, 1);
        Tensor dbias = Tensor::random(++name, 1, s.outputs);
        const std::vector<double> expected = weightGradientOf(dy, x, dweight.doubles());
        std::vector<double> expectedBias = dbias.doubles();
        for (std::int64_t k = 0; k < rows; ++k)
          for (std::int64_t j = 0; j < s.outputs; ++j)
            expectedBias[static_cast<std::size_t>(j)] += element(dy, k, j);
        backend.run(LinearWeightGradient{
            .dy = dy.view(), .x = x.view(), .dweight = dweight.view(), .dbias = dbias.span()});
        checkAgainst(dweight.values(), expected, 1e-5);
        checkAgainst(dbias.values(), expectedBias, 1e-5);
        dweight.checkGaps();
      }
    });

const PerInstructionSet plainProducts(
    "layers with no bias and no activation are products, rounded once", [](Backend& backend, DType type) {
      std::uint32_t name = 3000;
      for (const Shape& s : shapes) {
        for (const bool aligned : {false, true}) {
          const auto [rows, inputs, outputs] = s;
          const Tensor x = Tensor::random(++name, rows, inputs, type, 1, gapAfter(inputs, aligned, 3)),
                       dy = Tensor::random(++name, rows, outputs, type, 1, gapAfter(outputs, aligned, 1)),
                       weight =
                           Tensor::random(++name, outputs, inputs, type, 1, gapAfter(inputs, aligned, 2));
          const std::vector<double> expectedY = forwardOf(x, weight),
                                    expectedDx = inputGradientOf(dy, weight);
          // A GPU's matrix units cut off what they add below a sum's last places.
          const double single = type == DType::bf16 && backend.kind() == DeviceKind::gpu ? 1e-5 : 1e-6;
          std::vector<DType> results = {DType::f32};
          if (type != DType::f32) results.push_back(type);
          for (const DType into : results) {
            Tensor y(rows, outputs, into, gapAfter(outputs, aligned, 3)),
                dx(rows, inputs, into, gapAfter(inputs, aligned, 5));
            backend.run(plainLinear(x, weight, y));
            checkAgainst(y.values(), expectedY, tolerance(into, single));
            y.checkGaps();
            backend.run(LinearInputGradient{
                .dy = dy.view(), .weight = weight.view(), .preactivation = {}, .dx = dx.view()});
            checkAgainst(dx.values(), expectedDx, tolerance(into, single));
            dx.checkGaps();
          }
          Tensor dweight =
              Tensor::random(++name, outputs, inputs, DType::f32, 1, gapAfter(inputs, aligned, 1));
          const std::vector<double> expected = weightGradientOf(dy, x, dweight.doubles());
          backend.run(
              LinearWeightGradient{.dy = dy.view(), .x = x.view(), .dweight = dweight.view(), .dbias = {}});
          checkAgainst(dweight.values(), expected, 1e-5);
          dweight.checkGaps();
        }
      }
    });

DDSC_TEST("the derivatives the linear tests expect agree with finite differences") {
  for (const Activation activation : {Activation::none, Activation::geluTanh, Activation::silu}) {
    std::vector<double> x, gradient;
    for (const float value : randomValues(1, 24, 5)) {
      x.push_back(static_cast<double>(value));
      gradient.push_back(activationDerivative(activation, x.back()));
    }
    checkDifferences(x, gradient, [&] {
      double total = 0;
      for (const double value : x) total += activate(activation, value);
      return total;
    });
  }
}

/// What a layer's forward and backward passes give, end to end.
std::vector<float> everything(Backend& backend, const Shape& s, DType type) {
  const Tensor x = Tensor::random(1, s.rows, s.inputs, type),
               weight = Tensor::random(2, s.outputs, s.inputs, type);
  Tensor bias = Tensor::random(3, 1, s.outputs), y(s.rows, s.outputs, type), dx(s.rows, s.inputs, type);
  Tensor dweight(s.outputs, s.inputs), dbias(1, s.outputs);
  dweight.fill(0);
  dbias.fill(0);
  backend.run(Linear{.x = x.view(),
                     .weight = weight.view(),
                     .bias = bias.span(),
                     .activation = Activation::geluTanh,
                     .preactivation = {},
                     .residual = {},
                     .y = y.view()});
  backend.run(LinearInputGradient{.dy = y.view(),
                                  .weight = weight.view(),
                                  .activation = Activation::none,
                                  .preactivation = {},
                                  .dx = dx.view()});
  backend.run(
      LinearWeightGradient{.dy = y.view(), .x = x.view(), .dweight = dweight.view(), .dbias = dbias.span()});
  std::vector<float> all = y.values();
  for (const Tensor* part : {&dx, &dweight, &dbias}) {
    const auto values = part->values();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

DDSC_TEST("linear layers give the same bits on any number of threads") {
  for (const Shape& s :
       {Shape{1000, 300, 130}, Shape{37, 700, 54}, Shape{300, 64, 700}, Shape{2100, 40, 70}}) {
    for (const DType type : {DType::f32, DType::bf16})
      checkThreadsAgree([&](Backend& backend) { return everything(backend, s, type); });
  }
}

const PerInstructionSet noRows(
    "a linear layer of no rows leaves its gradients as they are", [](Backend& backend, DType type) {
      const Tensor dy(0, 5, type), x(0, 7, type), weight = Tensor::random(1, 5, 7, type);
      Tensor dweight = Tensor::random(2, 5, 7), dbias = Tensor::random(3, 1, 5), y(0, 5, type),
             dx(0, 7, type);
      const auto weightBefore = dweight.values(), biasBefore = dbias.values();
      backend.run(plainLinear(x, weight, y));
      backend.run(LinearInputGradient{
          .dy = dy.view(), .weight = weight.view(), .preactivation = {}, .dx = dx.view()});
      backend.run(LinearWeightGradient{
          .dy = dy.view(), .x = x.view(), .dweight = dweight.view(), .dbias = dbias.span()});
      checkSameBits(dweight.values(), weightBefore);
      checkSameBits(dbias.values(), biasBefore);
    });

}  // namespace
}  // namespace ddsc::test
