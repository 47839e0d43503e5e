#include <cmath>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// cos and sin of position * 10000^(-2i / headDim).
struct RotaryTensors {
  RotaryTensors(std::int64_t longest, std::int64_t headDim)
      : cosine(longest, headDim / 2), sine(longest, headDim / 2) {
    for (std::int64_t position = 0; position < longest; ++position) {
      for (std::int64_t i = 0; i < headDim / 2; ++i) {
        const double rate = std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(headDim));
        cosine.set(position, i, static_cast<float>(std::cos(static_cast<double>(position) * rate)));
        sine.set(position, i, static_cast<float>(std::sin(static_cast<double>(position) * rate)));
      }
    }
  }
  RotaryTable view() { return {cosine.span(), sine.span()}; }
  Tensor cosine, sine;
};

/// Attention and its gradient in float64, straight from the definition.
class Reference {
 public:
  Reference(const RaggedBatch& batch, std::int64_t heads, std::int64_t headDim, const RotaryTensors* rotary)
      : batch_(batch), heads_(heads), headDim_(headDim), rotary_(rotary) {}

  std::vector<double> out, logSumExp, dqkv;

  void forward(const std::vector<double>& qkv) {
    out.assign(count(heads_ * headDim_), 0);
    logSumExp.assign(count(heads_), 0);
    eachHead([&](std::int64_t cell, std::int64_t head) {
      const auto q = rotated(qkv, cell, head, 0), k = rotated(qkv, cell, head, 1),
                 v = plain(qkv, cell, head, 2);
      const auto p = probabilities(q, k, cell, head);
      const std::int64_t length = batch_.length(cell);
      for (std::int64_t i = 0; i < length; ++i)
        for (std::int64_t j = 0; j < length; ++j)
          for (std::int64_t d = 0; d < headDim_; ++d)
            out[outAt(cell, head, i, d)] += p[at(i * length + j)] * v[at(j * headDim_ + d)];
    });
  }

  /// After forward.
  void backward(const std::vector<double>& qkv, const std::vector<double>& dout) {
    dqkv.assign(count(3 * heads_ * headDim_), 0);
    const double scale = 1 / std::sqrt(static_cast<double>(headDim_));
    eachHead([&](std::int64_t cell, std::int64_t head) {
      const auto q = rotated(qkv, cell, head, 0), k = rotated(qkv, cell, head, 1),
                 v = plain(qkv, cell, head, 2);
      const auto p = probabilities(q, k, cell, head);
      const std::int64_t length = batch_.length(cell);
      std::vector<double> dq(q.size()), dk(q.size()), dv(q.size());
      for (std::int64_t i = 0; i < length; ++i) {
        std::vector<double> dp(at(length));
        double mean = 0;
        for (std::int64_t j = 0; j < length; ++j) {
          for (std::int64_t d = 0; d < headDim_; ++d) {
            dp[at(j)] += dout[outAt(cell, head, i, d)] * v[at(j * headDim_ + d)];
            dv[at(j * headDim_ + d)] += p[at(i * length + j)] * dout[outAt(cell, head, i, d)];
          }
          mean += p[at(i * length + j)] * dp[at(j)];
        }
        for (std::int64_t j = 0; j < length; ++j) {
          const double ds = p[at(i * length + j)] * (dp[at(j)] - mean) * scale;
          for (std::int64_t d = 0; d < headDim_; ++d) {
            dq[at(i * headDim_ + d)] += ds * k[at(j * headDim_ + d)];
            dk[at(j * headDim_ + d)] += ds * q[at(i * headDim_ + d)];
          }
        }
      }
      write(dq, cell, head, 0);
      write(dk, cell, head, 1);
      write(dv, cell, head, 2);
    });
  }

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  std::size_t count(std::int64_t cols) const { return at(batch_.rows() * cols); }
  std::size_t outAt(std::int64_t cell, std::int64_t head, std::int64_t i, std::int64_t d) const {
    return at(((batch_.start(cell) + i) * heads_ + head) * headDim_ + d);
  }
  std::size_t qkvAt(std::int64_t cell, std::int64_t head, std::int64_t which, std::int64_t i,
                    std::int64_t d) const {
    return at(((batch_.start(cell) + i) * 3 + which) * heads_ * headDim_ + head * headDim_ + d);
  }

  template <class Body>
  void eachHead(const Body& body) const {
    for (std::int64_t cell = 0; cell < batch_.cells(); ++cell)
      for (std::int64_t head = 0; head < heads_; ++head) body(cell, head);
  }

  std::vector<double> plain(const std::vector<double>& qkv, std::int64_t cell, std::int64_t head,
                            std::int64_t which) const {
    std::vector<double> values;
    for (std::int64_t i = 0; i < batch_.length(cell); ++i)
      for (std::int64_t d = 0; d < headDim_; ++d) values.push_back(qkv[qkvAt(cell, head, which, i, d)]);
    return values;
  }

  /// direction 1 rotates, -1 rotates back.
  void rotate(std::vector<double>& values, double direction) const {
    if (rotary_ == nullptr) return;
    const std::int64_t half = headDim_ / 2;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(values.size()) / headDim_; ++i) {
      for (std::int64_t d = 0; d < half; ++d) {
        const double c = static_cast<double>(rotary_->cosine.at(i, d));
        const double s = direction * static_cast<double>(rotary_->sine.at(i, d));
        double& a = values[at(i * headDim_ + d)];
        double& b = values[at(i * headDim_ + half + d)];
        const double before = a;
        a = before * c - b * s;
        b = b * c + before * s;
      }
    }
  }

  std::vector<double> rotated(const std::vector<double>& qkv, std::int64_t cell, std::int64_t head,
                              std::int64_t which) const {
    auto values = plain(qkv, cell, head, which);
    rotate(values, 1);
    return values;
  }

  void write(std::vector<double> gradient, std::int64_t cell, std::int64_t head, std::int64_t which) {
    if (which < 2) rotate(gradient, -1);
    for (std::int64_t i = 0; i < batch_.length(cell); ++i)
      for (std::int64_t d = 0; d < headDim_; ++d)
        dqkv[qkvAt(cell, head, which, i, d)] = gradient[at(i * headDim_ + d)];
  }

  std::vector<double> probabilities(const std::vector<double>& q, const std::vector<double>& k,
                                    std::int64_t cell, std::int64_t head) {
    const std::int64_t length = batch_.length(cell);
    const double scale = 1 / std::sqrt(static_cast<double>(headDim_));
    std::vector<double> p(at(length * length));
    for (std::int64_t i = 0; i < length; ++i) {
      double total = 0;
      for (std::int64_t j = 0; j < length; ++j) {
        double score = 0;
        for (std::int64_t d = 0; d < headDim_; ++d)
          score += q[at(i * headDim_ + d)] * k[at(j * headDim_ + d)];
        p[at(i * length + j)] = std::exp(score * scale);
        total += p[at(i * length + j)];
      }
      for (std::int64_t j = 0; j < length; ++j) p[at(i * length + j)] /= total;
      logSumExp[at((batch_.start(cell) + i) * heads_ + head)] = std::log(total);
    }
    return p;
  }

  const RaggedBatch& batch_;
  std::int64_t heads_, headDim_;
  const RotaryTensors* rotary_;
};

struct Case {
  std::vector<std::int32_t> lengths;
  std::int64_t heads, headDim;
  bool rotary;
};

// Empty and one-token cells, cells shorter and longer than a tile and than a block of keys or queries, head
// widths below, at and above a panel, and one that is no multiple of any vector.
const std::vector<Case> cases = {
    {{1, 0, 17, 3, 0}, 2, 32, true}, {{5, 300, 1}, 1, 64, true},  {{40, 13}, 2, 128, true},
    {{113, 14, 57}, 2, 64, false},   {{1}, 1, 2, true},           {{30, 29}, 3, 6, true},
    {{500}, 1, 32, false},           {{20, 33, 1}, 2, 160, true},
};

struct Run {
  Run(Backend& backend, const Case& c, DType type, std::int64_t padding)
      : batch(c.lengths),
        rotary(batch.view().longest, c.headDim),
        qkv(Tensor::random(1, batch.rows(), 3 * c.heads * c.headDim, type, 2, padding)),
        dout(Tensor::random(2, batch.rows(), c.heads * c.headDim, type, 1, padding)),
        out(batch.rows(), c.heads * c.headDim, type, padding),
        logSumExp(batch.rows(), c.heads, DType::f32, padding),
        dqkv(batch.rows(), 3 * c.heads * c.headDim, type, padding) {
    const RotaryTable table = c.rotary ? rotary.view() : RotaryTable{};
    backend.run(Attention{.qkv = qkv.view(),
                          .cells = batch.view(),
                          .heads = c.heads,
                          .rotary = table,
                          .out = out.view(),
                          .logSumExp = logSumExp.view()});
    backend.run(AttentionGradient{.qkv = qkv.view(),
                                  .out = out.view(),
                                  .dout = dout.view(),
                                  .logSumExp = logSumExp.view(),
                                  .cells = batch.view(),
                                  .heads = c.heads,
                                  .rotary = table,
                                  .dqkv = dqkv.view()});
  }
  RaggedBatch batch;
  RotaryTensors rotary;
  Tensor qkv, dout, out, logSumExp, dqkv;
};

/// Whether the backend's bf16 attention rounds what it multiplies.
bool onMatrixUnits(const Backend& backend) {
  const std::string device = backend.describe();
  return device.starts_with("cuda") || device.find("bf16") != std::string::npos ||
         device.find("amx") != std::string::npos;
}

const PerInstructionSet agreement(
    "attention and its gradient stay within each cell and agree with float64",
    [](Backend& backend, DType type) {
      for (std::size_t i = 0; i < cases.size(); ++i) {
        const Case& c = cases[i];
        // Rows begin at multiples of 16 bytes in every other case.
        const Run run(backend, c, type, i % 2 == 0 ? 6 : 8);
        Reference reference(run.batch, c.heads, c.headDim, c.rotary ? &run.rotary : nullptr);
        reference.forward(run.qkv.doubles());
        checkAgainst(run.out.values(), reference.out, tolerance(type));
        // Matrix units take rotated heads rounded to bf16.
        const bool rounds = type == DType::bf16 && onMatrixUnits(backend);
        checkAgainst(run.logSumExp.values(), reference.logSumExp, rounds ? 0x1p-9 : 1e-6);
        reference.backward(run.qkv.doubles(), run.dout.doubles());
        // In bf16 D comes from the rounded output.
        checkAgainst(run.dqkv.values(), reference.dqkv, type == DType::f32 ? 2e-6 : 0x1p-7);
        for (const Tensor* written : {&run.out, &run.logSumExp, &run.dqkv}) written->checkGaps();
      }
    });

DDSC_TEST("the gradient the attention tests expect agrees with finite differences") {
  for (const Case& c : {Case{{4, 1, 0, 7}, 2, 6, true}, Case{{3, 5}, 1, 4, false}}) {
    const RaggedBatch batch(c.lengths);
    const RotaryTensors rotary(batch.view().longest, c.headDim);
    Reference reference(batch, c.heads, c.headDim, c.rotary ? &rotary : nullptr);
    auto qkv = Tensor::random(3, batch.rows(), 3 * c.heads * c.headDim).doubles();
    const auto dout = Tensor::random(4, batch.rows(), c.heads * c.headDim).doubles();
    reference.forward(qkv);
    reference.backward(qkv, dout);
    const auto gradient = reference.dqkv;
    checkDifferences(qkv, gradient, [&] {
      reference.forward(qkv);
      double loss = 0;
      for (std::size_t i = 0; i < dout.size(); ++i) loss += dout[i] * reference.out[i];
      return loss;
    });
  }
}

DDSC_TEST("attention gives the same bits on any number of threads") {
  for (const Case& c : {Case{{700}, 1, 32, true}, Case{{33, 1, 250, 0, 40}, 2, 64, true}}) {
    for (const DType type : {DType::f32, DType::bf16}) {
      checkThreadsAgree([&](Backend& backend) {
        const Run run(backend, c, type, 0);
        std::vector<float> all = run.out.values();
        for (const Tensor* part : {&run.logSumExp, &run.dqkv}) {
          const auto values = part->values();
          all.insert(all.end(), values.begin(), values.end());
        }
        return all;
      });
    }
  }
}

const PerInstructionSet large("attention survives scores whose exponentials overflow",
                              [](Backend& backend, DType type) {
                                const RaggedBatch batch({400});
                                const std::int64_t headDim = 32;
                                // Scores up to some 3000; later keys raise the maximum again and again.
                                Tensor qkv = Tensor::random(5, batch.rows(), 3 * headDim, type, 20);
                                for (std::int64_t row = 0; row < batch.rows(); ++row)
                                  for (std::int64_t col = headDim; col < 2 * headDim; ++col)
                                    qkv.set(row, col, qkv.at(row, col) * (1 + static_cast<float>(row) / 100));
                                Tensor out(batch.rows(), headDim, type), logSumExp(batch.rows(), 1);
                                backend.run(Attention{.qkv = qkv.view(),
                                                      .cells = batch.view(),
                                                      .heads = 1,
                                                      .rotary = {},
                                                      .out = out.view(),
                                                      .logSumExp = logSumExp.view()});
                                for (const float value : out.values())
                                  check(std::isfinite(value), "an output is not finite");
                                for (const float value : logSumExp.values())
                                  check(std::isfinite(value), "a log-sum-exp is not finite");
                              });

const PerInstructionSet alone("a cell's attention is the same to the bit whatever cells are beside it",
                              [](Backend& backend, DType type) {
                                const std::int64_t dim = 64;
                                const RaggedBatch together({90, 31, 200}), single({31});
                                const Tensor qkv = Tensor::random(6, together.rows(), 3 * dim, type);
                                Tensor out(together.rows(), dim, type), logSumExp(together.rows(), 1);
                                Tensor outAlone(single.rows(), dim, type), logSumExpAlone(single.rows(), 1);
                                backend.run(Attention{.qkv = qkv.view(),
                                                      .cells = together.view(),
                                                      .heads = 1,
                                                      .rotary = {},
                                                      .out = out.view(),
                                                      .logSumExp = logSumExp.view()});
                                backend.run(Attention{.qkv = qkv.view().slice(90, 31),
                                                      .cells = single.view(),
                                                      .heads = 1,
                                                      .rotary = {},
                                                      .out = outAlone.view(),
                                                      .logSumExp = logSumExpAlone.view()});
                                const auto all = out.values();
                                checkSameBits(std::span(all).subspan(90 * dim, 31 * dim), outAlone.values());
                              });

}  // namespace
}  // namespace ddsc::test
