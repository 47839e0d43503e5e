#include "model/parameters.h"

#include <algorithm>
#include <cmath>

#include "core/errors.h"
#include "core/random.h"

namespace ddsc {

namespace {
constexpr std::int64_t kAlignment = 16;  // floats: one 64-byte line
}  // namespace

class Placer {
 public:
  Parameter matrix(std::string name, std::int64_t rows, std::int64_t cols, Start start, double bound = 0) {
    return place({std::move(name), {rows, cols}, 0, rows, cols, start, bound});
  }
  Parameter vector(std::string name, std::int64_t size, Start start, double bound = 0) {
    return place({std::move(name), {size}, 0, 1, size, start, bound});
  }
  /// From here on parameters follow one another without gaps, until the next `align`.
  void pack() { packed_ = true; }
  void align() {
    packed_ = false;
    next_ = (next_ + kAlignment - 1) / kAlignment * kAlignment;
  }
  std::int64_t end() const { return next_; }

 private:
  Parameter place(Parameter parameter) {
    if (!packed_) align();
    parameter.offset = next_;
    next_ += parameter.size();
    return parameter;
  }

  std::int64_t next_ = 0;
  bool packed_ = false;
};

namespace {

double fanIn(std::int64_t inputs) { return 1.0 / std::sqrt(static_cast<double>(inputs)); }

NumberMap numberMap(Placer& placer, const std::string& prefix, std::int64_t width) {
  return {placer.matrix(prefix + ".mlp.0.weight", width, kTimeFeatures, Start::uniform, fanIn(kTimeFeatures)),
          placer.vector(prefix + ".mlp.0.bias", width, Start::uniform, fanIn(kTimeFeatures)),
          placer.matrix(prefix + ".mlp.2.weight", width, width, Start::uniform, fanIn(width)),
          placer.vector(prefix + ".mlp.2.bias", width, Start::uniform, fanIn(width))};
}

/// Rows `first` to `first + rows` - 1 of a matrix.
Parameter rowsOf(const Parameter& whole, std::int64_t first, std::int64_t rows) {
  Parameter part;
  part.offset = whole.offset + first * whole.cols;
  part.rows = rows;
  part.cols = whole.cols;
  return part;
}

Parameter spanning(const Parameter& first, const Parameter& last, std::int64_t cols) {
  Parameter whole;
  whole.offset = first.offset;
  const std::int64_t size = last.offset + last.size() - first.offset;
  whole.rows = size / cols;
  whole.cols = cols;
  return whole;
}

}  // namespace

ParameterLayout::ParameterLayout(const DenoiserConfig& c) {
  const std::int64_t d = c.hidden, cond = c.condDim;
  Placer placer;
  rankTable = placer.matrix("vocab_embed.embedding", c.vocabSize, d, Start::uniform, fanIn(d));
  geneTable = placer.matrix("cond_embed.embedding", c.geneVocabSize, d, Start::uniform, fanIn(d));
  time = numberMap(placer, "sigma_map", cond);
  for (std::int64_t i = 0; i < c.blocks; ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    BlockParameters b;
    b.norm1 = placer.vector(prefix + "norm1.weight", d, Start::one);
    b.norm2 = placer.vector(prefix + "norm2.weight", d, Start::one);
    b.qkv = placer.matrix(prefix + "attn_qkv.weight", 3 * d, d, Start::uniform, fanIn(d));
    b.attentionOut = placer.matrix(prefix + "attn_out.weight", d, d, Start::uniform, fanIn(d));
    b.mlpIn = placer.matrix(prefix + "mlp.0.weight", 4 * d, d, Start::uniform, fanIn(d));
    b.mlpInBias = placer.vector(prefix + "mlp.0.bias", 4 * d, Start::uniform, fanIn(d));
    b.mlpOut = placer.matrix(prefix + "mlp.2.weight", d, 4 * d, Start::uniform, fanIn(4 * d));
    b.mlpOutBias = placer.vector(prefix + "mlp.2.bias", d, Start::uniform, fanIn(4 * d));
    b.query = rowsOf(b.qkv, 0, d);
    b.keyValue = rowsOf(b.qkv, d, 2 * d);
    blocks.push_back(std::move(b));
  }
  finalNorm = placer.vector("output_layer.norm_final.weight", d, Start::one);
  head = placer.matrix("output_layer.linear.weight", c.vocabSize, d, Start::zero);
  headBias = placer.vector("output_layer.linear.bias", c.vocabSize, Start::zero);

  placer.align();
  placer.pack();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".adaLN_modulation.";
    blocks[i].modulation = placer.matrix(prefix + "weight", 6 * d, cond, Start::zero);
  }
  headModulation = placer.matrix("output_layer.adaLN_modulation.weight", 2 * d, cond, Start::zero);
  placer.align();
  placer.pack();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".adaLN_modulation.";
    blocks[i].modulationBias = placer.vector(prefix + "bias", 6 * d, Start::zero);
  }
  headModulationBias = placer.vector("output_layer.adaLN_modulation.bias", 2 * d, Start::zero);
  placer.align();
  if (c.ofCounts()) placeCounts(c, placer);
  size = placer.end();

  allModulation = spanning(blocks.front().modulation, headModulation, cond);
  allModulationBias = spanning(blocks.front().modulationBias, headModulationBias, 1);
}

void ParameterLayout::placeCounts(const DenoiserConfig& c, Placer& placer) {
  const std::int64_t d = c.hidden, cond = c.condDim;
  numbers = {time, numberMap(placer, "depth_map", cond), numberMap(placer, "seen_map", cond),
             numberMap(placer, "total_map", cond)};
  nullRow = {-1, -1, -1, 0};
  placer.align();
  stateBegin = placer.end();
  factor = placer.matrix("factor.weight", c.geneVocabSize, c.state, Start::zero);
  cellState = placer.matrix("cell_state.weight", c.state, d, Start::uniform, fanIn(d));
  cellStateBias = placer.vector("cell_state.bias", c.state, Start::uniform, fanIn(d));
  if (c.learntSizes) logSize = placer.vector("log_size", c.geneVocabSize, Start::zero);
  if (c.summary > 0) {
    summaryIn = placer.matrix("summary.0.weight", d, c.summary, Start::uniform, fanIn(c.summary));
    summaryInBias = placer.vector("summary.0.bias", d, Start::zero);
    summaryOut = placer.matrix("summary.2.weight", c.state, d, Start::uniform, fanIn(d) / 2);
    summaryOutBias = placer.vector("summary.2.bias", c.state, Start::zero);
  }
  placer.align();
  stateEnd = placer.end();
  if (c.sizesByState) sizeFactor = placer.matrix("size_factor.weight", c.geneVocabSize, c.state, Start::zero);
  placer.align();
  sizesEnd = placer.end();
  for (std::size_t i = 0; i < c.conditions.size(); ++i)
    if (c.conditions[i] == 0) numbers.push_back(numberMap(placer, "conditions." + std::to_string(i), cond));

  placer.align();
  placer.pack();
  labelTables.push_back(placer.vector("total_null", cond, Start::zero));
  std::int64_t row = 1;
  for (std::size_t i = 0; i < c.conditions.size(); ++i) {
    const std::string prefix = "conditions." + std::to_string(i);
    const std::int64_t count = c.conditions[i];
    (count == 0 ? nullRow : labelRow).push_back(row);
    labelTables.push_back(placer.vector(prefix + ".null", cond, Start::zero));
    if (count > 0)
      labelTables.push_back(placer.matrix(prefix + ".embedding", count, cond, Start::uniform, fanIn(cond)));
    row += 1 + count;
  }
  placer.align();
  labels.offset = labelTables.front().offset;
  labels.rows = row;
  labels.cols = cond;
}

std::vector<const Parameter*> ParameterLayout::all() const {
  std::vector<const Parameter*> list = {&rankTable, &geneTable};
  const auto add = [&list](const NumberMap& map) {
    list.insert(list.end(), {&map.in, &map.inBias, &map.out, &map.outBias});
  };
  add(time);
  for (const BlockParameters& b : blocks) {
    list.insert(list.end(), {&b.norm1, &b.norm2, &b.qkv, &b.attentionOut, &b.mlpIn, &b.mlpInBias, &b.mlpOut,
                             &b.mlpOutBias, &b.modulation, &b.modulationBias});
  }
  list.insert(list.end(), {&finalNorm, &head, &headBias, &headModulation, &headModulationBias});
  if (numbers.empty()) return list;
  for (std::size_t i = 1; i < numbers.size(); ++i) add(numbers[i]);
  list.insert(list.end(), {&factor, &cellState, &cellStateBias});
  if (!logSize.name.empty()) list.push_back(&logSize);
  if (!summaryIn.name.empty())
    list.insert(list.end(), {&summaryIn, &summaryInBias, &summaryOut, &summaryOutBias});
  for (const Parameter& table : labelTables) list.push_back(&table);
  // Last, so that a model without it starts with the same weights.
  if (!sizeFactor.name.empty()) list.push_back(&sizeFactor);
  return list;
}

std::vector<BufferPart> ParameterLayout::finalParts() const {
  std::vector<BufferPart> parts;
  std::int64_t end = finalNorm.offset;
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    parts.push_back({block->norm1.offset, end});
    end = block->norm1.offset;
  }
  parts.push_back({finalNorm.offset, size});
  parts.push_back({0, end});
  return parts;
}

BufferPart OptimizerShare::of(std::int64_t size, std::int64_t other) const {
  const std::int64_t part = ((size + count - 1) / count + kAlignment - 1) / kAlignment * kAlignment;
  return {std::min(size, other * part), std::min(size, (other + 1) * part)};
}

ParameterStore::ParameterStore(Backend& backend, const DenoiserConfig& config, DType compute, bool trainable,
                               OptimizerShare share)
    : backend_(&backend), layout_(config), compute_(compute), trainable_(trainable), share_(share) {
  require(share.count >= 1 && share.index >= 0 && share.index < share.count, "ARGUMENT_RANGE",
          "a share of the optimizer is one of so many");
  own_ = share.of(layout_.size);
  const std::size_t bytes = static_cast<std::size_t>(layout_.size) * sizeof(float);
  const auto take = [&](Buffer& buffer, std::size_t size) { buffer = Buffer(backend, size); };
  take(weights_, bytes);
  if (trainable) {
    for (Buffer* buffer : {&gradient_, &ema_}) take(*buffer, bytes);
    for (Buffer* buffer : {&firstMoment_, &secondMoment_})
      take(*buffer, static_cast<std::size_t>(own_.size()) * sizeof(float));
    take(squares_, sizeof(double));
  }
  if (compute == DType::bf16) take(copy_, bytes / 2);
}

std::size_t ParameterStore::bytes() const {
  std::size_t sum = 0;
  for (const Buffer* buffer :
       {&weights_, &gradient_, &firstMoment_, &secondMoment_, &ema_, &copy_, &emaCopy_, &squares_})
    sum += buffer->bytes();
  return sum;
}

void ParameterStore::clear() {
  for (const Buffer* buffer :
       {&weights_, &gradient_, &firstMoment_, &secondMoment_, &ema_, &copy_, &emaCopy_, &squares_})
    backend_->zero(buffer->as<void>(), buffer->bytes());
}

void ParameterStore::initialise(std::uint64_t seed) {
  std::vector<float> values;
  std::uint64_t number = 0;
  for (const Parameter* p : layout_.all()) {
    values.assign(static_cast<std::size_t>(p->size()), p->start == Start::one ? 1.0f : 0.0f);
    if (p->start == Start::uniform) {
      const Stream stream(seed, Purpose::initialise, 0, number);
      for (std::size_t i = 0; i < values.size(); i += 4) {
        const PhiloxBlock block = philox(stream, static_cast<std::uint32_t>(i / 4));
        for (std::size_t j = 0; j < 4 && i + j < values.size(); ++j) {
          const double unit = static_cast<double>(block.word[j]) / 4294967296.0;
          values[i + j] = static_cast<float>((2 * unit - 1) * p->bound);
        }
      }
    }
    write("weights", p->offset, {values.data(), p->size()});
    if (trainable_) write("ema", p->offset, {values.data(), p->size()});
    ++number;
  }
  if (!trainable_) return;
  for (Buffer* buffer : {&gradient_, &firstMoment_, &secondMoment_})
    backend_->zero(buffer->as<void>(), buffer->bytes());
}

ParameterStore::PendingUpdate ParameterStore::start(const UpdateOptions& o) {
  require(trainable_, "MODEL_BUFFER", "this model was opened for inference and holds no gradient");
  prepare(WeightSource::weights);  // their copies are current then, whether or not the step is applied
  const Span<float> gradient{gradient_.as<float>(), layout_.size};
  const Span<double> squares{squares_.as<double>(), 1};
  backend_->run(SumOfSquares{gradient, squares});

  const auto update = [&](std::int64_t begin, std::int64_t end, double learningRate) {
    const BufferPart part = own_.within({begin, end});
    const std::int64_t count = part.size();
    if (count == 0) return;
    AdamW op;
    op.weights = {weights_.as<float>() + part.begin, count};
    op.firstMoment = {firstMoment_.as<float>() + (part.begin - own_.begin), count};
    op.secondMoment = {secondMoment_.as<float>() + (part.begin - own_.begin), count};
    op.gradient = gradient.part(part.begin, count);
    op.ema = {ema_.as<float>() + part.begin, count};
    if (compute_ == DType::bf16) op.copy = {copy_.as<bf16>() + part.begin, count};
    op.squares = squares;
    op.learningRate = learningRate;
    op.beta1 = o.beta1;
    op.beta2 = o.beta2;
    op.epsilon = o.epsilon;
    op.weightDecay = o.weightDecay;
    op.emaDecay = o.emaDecay;
    op.maxNorm = o.maxNorm;
    op.step = o.step;
    backend_->run(op);
  };
  update(0, layout_.stateBegin, o.learningRate);
  update(layout_.stateBegin, layout_.stateEnd, o.learningRate * o.stateRate);
  update(layout_.stateEnd, layout_.sizesEnd, o.learningRate * o.stateRate * o.sizesRate);
  update(layout_.sizesEnd, layout_.size, o.learningRate);
  emaCopyStale_ = true;
  ++version_;

  PendingUpdate pending(*backend_);
  pending.downloads_.into(pending.squares_, squares);
  pending.downloads_.close();
  return pending;
}

ParameterStore::UpdateResult ParameterStore::PendingUpdate::finish() {
  downloads_.wait();
  const double norm = std::sqrt(squares_.front());
  return {norm, std::isfinite(norm)};
}

void ParameterStore::follow(const UpdateOptions& o) {
  for (const BufferPart part : {BufferPart{0, own_.begin}, BufferPart{own_.end, layout_.size}}) {
    const std::int64_t count = part.size();
    if (count == 0) continue;
    FollowWeights op;
    op.weights = {weights_.as<float>() + part.begin, count};
    op.gradient = {gradient_.as<float>() + part.begin, count};
    op.ema = {ema_.as<float>() + part.begin, count};
    if (compute_ == DType::bf16) op.copy = {copy_.as<bf16>() + part.begin, count};
    op.squares = {squares_.as<double>(), 1};
    op.emaDecay = o.emaDecay;
    backend_->run(op);
  }
  ++version_;
}

ParameterStore::Held ParameterStore::held(const std::string& name) const {
  const BufferPart whole{0, layout_.size};
  if (name == "weights") return {weights_, whole};
  require(trainable_, "MODEL_BUFFER", "this model was opened for inference and holds weights only");
  if (name == "ema") return {ema_, whole};
  if (name == "firstMoment") return {firstMoment_, own_};
  if (name == "secondMoment") return {secondMoment_, own_};
  if (name == "gradient") return {gradient_, whole};
  throw Error("MODEL_BUFFER", "no buffer is called " + name);
}

void ParameterStore::read(const std::string& name, std::int64_t offset, Span<float> to) {
  const auto [from, part] = held(name);
  require(offset >= part.begin && to.size <= part.end - offset, "MODEL_BUFFER",
          "the range lies outside of the buffer");
  backend_->download(to.data, from.as<float>() + (offset - part.begin),
                     static_cast<std::size_t>(to.size) * sizeof(float));
}

void ParameterStore::write(const std::string& name, std::int64_t offset, Span<const float> from) {
  const auto [to, part] = held(name);
  require(offset >= 0 && from.size <= layout_.size - offset, "MODEL_BUFFER",
          "the range lies outside of the buffer");
  const BufferPart kept = part.within({offset, offset + from.size});
  if (kept.size() > 0)
    backend_->upload(to.as<float>() + (kept.begin - part.begin), from.data + (kept.begin - offset),
                     static_cast<std::size_t>(kept.size()) * sizeof(float));
  copyStale_ = emaCopyStale_ = true;
  ++version_;
}

void ParameterStore::prepare(WeightSource source) {
  const bool ema = source == WeightSource::ema;
  require(!ema || trainable_, "MODEL_BUFFER",
          "this model was opened for inference and holds no moving average");
  bool& stale = ema ? emaCopyStale_ : copyStale_;
  if (compute_ != DType::bf16 || !stale) return;
  Buffer& copy = ema ? emaCopy_ : copy_;
  if (copy.bytes() == 0) copy = Buffer(*backend_, static_cast<std::size_t>(layout_.size) * sizeof(bf16));
  backend_->run(Convert{{floats(source), 1, layout_.size, layout_.size, DType::f32},
                        {copy.as<void>(), 1, layout_.size, layout_.size, DType::bf16}});
  stale = false;
  ++version_;
}

const float* ParameterStore::floats(WeightSource source) const {
  return source == WeightSource::ema ? ema_.as<float>() : weights_.as<float>();
}

ConstMatrix ParameterStore::weight(const Parameter& p, WeightSource source) const {
  if (compute_ == DType::f32) return master(p, source);
  const Buffer& copy = source == WeightSource::ema ? emaCopy_ : copy_;
  return {copy.as<bf16>() + p.offset, p.rows, p.cols, p.cols, DType::bf16};
}

ConstMatrix ParameterStore::master(const Parameter& p, WeightSource source) const {
  return {floats(source) + p.offset, p.rows, p.cols, p.cols, DType::f32};
}

Span<const float> ParameterStore::vector(const Parameter& p, WeightSource source) const {
  return {floats(source) + p.offset, p.size()};
}

Matrix ParameterStore::gradient(const Parameter& p) const {
  return {gradient_.as<float>() + p.offset, p.rows, p.cols, p.cols, DType::f32};
}

Span<float> ParameterStore::gradientVector(const Parameter& p) const {
  return {gradient_.as<float>() + p.offset, p.size()};
}

}  // namespace ddsc
