#include "addon/inputs.h"

#include "core/errors.h"

namespace ddsc::addon {

namespace {

template <class Value>
struct Choice {
  const char* name;
  Value value;
};

template <class Value, std::size_t count>
Value choose(const Field& field, const Choice<Value> (&choices)[count]) {
  const std::string given = field.string();
  std::string names;
  for (const Choice<Value>& choice : choices) {
    if (given == choice.name) return choice.value;
    names += (names.empty() ? "" : ", ") + std::string(choice.name);
  }
  throw Error("ARGUMENT_CHOICE",
              "expected one of " + names + " for " + field.name + " but received " + given);
}

Masking masking(const Field& value) {
  enum class Kind { given, draw };
  const Choice<Kind> kinds[] = {{"given", Kind::given}, {"draw", Kind::draw}};
  Masking result;
  if (choose(value["kind"], kinds) == Kind::given) {
    result.noisy = value["noisy"].int32s();
  } else {
    result.moveChance = value["moveChance"].doubles();
    result.seed = value["seed"].natural();
    result.step = value["step"].natural();
  }
  return result;
}

std::vector<float> rounded(const std::vector<double>& values) {
  std::vector<float> result;
  result.reserve(values.size());
  for (const double value : values) result.push_back(static_cast<float>(value));
  return result;
}

}  // namespace

DenoiserConfig denoiserConfig(const Field& value) {
  DenoiserConfig c;
  c.vocabSize = value["vocabSize"].integer();
  c.geneVocabSize = value["geneVocabSize"].integer();
  c.hidden = value["hidden"].integer();
  c.blocks = value["blocks"].integer();
  c.heads = value["heads"].integer();
  c.condDim = value["condDim"].integer();
  c.dropout = value["dropout"].number();
  c.timeConditioning = value["timeConditioning"].boolean();
  c.rotary = value["rotary"].boolean();
  if (const Field counts = value["counts"]; !counts.missing()) {
    c.state = counts["state"].integer();
    c.summary = counts["summary"].integer();
    c.learntSizes = counts["learntSizes"].boolean();
    c.sizesByState = counts["sizesByState"].boolean();
    for (const std::int32_t labels : counts["conditions"].int32s()) c.conditions.push_back(labels);
  }
  return c;
}

DType dtype(const Field& value) {
  const Choice<DType> types[] = {{"fp32", DType::f32}, {"bf16", DType::bf16}};
  return choose(value, types);
}

WeightSource weightSource(const Field& value) {
  if (value.missing()) return WeightSource::weights;
  const Choice<WeightSource> sources[] = {{"weights", WeightSource::weights}, {"ema", WeightSource::ema}};
  return choose(value, sources);
}

Objective objectiveKind(const Field& value) {
  const Choice<Objective> kinds[] = {
      {"subs", Objective::subs}, {"d3pm", Objective::d3pm}, {"sedd", Objective::sedd}};
  return choose(value, kinds);
}

HostNoise lossNoise(const Field& value) {
  HostNoise noise;
  noise.weight = value["weight"].floats();
  noise.sigma = value["sigma"].floats();
  noise.time = value["time"].floats();
  const Field mean = value["meanWeight"];
  if (!mean.missing()) noise.meanWeight = mean.floats();
  return noise;
}

CellBatch cellBatch(const Field& value) {
  return {value["offsets"].int32s(), value["genes"].int32s(), value["tokens"].int32s(),
          value["cells"].naturals()};
}

CountRows countRows(const Field& value) {
  CountRows rows;
  rows.batch = cellBatch(value);
  rows.keys = value["keys"].int32s();
  rows.hidden = value["hidden"].int32s();
  rows.measured = value["measured"].int32s();
  rows.visibleTotal = rounded(value["visibleTotal"].doubles());
  rows.visibleShare = rounded(value["visibleShare"].doubles());
  rows.total = value["total"].floats();
  rows.depth = value["depth"].doubles();
  rows.numbers = value["numbers"].floats();
  rows.labels = value["labels"].int32s();
  if (const Field summary = value["summary"]; !summary.missing()) rows.summary = summary.floats();
  return rows;
}

AnyLossInput lossInput(const Field& value) {
  if (const Field rows = value["rows"]; !rows.missing()) {
    return CountLossInput{countRows(rows), value["answers"].int32s(), value["weight"].floats(),
                          weightSource(value["weights"])};
  }
  LossInput input;
  input.batch = cellBatch(value["batch"]);
  input.masking = masking(value["masking"]);
  const Field noise = value["noise"];
  input.noise = lossNoise(noise);
  input.noise.conditioning = noise["conditioning"].floats();
  const Field objective = value["objective"];
  input.objective = objectiveKind(objective["kind"]);
  if (input.objective == Objective::d3pm) input.steps = objective["steps"].number();
  input.source = weightSource(value["weights"]);
  return input;
}

Prediction::DrawOptions drawOptions(const Field& value) {
  Prediction::DrawOptions o;
  o.objective = objectiveKind(value["objective"]);
  o.reveal = value["reveal"].floats();
  o.stay = value["stay"].floats();
  const Field sigma = value["sigma"];
  if (!sigma.missing()) o.sigma = sigma.floats();
  o.temperature = static_cast<float>(value["temperature"].number());
  o.seed = value["seed"].natural();
  o.step = value["step"].natural();
  const Field places = value["places"];
  if (!places.missing()) o.places = places.int32s();
  return o;
}

ParameterStore::UpdateOptions updateOptions(const Field& value) {
  const Field stateRate = value["stateRate"], sizesRate = value["sizesRate"];
  return {value["learningRate"].number(),
          value["beta1"].number(),
          value["beta2"].number(),
          value["epsilon"].number(),
          value["weightDecay"].number(),
          value["emaDecay"].number(),
          value["maxNorm"].number(),
          value["step"].integer(),
          stateRate.missing() ? 1.0 : stateRate.number(),
          sizesRate.missing() ? 1.0 : sizesRate.number()};
}

Activations activations(const Field& recompute) {
  return !recompute.missing() && recompute.boolean() ? Activations::recompute : Activations::keep;
}

OptimizerShare optimizerShare(const Field& value) {
  if (value.missing()) return {};
  return {value["index"].integer(), value["count"].integer()};
}

Workload workload(const Field& value) {
  using Kind = Workload::Kind;
  const Choice<Kind> kinds[] = {{"train", Kind::training}, {"predict", Kind::prediction}};
  const Field batch = value["batch"];
  Workload w;
  w.kind = choose(value["work"], kinds);
  w.batch = {batch["cells"].integer(), batch["tokens"].integer(), batch["longest"].integer(),
             batch["masked"].integer()};
  w.activations = activations(value["recompute"]);
  w.severalBatches = value["severalBatches"].boolean();
  w.validation = value["validation"].boolean();
  w.share = optimizerShare(value["optimizerShare"]);
  return w;
}

}  // namespace ddsc::addon
