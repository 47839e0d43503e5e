#include <cmath>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

using Doubles = std::vector<double>;

std::size_t at(std::int64_t row, std::int64_t col, std::int64_t cols) {
  return static_cast<std::size_t>(row * cols + col);
}

/// The op's operands in float64 and its formula.
struct Reference {
  const RaggedBatch& cells;
  std::int64_t dim;
  Doubles x, gain, shift, scale, dy;

  struct Moments {
    double mean, rstd;
  };
  Moments moments(std::int64_t row) const {
    const auto width = static_cast<double>(dim);
    double mean = 0, variance = 0;
    for (std::int64_t c = 0; c < dim; ++c) mean += x[at(row, c, dim)] / width;
    for (std::int64_t c = 0; c < dim; ++c) variance += std::pow(x[at(row, c, dim)] - mean, 2) / width;
    return {mean, 1 / std::sqrt(variance + 1e-5)};
  }
  template <class Visit>
  void eachElement(const Visit& visit) const {
    for (std::int64_t row = 0; row < cells.rows(); ++row) {
      const Moments m = moments(row);
      for (std::int64_t c = 0; c < dim; ++c) visit(row, c, cells.view().cell[row], m);
    }
  }
  Doubles forward() const {
    Doubles y(x.size());
    eachElement([&](std::int64_t row, std::int64_t c, std::int64_t cell, Moments m) {
      const double normal = (x[at(row, c, dim)] - m.mean) * m.rstd;
      y[at(row, c, dim)] =
          (1 + scale[at(cell, c, dim)]) * normal * gain[at(0, c, dim)] + shift[at(cell, c, dim)];
    });
    return y;
  }
  double loss() const {
    const Doubles y = forward();
    double total = 0;
    for (std::size_t i = 0; i < y.size(); ++i) total += y[i] * dy[i];
    return total;
  }
  struct Gradients {
    Doubles dx, dgain, dshift, dscale;
  };
  Gradients gradients() const {
    Gradients g{Doubles(x.size()), Doubles(gain.size()), Doubles(shift.size()), Doubles(scale.size())};
    Doubles direct(static_cast<std::size_t>(cells.rows())), along(direct.size());
    const auto dnormalOf = [&](std::int64_t row, std::int64_t c, std::int64_t cell) {
      return dy[at(row, c, dim)] * (1 + scale[at(cell, c, dim)]) * gain[at(0, c, dim)];
    };
    eachElement([&](std::int64_t row, std::int64_t c, std::int64_t cell, Moments m) {
      const double normal = (x[at(row, c, dim)] - m.mean) * m.rstd;
      const double d = dy[at(row, c, dim)];
      g.dgain[at(0, c, dim)] += d * (1 + scale[at(cell, c, dim)]) * normal;
      g.dscale[at(cell, c, dim)] += d * gain[at(0, c, dim)] * normal;
      g.dshift[at(cell, c, dim)] += d;
      direct[at(row, 0, 1)] += dnormalOf(row, c, cell) / static_cast<double>(dim);
      along[at(row, 0, 1)] += dnormalOf(row, c, cell) * normal / static_cast<double>(dim);
    });
    eachElement([&](std::int64_t row, std::int64_t c, std::int64_t cell, Moments m) {
      const double normal = (x[at(row, c, dim)] - m.mean) * m.rstd;
      g.dx[at(row, c, dim)] =
          m.rstd * (dnormalOf(row, c, cell) - direct[at(row, 0, 1)] - normal * along[at(row, 0, 1)]);
    });
    return g;
  }
};

/// Operands of one shape; rows are far from zero mean, as a residual stream's are.
struct Operands {
  RaggedBatch cells;
  Tensor x, gain, shift, scale, dy;
  std::int64_t dim;

  Operands(const std::vector<std::int32_t>& lengths, std::int64_t width, DType type)
      : cells(lengths),
        x(Tensor::random(1, cells.rows(), width, DType::f32, 3, 4)),
        gain(Tensor::random(2, 1, width)),
        shift(Tensor::random(3, cells.cells(), width, DType::f32, 1, 8)),
        scale(Tensor::random(4, cells.cells(), width, DType::f32, 1, 8)),
        dy(Tensor::random(5, cells.rows(), width, type, 1, 2)),
        dim(width) {
    for (std::int64_t row = 0; row < x.rows(); ++row)
      for (std::int64_t c = 0; c < dim; ++c) x.set(row, c, x.at(row, c) + 2);
  }
  Reference reference() const {
    return {cells, dim, x.doubles(), gain.doubles(), shift.doubles(), scale.doubles(), dy.doubles()};
  }
};

struct Shape {
  std::vector<std::int32_t> lengths;
  std::int64_t dim;
};
const std::vector<Shape> kShapes = {
    {{}, 8}, {{1}, 2}, {{0, 3, 0}, 6}, {{5, 1, 70}, 34}, {{200, 2, 64, 65}, 128}};

const PerInstructionSet forward("norm and modulation agree with float64", [](Backend& backend, DType type) {
  for (const auto& [lengths, dim] : kShapes) {
    Operands o(lengths, dim, type);
    const std::int64_t rows = o.cells.rows();
    Tensor y(rows, dim, type, 6), mean(1, rows), rstd(1, rows);
    backend.run(NormModulate{o.x.view(), o.gain.span(), o.shift.view(), o.scale.view(), o.cells.view().cell,
                             y.view(), mean.span(), rstd.span()});
    const Reference reference = o.reference();
    checkAgainst(y.values(), reference.forward(), tolerance(type));
    for (std::int64_t row = 0; row < rows; ++row) {
      checkClose(static_cast<double>(mean.at(0, row)), reference.moments(row).mean, 1e-5);
      checkClose(static_cast<double>(rstd.at(0, row)) / reference.moments(row).rstd, 1, 1e-5);
    }
    y.checkGaps();
  }
});

struct Results {
  Tensor dx, dgain, dshift, dscale;
};

/// dx and dgain start at 1, for the op adds to them.
Results gradientsOf(Backend& backend, Operands& o) {
  const std::int64_t rows = o.cells.rows(), cells = o.cells.cells();
  Tensor mean(1, rows), rstd(1, rows), y(rows, o.dim);
  backend.run(NormModulate{o.x.view(), o.gain.span(), o.shift.view(), o.scale.view(), o.cells.view().cell,
                           y.view(), mean.span(), rstd.span()});
  Results r{Tensor(rows, o.dim, DType::f32, 2), Tensor(1, o.dim), Tensor(cells, o.dim, DType::f32, 8),
            Tensor(cells, o.dim, DType::f32, 8)};
  r.dx.fill(1);
  r.dgain.fill(1);
  backend.run(NormModulateGradient{o.dy.view(), o.x.view(), o.gain.span(), o.scale.view(), o.cells.view(),
                                   mean.span(), rstd.span(), r.dx.view(), r.dgain.span(), r.dshift.view(),
                                   r.dscale.view()});
  r.dx.checkGaps();
  r.dshift.checkGaps();
  r.dscale.checkGaps();
  return r;
}

Doubles plusOne(Doubles values) {
  for (double& value : values) value += 1;
  return values;
}

const PerInstructionSet gradient("norm and modulation have the gradient of float64",
                                 [](Backend& backend, DType type) {
                                   for (const auto& [lengths, dim] : kShapes) {
                                     Operands o(lengths, dim, type);
                                     const Results r = gradientsOf(backend, o);
                                     const Reference::Gradients expected = o.reference().gradients();
                                     checkAgainst(r.dx.values(), plusOne(expected.dx), 2e-6);
                                     checkAgainst(r.dgain.values(), plusOne(expected.dgain), 2e-6);
                                     checkAgainst(r.dshift.values(), expected.dshift, 2e-6);
                                     checkAgainst(r.dscale.values(), expected.dscale, 2e-6);
                                   }
                                 });

DDSC_TEST("the gradient of norm and modulation is the slope of the formula") {
  const Operands o({4, 3}, 6, DType::f32);
  Reference reference = o.reference();
  const Reference::Gradients g = reference.gradients();
  const auto loss = [&] { return reference.loss(); };
  checkDifferences(reference.x, g.dx, loss);
  checkDifferences(reference.gain, g.dgain, loss);
  checkDifferences(reference.shift, g.dshift, loss);
  checkDifferences(reference.scale, g.dscale, loss);
}

DDSC_TEST("norm and modulation have the same gradient bits with any number of threads") {
  checkThreadsAgree([](Backend& backend) {
    Operands o({300, 1, 90, 7}, 96, DType::f32);
    const Results r = gradientsOf(backend, o);
    std::vector<float> all = r.dx.values();
    for (const Tensor* tensor : {&r.dgain, &r.dshift, &r.dscale})
      for (const float value : tensor->values()) all.push_back(value);
    return all;
  });
}

}  // namespace
}  // namespace ddsc::test
