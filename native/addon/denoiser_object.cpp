#include <exception>
#include <utility>

#include "addon/communicator_object.h"
#include "addon/devices.h"
#include "addon/inputs.h"
#include "addon/objects.h"
#include "cluster/weight_exchange.h"

namespace ddsc::addon {

namespace {

/// While it lives, blocks' gradients are summed over the ranks as soon as they are final.
class SummedAsItGoes {
 public:
  SummedAsItGoes(Model& model, const std::shared_ptr<cluster::GradientSum>& sum)
      : model_(model), sum_(sum), failures_(std::uncaught_exceptions()) {
    if (sum != nullptr && sum->goesAlong(model.backend()))
      model_.onBlockDone([&model, sum] { sum->begin(model.parameters()); });
  }
  ~SummedAsItGoes() {
    model_.onBlockDone({});
    // Before anything else is to be done with the device, which would wait for what has begun.
    if (sum_ != nullptr && std::uncaught_exceptions() > failures_) sum_->abandon();
  }
  SummedAsItGoes(const SummedAsItGoes&) = delete;
  SummedAsItGoes& operator=(const SummedAsItGoes&) = delete;

 private:
  Model& model_;
  std::shared_ptr<cluster::GradientSum> sum_;
  int failures_;
};

Napi::Value lossObject(Napi::Env env, LossSums& sums) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("loss", sums.loss);
  result.Set("meanLoss", sums.meanLoss);
  result.Set("maskedTokens", static_cast<double>(sums.maskedTokens));
  result.Set("validTokens", static_cast<double>(sums.validTokens));
  result.Set("crossEntropy", sums.crossEntropy);
  result.Set("correct", static_cast<double>(sums.correct));
  result.Set("cellLoss", toArray(env, sums.cellLoss));
  return result;
}

}  // namespace

Napi::Function DenoiserObject::define(Napi::Env env) {
  return DefineClass(
      env, "Denoiser",
      {InstanceAccessor<&DenoiserObject::parameters>("parameters"),
       InstanceAccessor<&DenoiserObject::bufferSize>("bufferSize"),
       InstanceAccessor<&DenoiserObject::optimizerShareSize>("optimizerShareSize"),
       InstanceAccessor<&DenoiserObject::device>("device"),
       InstanceMethod<&DenoiserObject::initialise>("initialise"),
       InstanceMethod<&DenoiserObject::read>("read"), InstanceMethod<&DenoiserObject::write>("write"),
       InstanceMethod<&DenoiserObject::stage>("stage"),
       InstanceMethod<&DenoiserObject::accumulate>("accumulate"),
       InstanceMethod<&DenoiserObject::evaluate>("evaluate"),
       InstanceMethod<&DenoiserObject::sumGradient>("sumGradient"),
       InstanceMethod<&DenoiserObject::update>("update"), InstanceMethod<&DenoiserObject::predict>("predict"),
       InstanceMethod<&DenoiserObject::predictCounts>("predictCounts"),
       InstanceMethod<&DenoiserObject::setBase>("setBase"),
       InstanceMethod<&DenoiserObject::takeProfile>("takeProfile"),
       InstanceMethod<&DenoiserObject::measureLimits>("measureLimits"),
       InstanceMethod<&DenoiserObject::reserve>("reserve"),
       InstanceMethod<&DenoiserObject::dispose>("dispose")});
}

DenoiserObject::DenoiserObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DenoiserObject>(info) {
  guarded(info.Env(), [&] {
    const Field options = argument(info, 0, "options");
    std::unique_ptr<Backend> backend = makeBackend(options["device"].string());
    if (const Field profile = options["profile"]; !profile.missing() && profile.boolean()) {
      std::unique_ptr<ProfilingBackend> profiler = makeProfilingBackend(std::move(backend));
      profiler_ = profiler.get();
      backend = std::move(profiler);
    }
    thread_ = std::make_shared<ModelThread>(
        info.Env(), std::make_shared<Model>(std::move(backend), denoiserConfig(options["config"]),
                                            dtype(options["dtype"]), options["trainable"].boolean(),
                                            optimizerShare(options["optimizerShare"]), Clearing::later));
  });
}

ModelThread& DenoiserObject::thread() const {
  require(thread_ != nullptr, "MODEL_DISPOSED", "this model was disposed; load or create it again");
  return *thread_;
}

Napi::Value DenoiserObject::parameters(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&]() -> Napi::Value { return parameterList(info.Env(), model().parameters().layout()); });
}

Napi::Value DenoiserObject::bufferSize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(model().parameters().layout().size));
  });
}

Napi::Value DenoiserObject::optimizerShareSize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const ParameterStore& parameters = model().parameters();
    return Napi::Number::New(info.Env(),
                             static_cast<double>(parameters.share().of(parameters.layout().size, 0).size()));
  });
}

Napi::Value DenoiserObject::device(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), model().backend().describe());
  });
}

Napi::Value DenoiserObject::initialise(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::uint64_t seed = argument(info, 0, "seed").natural();
    auto work = [seed](Model& m) {
      m.parameters().initialise(seed);
      return Nothing{};
    };
    return thread().start(info.Env(), std::move(work), undefined);
  });
}

Napi::Value DenoiserObject::read(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::string buffer = argument(info, 0, "buffer").string();
    const std::int64_t offset = argument(info, 1, "offset").integer();
    const std::int64_t size = argument(info, 2, "size").integer();
    require(size >= 0, "ARGUMENT_RANGE", "size must be at least 0");
    auto work = [=](Model& m) {
      std::vector<float> values(static_cast<std::size_t>(size));
      m.parameters().read(buffer, offset, {values.data(), size});
      return values;
    };
    return thread().start(
        info.Env(), std::move(work),
        [](Napi::Env env, std::vector<float>& values) -> Napi::Value { return toArray(env, values); });
  });
}

Napi::Value DenoiserObject::write(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::string buffer = argument(info, 0, "buffer").string();
    const std::int64_t offset = argument(info, 1, "offset").integer();
    auto work = [=, values = argument(info, 2, "values").floats()](Model& m) {
      m.parameters().write(buffer, offset, {values.data(), static_cast<std::int64_t>(values.size())});
      return Nothing{};
    };
    return thread().start(info.Env(), std::move(work), undefined);
  });
}

Napi::Value DenoiserObject::stage(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto batch = std::make_shared<StagedObject::Batch>();
    // What the queue holds goes with the thread.
    thread().runBeside([batch, input = lossInput(argument(info, 0, "input")), model = &model()]() mutable {
      try {
        batch->loss = model->stage(std::move(input));
      } catch (...) {
        batch->failure = std::current_exception();  // for the call that takes the batch
      }
    });
    return StagedObject::make(info.Env(), thread_, batch);
  });
}

Napi::Value DenoiserObject::accumulate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const double scale = argument(info, 1, "gradientScale").number();
    const DropoutStream dropout{argument(info, 2, "dropoutSeed").natural(),
                                argument(info, 3, "step").natural()};
    const Activations kept = activations(argument(info, 4, "recompute"));
    Cancellation cancellation = cancellationOf(argument(info, 5, "cancellation"));
    const Field communicator = argument(info, 6, "communicator");
    gradientSum_ = communicator.missing()
                       ? nullptr
                       : std::make_shared<cluster::GradientSum>(CommunicatorObject::from(communicator.value));
    const Field given = argument(info, 0, "input");
    StagedObject* const staged = StagedObject::from(given.value);
    if (staged == nullptr) {
      auto work = [=, input = lossInput(given), sum = gradientSum_](Model& m) {
        const SummedAsItGoes summed(m, sum);
        return m.accumulate(input, scale, dropout, kept);
      };
      return thread().start(info.Env(), std::move(work), lossObject, std::move(cancellation));
    }
    auto work = [=, batch = staged->take(thread()), own = &thread(), sum = gradientSum_](Model& m) {
      const SummedAsItGoes summed(m, sum);
      if (batch->failure) std::rethrow_exception(batch->failure);
      PendingLoss loss = m.start(*std::move(batch->loss), scale, dropout, kept);
      own->runQueuedBeside();
      return loss.finish();
    };
    return thread().start(info.Env(), std::move(work), lossObject, std::move(cancellation));
  });
}

Napi::Value DenoiserObject::evaluate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto work = [input = lossInput(argument(info, 0, "input"))](Model& m) { return m.evaluate(input); };
    return thread().start(info.Env(), std::move(work), lossObject,
                          cancellationOf(argument(info, 1, "cancellation")));
  });
}

Napi::Value DenoiserObject::sumGradient(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto sum = std::exchange(gradientSum_, nullptr);
    if (sum == nullptr)
      sum = std::make_shared<cluster::GradientSum>(
          CommunicatorObject::from(argument(info, 0, "communicator").value));
    auto work = [sum](Model& m) {
      sum->finish(m.parameters());
      return Nothing{};
    };
    return thread().start(info.Env(), std::move(work), undefined);
  });
}

Napi::Value DenoiserObject::update(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Field given = argument(info, 1, "communicator");
    const auto communicator = given.missing() ? nullptr : CommunicatorObject::from(given.value);
    auto work = [communicator, options = updateOptions(argument(info, 0, "options"))](Model& m) {
      ParameterStore& parameters = m.parameters();
      if (parameters.share().count == 1) return parameters.update(options);
      require(communicator != nullptr, "MODEL_BUFFER",
              "this model holds a share of the optimizer, and no other process to take the rest from");
      ParameterStore::PendingUpdate pending = parameters.start(options);
      cluster::exchangeWeights(*communicator, parameters);
      parameters.follow(options);
      return pending.finish();
    };
    return thread().start(info.Env(), std::move(work),
                          [](Napi::Env env, ParameterStore::UpdateResult& result) -> Napi::Value {
                            Napi::Object object = Napi::Object::New(env);
                            object.Set("gradientNorm", result.gradientNorm);
                            object.Set("applied", result.applied);
                            return object;
                          });
  });
}

Napi::Value DenoiserObject::predict(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Field rows = argument(info, 2, "rows");
    const bool allMasked = rows.missing();
    const WeightSource source = weightSource(argument(info, 3, "weights"));
    auto work = [=, batch = cellBatch(argument(info, 0, "batch")),
                 conditioning = argument(info, 1, "conditioning").floats(),
                 chosen = allMasked ? std::vector<std::int32_t>{} : rows.int32s()](Model& m) {
      return m.predict(batch, conditioning, chosen, allMasked, source);
    };
    const auto finish = [own = thread_](Napi::Env env,
                                        std::shared_ptr<Prediction>& prediction) -> Napi::Value {
      return PredictionObject::make(env, own, std::move(prediction));
    };
    return thread().start(info.Env(), std::move(work), finish,
                          cancellationOf(argument(info, 4, "cancellation")));
  });
}

Napi::Value DenoiserObject::predictCounts(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const WeightSource source = weightSource(argument(info, 1, "weights"));
    auto work = [source, rows = countRows(argument(info, 0, "rows"))](Model& m) {
      return m.predictCounts(rows, source);
    };
    const auto finish = [own = thread_](Napi::Env env,
                                        std::shared_ptr<CountPrediction>& prediction) -> Napi::Value {
      return CountPredictionObject::make(env, own, std::move(prediction));
    };
    return thread().start(info.Env(), std::move(work), finish,
                          cancellationOf(argument(info, 2, "cancellation")));
  });
}

Napi::Value DenoiserObject::setBase(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto work = [share = argument(info, 0, "share").doubles(),
                 size = argument(info, 1, "size").doubles()](Model& m) {
      m.setBase(share, size);
      return Nothing{};
    };
    return thread().start(info.Env(), std::move(work), undefined);
  });
}

Napi::Value DenoiserObject::dispose(const Napi::CallbackInfo& info) {
  thread_.reset();
  return info.Env().Undefined();
}

}  // namespace ddsc::addon
