#include "addon/model_thread.h"

#include <mutex>
#include <unordered_set>

namespace ddsc::addon {

/// All threads of models. process.exit() ends no environment: it would take away what threads use while they
/// run.
class RunningThreads {
 public:
  static RunningThreads& all() {
    static RunningThreads threads;
    return threads;
  }

  void add(ModelThread* thread) {
    const std::lock_guard lock(mutex_);
    threads_.insert(thread);
  }
  void remove(ModelThread* thread) {
    const std::lock_guard lock(mutex_);
    threads_.erase(thread);
  }

 private:
  RunningThreads() = default;
  ~RunningThreads() {
    const std::unordered_set<ModelThread*> left = threads_;
    for (ModelThread* thread : left) thread->stop();
  }

  std::mutex mutex_;
  std::unordered_set<ModelThread*> threads_;
};

namespace {

void endThread(void* thread) { static_cast<ModelThread*>(thread)->end(); }

}  // namespace

Napi::Value makeCancellation(const Napi::CallbackInfo& info) {
  auto flag = std::make_unique<Cancellation>(std::make_shared<std::atomic<bool>>(false));
  const auto result = Napi::External<Cancellation>::New(
      info.Env(), flag.get(),
      [](Napi::Env, Cancellation* held) { const std::unique_ptr<Cancellation> own(held); });
  (void)flag.release();  // the External's
  return result;
}

Cancellation cancellationOf(const Field& field) {
  if (field.missing()) return nullptr;
  if (!field.value.IsExternal()) throw Error("ARGUMENT_TYPE", "expected a cancellation for " + field.name);
  return *field.value.As<Napi::External<Cancellation>>().Data();
}

void cancel(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    if (const Cancellation flag = cancellationOf(argument(info, 0, "cancellation"))) flag->store(true);
  });
}

void ModelThread::Call::run(Model& model) noexcept {
  try {
    throwIfCancelled(cancelled.get());
    model.cancelBy(cancelled.get());
    compute(model);
  } catch (...) {
    failure_ = Failure::current();
  }
  model.cancelBy(nullptr);
  drop();  // the input's copies are not kept for the JavaScript thread
}

void ModelThread::Call::settle(Napi::Env env) {
  const Napi::HandleScope scope(env);
  try {
    if (failure_) {
      deferred_.Reject(coded(env, failure_->code, failure_->message).Value());
      return;
    }
    try {
      deferred_.Resolve(value(env));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  } catch (const Napi::Error&) {
    // The thread that waited is being ended, its environment takes no calls any more; left alone, this
    // would end the process.
  }
}

ModelThread::ModelThread(Napi::Env env, std::shared_ptr<Model> model)
    : env_(env), model_(std::move(model)), delivery_(Delivery::New(env, "ddsc", 0, 1)) {
  delivery_.Unref(env);
  // Added after the function's own hook, it runs before that: nothing is delivered once the function is gone.
  napi_add_env_cleanup_hook(env, endThread, this);
  RunningThreads::all().add(this);
  queue_.push([own = model_.get()] {
    try {
      own->parameters().clear();
    } catch (...) {
      // A device that is lost, which the first call will find, too.
    }
  });
}

ModelThread::~ModelThread() {
  if (!ended_) {
    napi_remove_env_cleanup_hook(env_, endThread, this);
    stop();
    delivery_.Release();
  }
}

Napi::Value ModelThread::start(std::unique_ptr<Call> call, Cancellation cancellation) {
  Call* const started = call.get();
  const Napi::Promise promise = started->promise();
  started->thread = shared_from_this();
  started->cancelled = cancellation ? std::move(cancellation) : std::make_shared<std::atomic<bool>>(false);
  queue_.push([this, started] {
    started->run(*model_);
    delivery_.NonBlockingCall(started);
  });
  if (pending_.empty()) delivery_.Ref(env_);
  pending_.emplace(started, std::move(call));
  return promise;
}

void ModelThread::deliver(Napi::Env env, Napi::Function, std::nullptr_t*, Call* call) {
  if (env == nullptr) return;  // the environment is gone, and the call with it
  const std::shared_ptr<ModelThread> thread = call->thread;
  const auto entry = thread->pending_.extract(call);
  if (thread->pending_.empty()) thread->delivery_.Unref(env);
  entry.mapped()->settle(env);
}

void ModelThread::stop() {
  for (const auto& [call, owned] : pending_) call->cancelled->store(true);
  queue_.end();
  RunningThreads::all().remove(this);
}

void ModelThread::end() {
  const std::shared_ptr<ModelThread> self = shared_from_this();  // which the calls may be the last to hold
  stop();
  ended_ = true;
  delivery_.Abort();  // what was delivered and not received is not, any more
  pending_.clear();
}

}  // namespace ddsc::addon
