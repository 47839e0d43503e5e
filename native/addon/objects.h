#pragma once
// The JavaScript classes of the addon: see lib/native/denoiser.ts.

#include <napi.h>

#include <exception>
#include <memory>
#include <optional>

#include "addon/model_thread.h"
#include "cluster/gradient_sum.h"
#include "ops/profile.h"

namespace ddsc::addon {

class DenoiserObject final : public Napi::ObjectWrap<DenoiserObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit DenoiserObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value parameters(const Napi::CallbackInfo& info);
  Napi::Value bufferSize(const Napi::CallbackInfo& info);
  Napi::Value optimizerShareSize(const Napi::CallbackInfo& info);
  Napi::Value device(const Napi::CallbackInfo& info);
  Napi::Value initialise(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value stage(const Napi::CallbackInfo& info);
  Napi::Value accumulate(const Napi::CallbackInfo& info);
  Napi::Value evaluate(const Napi::CallbackInfo& info);
  Napi::Value sumGradient(const Napi::CallbackInfo& info);
  Napi::Value update(const Napi::CallbackInfo& info);
  Napi::Value predict(const Napi::CallbackInfo& info);
  Napi::Value predictCounts(const Napi::CallbackInfo& info);
  Napi::Value setBase(const Napi::CallbackInfo& info);
  Napi::Value takeProfile(const Napi::CallbackInfo& info);
  Napi::Value measureLimits(const Napi::CallbackInfo& info);
  Napi::Value reserve(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  /// The model's thread; throws MODEL_DISPOSED after dispose().
  ModelThread& thread() const;
  Model& model() const { return thread().model(); }

  std::shared_ptr<ModelThread> thread_;
  std::shared_ptr<cluster::GradientSum> gradientSum_;  // of the step under way, where ranks share it
  ProfilingBackend* profiler_ = nullptr;               // the model's backend, where a profile was asked for
};

/// A batch that was handed to a model ahead of its turn. It does not keep the model.
class StagedObject final : public Napi::ObjectWrap<StagedObject> {
 public:
  /// The batch once it is staged, or why it cannot be; the thread's alone.
  struct Batch {
    std::optional<StagedLoss> loss;
    std::exception_ptr failure;
  };

  static Napi::Function define(Napi::Env env);
  /// A JavaScript object for a batch that is staged on the thread.
  static Napi::Object make(Napi::Env env, const std::shared_ptr<ModelThread>& thread,
                           std::shared_ptr<Batch> batch);
  explicit StagedObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<StagedObject>(info) {}
  ~StagedObject() override { release(); }

  /// Null for any other value.
  static StagedObject* from(const Napi::Value& value);

  /// The batch, for one call of this thread. Throws MODEL_DISPOSED where it was taken or disposed of,
  /// ARGUMENT_RANGE for another model's.
  std::shared_ptr<Batch> take(const ModelThread& thread);

 private:
  Napi::Value dispose(const Napi::CallbackInfo& info);
  void release();

  std::weak_ptr<ModelThread> thread_;
  std::shared_ptr<Batch> batch_;
};

class PredictionObject final : public Napi::ObjectWrap<PredictionObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /// A JavaScript object for a prediction.
  static Napi::Object make(Napi::Env env, std::shared_ptr<ModelThread> thread,
                           std::shared_ptr<Prediction> prediction);
  explicit PredictionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PredictionObject>(info) {}
  ~PredictionObject() override { release(); }

 private:
  Napi::Value rows(const Napi::CallbackInfo& info);
  Napi::Value logits(const Napi::CallbackInfo& info);
  Napi::Value statistics(const Napi::CallbackInfo& info);
  Napi::Value draw(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  const std::shared_ptr<Prediction>& prediction() const;
  void release();

  std::shared_ptr<ModelThread> thread_;
  std::shared_ptr<Prediction> prediction_;
};

class CountPredictionObject final : public Napi::ObjectWrap<CountPredictionObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /// Null for any other value.
  static CountPredictionObject* from(const Napi::Value& value);
  /// A JavaScript object for a prediction of counts.
  static Napi::Object make(Napi::Env env, std::shared_ptr<ModelThread> thread,
                           std::shared_ptr<CountPrediction> prediction);
  explicit CountPredictionObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<CountPredictionObject>(info) {}
  ~CountPredictionObject() override { release(); }

 private:
  template <auto read>
  Napi::Value values(const Napi::CallbackInfo& info);
  Napi::Value statistics(const Napi::CallbackInfo& info);
  Napi::Value guide(const Napi::CallbackInfo& info);
  Napi::Value draw(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  const std::shared_ptr<CountPrediction>& prediction() const;
  void release();

  std::shared_ptr<ModelThread> thread_;
  std::shared_ptr<CountPrediction> prediction_;
};

/// objectiveLoss(input): the loss op alone.
Napi::Value objectiveLoss(const Napi::CallbackInfo& info);

/// The named parameters of a layout, as lib/native/types.ts has them.
Napi::Value parameterList(Napi::Env env, const ParameterLayout& layout);

/// modelParameters(config): those that a model of this shape would have, without any memory for it.
Napi::Value modelParameters(const Napi::CallbackInfo& info);

/// firstNotFinite(values): index of the first value that is not finite, or -1. Off the event loop; nobody may
/// change the values meanwhile.
Napi::Value firstNotFinite(const Napi::CallbackInfo& info);

/// estimateMemory(options): what a model and its calls would hold.
Napi::Value estimateMemory(const Napi::CallbackInfo& info);

/// What belongs to one JavaScript environment (the main thread, a worker).
struct EnvironmentData {
  Napi::FunctionReference prediction, countPrediction, staged, communicator;  // constructors
};

}  // namespace ddsc::addon
