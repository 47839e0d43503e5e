#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// cos and sin of position * 10000^(-2i / headDim).
struct RotaryTensors {
  RotaryTensors(std::int64_t longest, std::int64_t headDim)
      : cosine(longest, headDim / 2), sine(longest, headDim / 2) {
    for (std::int64_t i = 0; i < headDim / 2; ++i) {
      const double rate = std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(headDim));
      for (std::int64_t position = 0; position < longest; ++position) {
        cosine.set(position, i, static_cast<float>(std::cos(static_cast<double>(position) * rate)));
        sine.set(position, i, static_cast<float>(std::sin(static_cast<double>(position) * rate)));
      }
    }
  }
  RotaryTable view() { return {cosine.span(), sine.span()}; }
  Tensor cosine, sine;
};

/// Rows of one side of the cells, the asking rows or the keys, with positions of their own: the place in the
/// cell times `stride`, as if the rows between belonged to others.
class Side {
 public:
  explicit Side(const std::vector<std::int32_t>& lengths, std::int32_t stride = 1) : batch_(lengths) {
    for (std::int64_t cell = 0; cell < batch_.cells(); ++cell)
      for (std::int32_t i = 0; i < batch_.length(cell); ++i) positions_.push_back(i * stride);
  }
  Ragged view() const {
    Ragged rows = batch_.view();
    rows.position = {positions_.data(), batch_.rows()};
    return rows;
  }
  std::int64_t rows() const { return batch_.rows(); }
  std::int64_t cells() const { return batch_.cells(); }
  std::int64_t start(std::int64_t cell) const { return batch_.start(cell); }
  std::int64_t length(std::int64_t cell) const { return batch_.length(cell); }
  std::int32_t position(std::int64_t row) const { return positions_[static_cast<std::size_t>(row)]; }
  std::int64_t positionsEnd() const {
    return positions_.empty() ? 1 : *std::max_element(positions_.begin(), positions_.end()) + 1;
  }

 private:
  RaggedBatch batch_;
  std::vector<std::int32_t> positions_;
};

/// Attention and its gradient in float64, straight from the definition.
class Reference {
 public:
  Reference(const Side& asking, const Side& keys, std::int64_t heads, std::int64_t headDim,
            const RotaryTensors* rotary)
      : asking_(asking), keys_(keys), heads_(heads), headDim_(headDim), rotary_(rotary) {}

  std::vector<double> out, logSumExp, dquery, dkeyValue;

  void forward(const std::vector<double>& query, const std::vector<double>& keyValue) {
    out.assign(at(asking_.rows() * heads_ * headDim_), 0);
    logSumExp.assign(at(asking_.rows() * heads_), 0);
    eachHead([&](std::int64_t cell, std::int64_t head) {
      const HeadOf own = take(query, keyValue, cell, head);
      for (std::int64_t i = 0; i < own.rows; ++i)
        for (std::int64_t j = 0; j < own.keys; ++j)
          for (std::int64_t d = 0; d < headDim_; ++d)
            out[askingAt(cell, head, i) + at(d)] += own.p[at(i * own.keys + j)] * own.v[at(j * headDim_ + d)];
    });
  }

  /// After forward.
  void backward(const std::vector<double>& query, const std::vector<double>& keyValue,
                const std::vector<double>& dout) {
    dquery.assign(at(asking_.rows() * heads_ * headDim_), 0);
    dkeyValue.assign(at(2 * keys_.rows() * heads_ * headDim_), 0);
    const double scale = 1 / std::sqrt(static_cast<double>(headDim_));
    eachHead([&](std::int64_t cell, std::int64_t head) {
      const HeadOf own = take(query, keyValue, cell, head);
      std::vector<double> dq(own.q.size()), dk(own.k.size()), dv(own.v.size());
      for (std::int64_t i = 0; i < own.rows; ++i) {
        std::vector<double> dp(at(own.keys));
        double mean = 0;
        for (std::int64_t j = 0; j < own.keys; ++j) {
          const double p = own.p[at(i * own.keys + j)];
          for (std::int64_t d = 0; d < headDim_; ++d) {
            dp[at(j)] += dout[askingAt(cell, head, i) + at(d)] * own.v[at(j * headDim_ + d)];
            dv[at(j * headDim_ + d)] += p * dout[askingAt(cell, head, i) + at(d)];
          }
          mean += p * dp[at(j)];
        }
        for (std::int64_t j = 0; j < own.keys; ++j) {
          const double ds = own.p[at(i * own.keys + j)] * (dp[at(j)] - mean) * scale;
          for (std::int64_t d = 0; d < headDim_; ++d) {
            dq[at(i * headDim_ + d)] += ds * own.k[at(j * headDim_ + d)];
            dk[at(j * headDim_ + d)] += ds * own.q[at(i * headDim_ + d)];
          }
        }
      }
      rotate(dq, asking_, cell, -1);
      rotate(dk, keys_, cell, -1);
      for (std::int64_t i = 0; i < own.rows; ++i)
        for (std::int64_t d = 0; d < headDim_; ++d)
          dquery[askingAt(cell, head, i) + at(d)] = dq[at(i * headDim_ + d)];
      for (std::int64_t j = 0; j < own.keys; ++j) {
        for (std::int64_t d = 0; d < headDim_; ++d) {
          dkeyValue[keyAt(cell, head, 0, j) + at(d)] = dk[at(j * headDim_ + d)];
          dkeyValue[keyAt(cell, head, 1, j) + at(d)] = dv[at(j * headDim_ + d)];
        }
      }
    });
  }

 private:
  /// One head of one cell: q, k (rotated) and v, and the probabilities [rows, keys].
  struct HeadOf {
    std::int64_t rows, keys;
    std::vector<double> q, k, v, p;
  };

  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  std::size_t askingAt(std::int64_t cell, std::int64_t head, std::int64_t i) const {
    return at(((asking_.start(cell) + i) * heads_ + head) * headDim_);
  }
  std::size_t keyAt(std::int64_t cell, std::int64_t head, std::int64_t which, std::int64_t j) const {
    return at((((keys_.start(cell) + j) * 2 + which) * heads_ + head) * headDim_);
  }

  template <class Body>
  void eachHead(const Body& body) const {
    for (std::int64_t cell = 0; cell < asking_.cells(); ++cell)
      for (std::int64_t head = 0; head < heads_; ++head) body(cell, head);
  }

  /// direction 1 rotates, -1 rotates back.
  void rotate(std::vector<double>& values, const Side& side, std::int64_t cell, double direction) const {
    if (rotary_ == nullptr) return;
    const std::int64_t half = headDim_ / 2;
    for (std::int64_t i = 0; i < side.length(cell); ++i) {
      const std::int64_t position = side.position(side.start(cell) + i);
      for (std::int64_t d = 0; d < half; ++d) {
        const double c = static_cast<double>(rotary_->cosine.at(position, d));
        const double s = direction * static_cast<double>(rotary_->sine.at(position, d));
        double& a = values[at(i * headDim_ + d)];
        double& b = values[at(i * headDim_ + half + d)];
        const double before = a;
        a = before * c - b * s;
        b = b * c + before * s;
      }
    }
  }

  HeadOf take(const std::vector<double>& query, const std::vector<double>& keyValue, std::int64_t cell,
              std::int64_t head) {
    HeadOf own{asking_.length(cell), keys_.length(cell), {}, {}, {}, {}};
    const auto append = [&](std::vector<double>& to, const std::vector<double>& from, std::size_t first) {
      for (std::int64_t d = 0; d < headDim_; ++d) to.push_back(from[first + at(d)]);
    };
    for (std::int64_t i = 0; i < own.rows; ++i) append(own.q, query, askingAt(cell, head, i));
    for (std::int64_t j = 0; j < own.keys; ++j) {
      append(own.k, keyValue, keyAt(cell, head, 0, j));
      append(own.v, keyValue, keyAt(cell, head, 1, j));
    }
    rotate(own.q, asking_, cell, 1);
    rotate(own.k, keys_, cell, 1);
    const double scale = 1 / std::sqrt(static_cast<double>(headDim_));
    own.p.resize(at(own.rows * own.keys));
    for (std::int64_t i = 0; i < own.rows; ++i) {
      double total = 0;
      for (std::int64_t j = 0; j < own.keys; ++j) {
        double score = 0;
        for (std::int64_t d = 0; d < headDim_; ++d)
          score += own.q[at(i * headDim_ + d)] * own.k[at(j * headDim_ + d)];
        own.p[at(i * own.keys + j)] = std::exp(score * scale);
        total += own.p[at(i * own.keys + j)];
      }
      for (std::int64_t j = 0; j < own.keys; ++j) own.p[at(i * own.keys + j)] /= total;
      logSumExp[at((asking_.start(cell) + i) * heads_ + head)] = std::log(total);
    }
    return own;
  }

  const Side &asking_, &keys_;
  std::int64_t heads_, headDim_;
  const RotaryTensors* rotary_;
};

struct Case {
  std::vector<std::int32_t> lengths;
  std::int64_t heads, headDim;
  bool rotary;
  std::vector<std::int32_t> keyLengths = {};  // empty: the asking rows are the keys
};

// Empty and one-token cells, cells shorter and longer than a tile and than a block of keys or queries, head
// widths below, at and above a panel, and one that is no multiple of any vector.
const std::vector<Case> cases = {
    {{1, 0, 17, 3, 0}, 2, 32, true}, {{5, 300, 1}, 1, 64, true},  {{40, 13}, 2, 128, true},
    {{113, 14, 57}, 2, 64, false},   {{1}, 1, 2, true},           {{30, 29}, 3, 6, true},
    {{500}, 1, 32, false},           {{20, 33, 1}, 2, 160, true},
};

// Keys of their own: more and fewer than ask, one, more than a block of them, and some that nobody asks.
const std::vector<Case> casesOfKeys = {
    {{1, 0, 17, 3, 0}, 2, 32, true, {4, 9, 1, 2, 0}},
    {{300, 2}, 1, 64, true, {5, 70}},
    {{40, 0, 13, 1}, 2, 128, true, {13, 5, 90, 1}},
    {{7, 90}, 2, 64, false, {290, 1}},
    {{9}, 3, 6, true, {4}},
    {{31, 0}, 2, 160, true, {12, 20}},
};

/// The same of lengths drawn at random, about half of them 0 or 1.
std::vector<Case> randomCases() {
  std::vector<Case> drawn;
  for (std::uint32_t name = 0; name < 6; ++name) {
    const auto draw = [&](std::uint32_t which, std::int32_t most) {
      const float u = (randomValues(1000 + 100 * name + which, 1)[0] + 1) / 2;
      return static_cast<std::int32_t>(u * static_cast<float>(most + 1));
    };
    const std::int32_t cells = 1 + draw(0, 3);
    Case c{{}, 1 + draw(1, 1), 2 * (1 + draw(2, 31)), name % 2 == 0, {}};
    for (std::int32_t cell = 0; cell < cells; ++cell) {
      const auto which = static_cast<std::uint32_t>(cell);
      c.lengths.push_back(draw(3 + which, 1) == 0 ? draw(6 + which, 1) : draw(6 + which, 140));
      c.keyLengths.push_back(1 + draw(30 + which, draw(40 + which, 1) == 0 ? 2 : 140));
    }
    drawn.push_back(c);
  }
  return drawn;
}

/// Columns first .. first + count - 1, row by row.
std::vector<float> columnsOf(const Tensor& tensor, std::int64_t first, std::int64_t count) {
  std::vector<float> values;
  for (std::int64_t row = 0; row < tensor.rows(); ++row)
    for (std::int64_t col = first; col < first + count; ++col) values.push_back(tensor.at(row, col));
  return values;
}
std::vector<double> widened(const std::vector<float>& values) { return {values.begin(), values.end()}; }

/// Forward and backward. Where rows attend to themselves, q, k and v are columns of one matrix, and so are
/// their gradients; keys of their own are numbered by threes.
struct Run {
  Run(Backend& backend, const Case& c, DType type, std::int64_t padding)
      : dim(c.heads * c.headDim),
        together(c.keyLengths.empty()),
        asking(c.lengths),
        keys(together ? c.lengths : c.keyLengths, together ? 1 : 3),
        rotary(std::max(asking.positionsEnd(), keys.positionsEnd()), c.headDim),
        first(Tensor::random(1, asking.rows(), together ? 3 * dim : dim, type, 2, padding)),
        second(Tensor::random(7, together ? 0 : keys.rows(), 2 * dim, type, 2, padding)),
        dout(Tensor::random(2, asking.rows(), dim, type, 1, padding)),
        out(asking.rows(), dim, type, padding),
        logSumExp(asking.rows(), c.heads, DType::f32, padding),
        dfirst(asking.rows(), first.cols(), type, padding),
        dsecond(second.rows(), second.cols(), type, padding) {
    const RotaryTable table = c.rotary ? rotary.view() : RotaryTable{};
    const auto query = [&](Tensor& one) { return one.view().columns(0, dim); };
    const auto keyValue = [&](Tensor& one, Tensor& other) {
      return together ? one.view().columns(dim, 2 * dim) : other.view();
    };
    dfirst.fill(7);
    dsecond.fill(7);
    backend.run(Attention{.query = query(first),
                          .keyValue = keyValue(first, second),
                          .cells = asking.view(),
                          .keys = keys.view(),
                          .heads = c.heads,
                          .rotary = table,
                          .out = out.view(),
                          .logSumExp = logSumExp.view()});
    backend.run(AttentionGradient{.query = query(first),
                                  .keyValue = keyValue(first, second),
                                  .out = out.view(),
                                  .dout = dout.view(),
                                  .logSumExp = logSumExp.view(),
                                  .cells = asking.view(),
                                  .keys = keys.view(),
                                  .heads = c.heads,
                                  .rotary = table,
                                  .dquery = query(dfirst),
                                  .dkeyValue = keyValue(dfirst, dsecond)});
  }
  std::vector<float> query() const { return columnsOf(first, 0, dim); }
  std::vector<float> keyValue() const { return together ? columnsOf(first, dim, 2 * dim) : second.values(); }
  std::vector<float> dquery() const { return columnsOf(dfirst, 0, dim); }
  std::vector<float> dkeyValue() const {
    return together ? columnsOf(dfirst, dim, 2 * dim) : dsecond.values();
  }

  std::int64_t dim;
  bool together;
  Side asking, keys;
  RotaryTensors rotary;
  Tensor first, second, dout, out, logSumExp, dfirst, dsecond;
};

/// Whether the backend's bf16 attention rounds what it multiplies.
bool onMatrixUnits(const Backend& backend) {
  const std::string device = backend.describe();
  return device.starts_with("cuda") || device.find("bf16") != std::string::npos ||
         device.find("amx") != std::string::npos;
}

template <class T>
std::vector<T> joined(std::vector<T> some, const std::vector<T>& others) {
  some.insert(some.end(), others.begin(), others.end());
  return some;
}

void checkAgreement(Backend& backend, DType type, const std::vector<Case>& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Case& c = all[i];
    // Rows begin at multiples of 16 bytes in every other case.
    const Run run(backend, c, type, i % 2 == 0 ? 6 : 8);
    const auto query = widened(run.query()), keyValue = widened(run.keyValue());
    Reference reference(run.asking, run.keys, c.heads, c.headDim, c.rotary ? &run.rotary : nullptr);
    reference.forward(query, keyValue);
    checkAgainst(run.out.values(), reference.out, tolerance(type));
    // Matrix units take rotated heads rounded to bf16. One near 0 is what is left of larger scores: beside 1.
    const bool rounds = type == DType::bf16 && onMatrixUnits(backend);
    checkAgainst(joined(run.logSumExp.values(), {1}), joined(reference.logSumExp, {1}),
                 rounds ? 0x1p-9 : 1e-6);
    reference.backward(query, keyValue, run.dout.doubles());
    // In bf16 D comes from the rounded output. Both at once: where there is one key, dquery is 0 but for
    // rounding.
    checkAgainst(joined(run.dquery(), run.dkeyValue()), joined(reference.dquery, reference.dkeyValue),
                 type == DType::f32 ? 2e-6 : 0x1p-7);
    for (const Tensor* written : {&run.out, &run.logSumExp, &run.dfirst, &run.dsecond}) written->checkGaps();
  }
}

const PerInstructionSet agreement("attention and its gradient stay within each cell and agree with float64",
                                  [](Backend& backend, DType type) { checkAgreement(backend, type, cases); });

const PerInstructionSet agreementOfKeys(
    "asking rows attend to their cell's keys alone, forward and backward, and agree with float64",
    [](Backend& backend, DType type) {
      checkAgreement(backend, type, casesOfKeys);
      checkAgreement(backend, type, randomCases());
    });

DDSC_TEST("the gradient the attention tests expect agrees with finite differences") {
  for (const Case& c :
       {Case{{4, 1, 0, 7}, 2, 6, true}, Case{{3, 5}, 1, 4, false}, Case{{4, 0, 2}, 2, 6, true, {3, 2, 5}}}) {
    const bool together = c.keyLengths.empty();
    const Side asking(c.lengths), keys(together ? c.lengths : c.keyLengths, together ? 1 : 3);
    const RotaryTensors rotary(std::max(asking.positionsEnd(), keys.positionsEnd()), c.headDim);
    Reference reference(asking, keys, c.heads, c.headDim, c.rotary ? &rotary : nullptr);
    const std::int64_t dim = c.heads * c.headDim;
    auto query = Tensor::random(3, asking.rows(), dim).doubles();
    auto keyValue = Tensor::random(5, keys.rows(), 2 * dim).doubles();
    const auto dout = Tensor::random(4, asking.rows(), dim).doubles();
    reference.forward(query, keyValue);
    reference.backward(query, keyValue, dout);
    const auto dquery = reference.dquery, dkeyValue = reference.dkeyValue;
    const auto loss = [&] {
      reference.forward(query, keyValue);
      double sum = 0;
      for (std::size_t i = 0; i < dout.size(); ++i) sum += dout[i] * reference.out[i];
      return sum;
    };
    checkDifferences(query, dquery, loss);
    checkDifferences(keyValue, dkeyValue, loss);
  }
}

DDSC_TEST("attention gives the same bits on any number of threads") {
  for (const Case& c :
       {Case{{700}, 1, 32, true}, Case{{33, 1, 250, 0, 40}, 2, 64, true}, Case{{2300}, 1, 32, true, {37}},
        Case{{3}, 1, 32, true, {1300}}, Case{{600, 0, 1}, 2, 64, false, {40, 1100, 520}}}) {
    for (const DType type : {DType::f32, DType::bf16}) {
      checkThreadsAgree([&](Backend& backend) {
        const Run run(backend, c, type, 0);
        std::vector<float> all = run.out.values();
        for (const Tensor* part : {&run.logSumExp, &run.dfirst, &run.dsecond})
          all = joined(std::move(all), part->values());
        return all;
      });
    }
  }
}

const PerInstructionSet unasked("the gradients of keys that nobody asks are zero", [](Backend& backend,
                                                                                      DType type) {
  // With more keys than one part of a head's backward, and where no cell has an asking row.
  for (const Case& c : {Case{{0, 3, 0}, 1, 32, true, {1200, 2, 5}}, Case{{0, 0}, 2, 20, false, {3, 40}}}) {
    const Run run(backend, c, type, 0);
    const auto all = run.dkeyValue();
    for (std::int64_t cell = 0; cell < run.keys.cells(); ++cell) {
      if (run.asking.length(cell) > 0) continue;
      const auto first = static_cast<std::size_t>(run.keys.start(cell) * 2 * run.dim);
      const auto count = static_cast<std::size_t>(run.keys.length(cell) * 2 * run.dim);
      for (const float value : std::span(all).subspan(first, count)) checkEqual(value, 0.0f);
    }
  }
});

const PerInstructionSet oneKey("the attention to a single key is its value", [](Backend& backend,
                                                                                DType type) {
  const Run run(backend, {{50, 0, 1}, 1, 16, true, {1, 1, 1}}, type, 0);
  const auto keyValue = run.keyValue(), out = run.out.values();
  for (std::int64_t row = 0; row < 51; ++row) {
    const std::int64_t key = row < 50 ? 0 : 2;
    checkSameBits(std::span(out).subspan(static_cast<std::size_t>(row * 16), 16),
                  std::span(keyValue).subspan(static_cast<std::size_t>((key * 2 + 1) * 16), 16));
  }
});

const PerInstructionSet none("attention of no cells does nothing", [](Backend& backend, DType type) {
  const Side empty(std::vector<std::int32_t>{});
  Tensor narrow(0, 8, type), wide(0, 16, type), logSumExp(0, 2);
  backend.run(Attention{.query = narrow.view(),
                        .keyValue = wide.view(),
                        .cells = empty.view(),
                        .keys = empty.view(),
                        .heads = 2,
                        .rotary = {},
                        .out = narrow.view(),
                        .logSumExp = logSumExp.view()});
  backend.run(AttentionGradient{.query = narrow.view(),
                                .keyValue = wide.view(),
                                .out = narrow.view(),
                                .dout = narrow.view(),
                                .logSumExp = logSumExp.view(),
                                .cells = empty.view(),
                                .keys = empty.view(),
                                .heads = 2,
                                .rotary = {},
                                .dquery = narrow.view(),
                                .dkeyValue = wide.view()});
});

const PerInstructionSet independence(
    "an asking row's attention and its gradient are the same to the bit whatever other rows ask",
    [](Backend& backend, DType type) {
      const std::int64_t headDim = 32, heads = 2, dim = heads * headDim;
      const RaggedBatch whole({150, 3, 70}), keys({260, 1, 33});
      RotaryTensors rotary(260, headDim);
      const Tensor query = Tensor::random(11, whole.rows(), dim, type);
      const Tensor keyValue = Tensor::random(12, keys.rows(), 2 * dim, type);
      const Tensor dout = Tensor::random(13, whole.rows(), dim, type);
      struct Answer {
        std::vector<float> out, logSumExp, dquery;
      };
      // Attention of some of the rows, at the positions they have among all.
      const auto ask = [&](const std::vector<std::int64_t>& rows) {
        std::vector<std::int32_t> offsets(1), cell, position;
        for (std::int64_t c = 0; c < whole.cells(); ++c) {
          for (const std::int64_t row : rows) {
            if (row < whole.start(c) || row >= whole.start(c + 1)) continue;
            cell.push_back(static_cast<std::int32_t>(c));
            position.push_back(static_cast<std::int32_t>(row - whole.start(c)));
          }
          offsets.push_back(static_cast<std::int32_t>(cell.size()));
        }
        const auto count = static_cast<std::int64_t>(rows.size());
        Ragged asking = whole.view();
        asking.offsets = {offsets.data(), static_cast<std::int64_t>(offsets.size())};
        asking.cell = {cell.data(), count};
        asking.position = {position.data(), count};
        asking.longest = 0;
        for (std::size_t c = 0; c + 1 < offsets.size(); ++c)
          asking.longest = std::max(asking.longest, offsets[c + 1] - offsets[c]);
        Tensor someQuery(count, dim, type), someDout(count, dim, type);
        for (std::int64_t i = 0; i < count; ++i) {
          for (std::int64_t col = 0; col < dim; ++col) {
            someQuery.set(i, col, query.at(rows[static_cast<std::size_t>(i)], col));
            someDout.set(i, col, dout.at(rows[static_cast<std::size_t>(i)], col));
          }
        }
        Tensor out(count, dim, type), logSumExp(count, heads), dquery(count, dim, type),
            dkeyValue(keys.rows(), 2 * dim, type);
        const RotaryTable table = rotary.view();
        backend.run(Attention{.query = someQuery.view(),
                              .keyValue = keyValue.view(),
                              .cells = asking,
                              .keys = keys.view(),
                              .heads = heads,
                              .rotary = table,
                              .out = out.view(),
                              .logSumExp = logSumExp.view()});
        backend.run(AttentionGradient{.query = someQuery.view(),
                                      .keyValue = keyValue.view(),
                                      .out = out.view(),
                                      .dout = someDout.view(),
                                      .logSumExp = logSumExp.view(),
                                      .cells = asking,
                                      .keys = keys.view(),
                                      .heads = heads,
                                      .rotary = table,
                                      .dquery = dquery.view(),
                                      .dkeyValue = dkeyValue.view()});
        return Answer{out.values(), logSumExp.values(), dquery.values()};
      };
      std::vector<std::int64_t> all(static_cast<std::size_t>(whole.rows()));
      std::iota(all.begin(), all.end(), 0);
      const Answer together = ask(all);
      for (const std::int64_t step : {2, 7, 41}) {
        std::vector<std::int64_t> rows;
        for (std::int64_t row = step / 2; row < whole.rows(); row += step) rows.push_back(row);
        const Answer some = ask(rows);
        for (std::size_t i = 0; i < rows.size(); ++i) {
          const auto same = [&](const std::vector<float>& few, const std::vector<float>& many,
                                std::int64_t cols) {
            const auto width = static_cast<std::size_t>(cols);
            checkSameBits(std::span(few).subspan(i * width, width),
                          std::span(many).subspan(static_cast<std::size_t>(rows[i]) * width, width));
          };
          same(some.out, together.out, dim);
          same(some.logSumExp, together.logSumExp, heads);
          same(some.dquery, together.dquery, dim);
        }
      }
    });

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
                                const ConstMatrix all = qkv.view();
                                backend.run(Attention{.query = all.columns(0, headDim),
                                                      .keyValue = all.columns(headDim, 2 * headDim),
                                                      .cells = batch.view(),
                                                      .keys = batch.view(),
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
                                const ConstMatrix whole = qkv.view(), part = whole.slice(90, 31);
                                backend.run(Attention{.query = whole.columns(0, dim),
                                                      .keyValue = whole.columns(dim, 2 * dim),
                                                      .cells = together.view(),
                                                      .keys = together.view(),
                                                      .heads = 1,
                                                      .rotary = {},
                                                      .out = out.view(),
                                                      .logSumExp = logSumExp.view()});
                                backend.run(Attention{.query = part.columns(0, dim),
                                                      .keyValue = part.columns(dim, 2 * dim),
                                                      .cells = single.view(),
                                                      .keys = single.view(),
                                                      .heads = 1,
                                                      .rotary = {},
                                                      .out = outAlone.view(),
                                                      .logSumExp = logSumExpAlone.view()});
                                const auto all = out.values();
                                checkSameBits(std::span(all).subspan(90 * dim, 31 * dim), outAlone.values());
                              });

}  // namespace
}  // namespace ddsc::test
