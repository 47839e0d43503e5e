#include "addon/async.h"
#include "addon/devices.h"
#include "addon/inputs.h"
#include "addon/objects.h"

namespace ddsc::addon {

namespace {

struct Input {
  std::vector<float> logits;
  HostNoise noise;  // without conditioning
  std::vector<std::int32_t> target, cell;
  std::int64_t vocabSize = 0;
  Objective objective = Objective::subs;
  double steps = 0;
  std::string device;
};

struct Output {
  std::vector<float> loss, meanLoss, gradient;
};

Input read(const Field& value) {
  Input in;
  const Field device = value["device"];
  in.device = device.missing() ? "cpu" : device.string();
  in.logits = value["logits"].floats();
  in.vocabSize = value["vocabSize"].integer();
  in.target = value["target"].int32s();
  in.cell = value["cell"].int32s();
  in.noise = lossNoise(value["noise"]);
  in.objective = objectiveKind(value["objective"]["kind"]);
  if (in.objective == Objective::d3pm) in.steps = value["objective"]["steps"].number();

  const auto good = [](bool holds, const char* message) { require(holds, "ARGUMENT_RANGE", message); };
  const std::size_t rows = in.target.size(), cells = in.noise.weight.size();
  good(in.vocabSize > kFirstValue + 1 && in.logits.size() == rows * static_cast<std::size_t>(in.vocabSize),
       "logits must have rows * vocabSize elements");
  good(in.cell.size() == rows, "cell must have one entry a row");
  good(in.noise.sigma.size() == cells && in.noise.time.size() == cells &&
           (in.noise.meanWeight.empty() || in.noise.meanWeight.size() == cells),
       "each noise array must have one entry a cell");
  for (std::size_t i = 0; i < rows; ++i) {
    good(in.target[i] >= 0 && in.target[i] < in.vocabSize - 1, "a target must be a rank token, not the mask");
    good(in.cell[i] >= 0 && static_cast<std::size_t>(in.cell[i]) < cells,
         "a row's cell must be one of the noise arrays'");
  }
  return in;
}

Output compute(const Input& in) {
  const std::unique_ptr<Backend> backend = makeBackend(in.device);
  Workspace workspace(*backend);
  const auto rows = static_cast<std::int64_t>(in.target.size());
  Output out;
  if (rows == 0) return out;
  DiffusionLoss op;
  op.objective = in.objective;
  op.logits = {workspace.upload(in.logits).data, rows, in.vocabSize, in.vocabSize, DType::f32};
  op.target = workspace.upload(in.target);
  op.cell = workspace.upload(in.cell);
  op.noise = {workspace.upload(in.noise.weight),
              workspace.upload(in.noise.sigma),
              workspace.upload(in.noise.time),
              {}};
  op.loss = workspace.span<float>(rows);
  if (!in.noise.meanWeight.empty()) {
    op.noise.meanWeight = workspace.upload(in.noise.meanWeight);
    op.meanLoss = workspace.span<float>(rows);
  }
  op.steps = in.steps;
  op.firstValue = kFirstValue;
  op.dlogits = workspace.matrix(rows, in.vocabSize, DType::f32);
  backend->run(op);
  out.loss = download(*backend, op.loss);
  out.meanLoss = in.noise.meanWeight.empty() ? std::vector<float>(in.target.size(), 0.0f)
                                             : download(*backend, op.meanLoss);
  out.gradient = download(*backend, Span<float>{op.dlogits.as<float>(), rows * in.vocabSize});
  return out;
}

}  // namespace

Napi::Value objectiveLoss(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Job<Output>::start(
        info.Env(), [input = read(argument(info, 0, "input"))] { return compute(input); },
        [](Napi::Env env, Output& output) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("loss", toArray(env, output.loss));
          result.Set("meanLoss", toArray(env, output.meanLoss));
          result.Set("gradient", toArray(env, output.gradient));
          return result;
        });
  });
}

}  // namespace ddsc::addon
