// cuBLASLt beside our kernels: when it serves, what it is asked for, and what becomes of a library that is
// missing, old or fails. The library is a stand-in (test/native/cuda/fake).
#include <dlfcn.h>

#include <string>

#include "core/errors.h"
#include "cuda/cublaslt/choice.h"
#include "cuda/cublaslt/products.h"
#include "cuda/cuda_backend.h"
#include "cuda/ops/kernels.h"
#include "test/native/cuda/emulator/runtime.h"
#include "test/native/cuda/mirror.h"
#include "test/native/environment.h"
#include "test/native/harness.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// DDSC_GEMM and the library that there is, in which way it is odd.
struct Setting {
  explicit Setting(const char* gemm, const char* oddity = "", const char* path = DDSC_FAKE_CUBLASLT)
      : gemm_("DDSC_GEMM", gemm),
        path_("DDSC_EMULATED_CUBLASLT", path),
        oddity_("DDSC_FAKE_CUBLASLT", oddity) {}

 private:
  Variable gemm_, path_, oddity_;
};

/// Products that the stand-in was given so far.
int productsGiven() {
  void* const library = dlopen(DDSC_FAKE_CUBLASLT, RTLD_NOW | RTLD_LOCAL);
  check(library != nullptr, "the stand-in does not load");
  const auto count = reinterpret_cast<int (*)()>(dlsym(library, "fakeCublasLtProducts"));
  check(count != nullptr, "this is not the stand-in");
  return count();
}

std::string codeOfMaking() {
  try {
    cuda::makeCudaBackend(0);
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

/// A layer without a bias: forward product, input gradient, weight gradient.
struct PlainLayer {
  explicit PlainLayer(DType type)
      : x(Tensor::random(1, 19, 8, type)),
        weight(Tensor::random(2, 16, 8, type)),
        dy(Tensor::random(3, 19, 16, type)),
        y(19, 16, type),
        dx(19, 8, type),
        dweight(Tensor::random(4, 16, 8)) {}

  void run(Backend& backend) {
    backend.run(Linear{.x = x.view(),
                       .weight = weight.view(),
                       .bias = {},
                       .preactivation = {},
                       .residual = {},
                       .y = y.view()});
    backend.run(
        LinearInputGradient{.dy = dy.view(), .weight = weight.view(), .preactivation = {}, .dx = dx.view()});
    backend.run(LinearWeightGradient{.dy = dy.view(), .x = x.view(), .dweight = dweight.view(), .dbias = {}});
  }
  std::vector<float> results() const {
    std::vector<float> all = y.values();
    for (const Tensor* part : {&dx, &dweight}) {
      const auto values = part->values();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

  Tensor x, weight, dy, y, dx, dweight;
};

/// Products of a layer that the library gets, as DDSC_GEMM and the rest stand.
int productsOfLayer(DType type) {
  const auto backend = mirrorOf(cuda::makeCudaBackend(0));
  const int before = productsGiven();
  PlainLayer(type).run(*backend);
  return productsGiven() - before;
}

DDSC_TEST("cuBLASLt serves plain products of bf16 where DDSC_GEMM asks for it, and the backend says so") {
  for (const char* gemm : {"", "own"}) {
    const Setting setting(gemm);
    checkEqual(productsOfLayer(DType::bf16), 0);
    checkEqual(cuda::makeCudaBackend(0)->describe(), "cuda:0 (emulated GPU)");
  }
  const Setting setting("cublaslt");
  checkEqual(productsOfLayer(DType::bf16), 3);
  checkEqual(productsOfLayer(DType::f32), 0);
  checkEqual(cuda::makeCudaBackend(0)->describe(),
             "cuda:0 (emulated GPU, plain products by cuBLASLt 13.1.1)");
}

DDSC_TEST("products of Hopper GPUs serve where DDSC_GEMM asks for them, and the backend says so") {
  const Setting setting("hopper");
  checkEqual(cuda::makeCudaBackend(0)->describe(), "cuda:0 (emulated GPU, products by wgmma)");
  checkEqual(productsOfLayer(DType::bf16), 0);
}

DDSC_TEST("what is fused with a product stays with our kernels") {
  const Setting setting("cublaslt");
  const auto backend = mirrorOf(cuda::makeCudaBackend(0));
  PlainLayer layer(DType::bf16);
  Tensor bias(1, 16), pre(19, 16, DType::bf16), residual(19, 16), before(19, 8, DType::bf16);
  for (Tensor* tensor : {&bias, &residual, &before}) tensor->fill(0.5f);
  const int given = productsGiven();
  const Linear plain{.x = layer.x.view(),
                     .weight = layer.weight.view(),
                     .bias = {},
                     .preactivation = {},
                     .residual = {},
                     .y = layer.y.view()};
  Linear op = plain;
  op.bias = bias.span();
  backend->run(op);
  op = plain;
  op.activation = Activation::silu;
  backend->run(op);
  op = plain;
  op.preactivation = pre.view();
  backend->run(op);
  op = plain;
  op.residual = std::as_const(residual).view();
  backend->run(op);
  backend->run(LinearInputGradient{.dy = layer.dy.view(),
                                   .weight = layer.weight.view(),
                                   .activation = Activation::silu,
                                   .preactivation = before.view(),
                                   .dx = layer.dx.view()});
  backend->run(LinearWeightGradient{
      .dy = layer.dy.view(), .x = layer.x.view(), .dweight = layer.dweight.view(), .dbias = bias.span()});
  checkEqual(productsGiven(), given);
}

DDSC_TEST("a training step by cuBLASLt is one by our kernels up to rounding, and the same bits again") {
  const DenoiserConfig config = smallConfig();
  const LossInput input = lossInput(cells({40, 1, 33}, config));
  const auto gradient = [&](const char* gemm) {
    const Setting setting(gemm);
    const auto model = randomModel(cuda::makeCudaBackend(0), config, DType::bf16);
    model->accumulate(input, 0.02, {8, 1});
    return buffer(*model, "gradient");
  };
  const int before = productsGiven();
  const auto first = gradient("cublaslt");
  // q, k and v, and attention's result, of two blocks: forward, both gradients; input gradients of the MLP's
  // first layer, and the head's.
  checkEqual(productsGiven() - before, 2 * 6 + 2 + 1);
  checkSameBits(gradient("cublaslt"), first);
  checkRelative(first, gradient("own"), 2e-2);
}

DDSC_TEST("products by cuBLASLt are recorded and replayed, workspace and all") {
  const Setting setting("cublaslt");
  const DenoiserConfig config = smallConfig();
  const LossInput input = lossInput(cells({30, 12}, config));
  const auto losses = [&] {
    const auto model = randomModel(cuda::makeCudaBackend(0), config, DType::bf16);
    std::vector<double> each;
    for (int i = 0; i < 5; ++i) {
      each.push_back(model->evaluate(input).loss);
      // Another shape in between, whose workspace is larger.
      if (i == 3) model->evaluate(lossInput(cells({60, 50, 40}, config)));
    }
    return each;
  };
  const int before = cuda::emulator::counts().replays;
  const std::vector<double> each = losses();
  check(cuda::emulator::counts().replays > before, "nothing was replayed");
  for (const double loss : each) checkEqual(loss, each.front());
}

DDSC_TEST("where cuBLASLt has no algorithm our kernels compute") {
  PlainLayer expected(DType::bf16), layer(DType::bf16);
  {
    const Setting setting("own");
    expected.run(*mirrorOf(cuda::makeCudaBackend(0)));
  }
  const Setting setting("cublaslt", "no-algorithm");
  layer.run(*mirrorOf(cuda::makeCudaBackend(0)));
  checkSameBits(layer.results(), expected.results());
}

DDSC_TEST("a product that fails is an error that names the call, the op and its sizes") {
  const Setting setting("cublaslt", "failing");
  const auto backend = mirrorOf(cuda::makeCudaBackend(0));
  PlainLayer layer(DType::bf16);
  checkThrows<Error>([&] { layer.run(*backend); },
                     "cublasLtMatmul for linear of 19 x 16, 8 steps: CUBLAS_STATUS_EXECUTION_FAILED; "
                     "DDSC_GEMM=own does without cuBLASLt");
  try {
    layer.run(*backend);
  } catch (const Error& error) {
    checkEqual(error.code(), "CUDA_FAILED");
  }
}

DDSC_TEST("a cuBLASLt that cannot be used is an error with the reason where it was asked for") {
  const auto refused = [](const char* oddity, const char* path, std::string_view reason) {
    {
      const Setting setting("cublaslt", oddity, path);
      checkEqual(codeOfMaking(), "GEMM_UNAVAILABLE");
      checkThrows<Error>([] { cuda::makeCudaBackend(0); }, reason);
      checkThrows<Error>([] { cuda::makeCudaBackend(0); }, "or unset DDSC_GEMM");
    }
    const Setting setting("auto", oddity, path);
    checkEqual(productsOfLayer(DType::bf16), 0);
  };
  refused("", "/nowhere/libcublasLt.so.13", "/nowhere/libcublasLt.so.13: cannot open shared object file");
  refused("", "libc.so.6", "libc.so.6 has no cublasLtCreate");
  refused("old", DDSC_FAKE_CUBLASLT, " is version 11.11.3, and 12.0.0 is needed");
  refused("no-start", DDSC_FAKE_CUBLASLT, " does not start on this GPU (CUBLAS_STATUS_NOT_INITIALIZED)");
}

DDSC_TEST("the first cuBLASLt that can be used is taken") {
  const std::string names = std::string("/nowhere/libcublasLt.so.13,libc.so.6,") + DDSC_FAKE_CUBLASLT;
  const Setting setting("cublaslt", "", names.c_str());
  checkEqual(productsOfLayer(DType::bf16), 3);
}

DDSC_TEST("DDSC_GEMM has four values, and another is refused with them") {
  const Setting setting("cublas");
  checkEqual(codeOfMaking(), "GEMM_UNKNOWN");
  checkThrows<Error>([] { cuda::makeCudaBackend(0); },
                     "expected own, hopper, cublaslt or auto for DDSC_GEMM but received \"cublas\"");
}

DDSC_TEST("auto takes cuBLASLt where a measurement says that it is faster, and only there") {
  {
    const Setting setting("auto");
    checkEqual(productsOfLayer(DType::bf16), 3);
  }
  const Setting setting("auto", "slow");
  checkEqual(productsOfLayer(DType::bf16), 0);
}

DDSC_TEST("plans of many shapes come and go") {
  const Setting setting("cublaslt");
  const auto backend = mirrorOf(cuda::makeCudaBackend(0));
  const Tensor x = Tensor::random(1, 300, 8, DType::bf16), weight = Tensor::random(2, 16, 8, DType::bf16);
  Tensor whole(300, 16, DType::bf16);
  const auto forward = [&](std::int64_t rows, const Matrix& y) {
    backend->run(Linear{.x = ConstMatrix(x.view()).slice(0, rows),
                        .weight = weight.view(),
                        .bias = {},
                        .preactivation = {},
                        .residual = {},
                        .y = y});
  };
  forward(300, whole.view());
  for (int pass = 0; pass < 2; ++pass) {
    for (std::int64_t rows = 1; rows < 300; rows += 2) {
      Tensor y(rows, 16, DType::bf16);
      forward(rows, y.view());
      for (std::int64_t col = 0; col < 16; ++col) checkEqual(y.at(rows - 1, col), whole.at(rows - 1, col));
    }
  }
}

}  // namespace
}  // namespace ddsc::test
