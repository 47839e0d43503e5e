#pragma once
// A model's calls, off the event loop: in order, on a thread of the model's own.

#include <napi.h>

#include <atomic>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "addon/arguments.h"
#include "addon/async.h"
#include "core/work_queue.h"
#include "model/model.h"

namespace ddsc::addon {

/// A flag that ends a call, shared with whoever may raise it.
using Cancellation = std::shared_ptr<std::atomic<bool>>;

/// cancellation(): a new one for JavaScript to keep. cancel(cancellation): raises it.
Napi::Value makeCancellation(const Napi::CallbackInfo& info);
void cancel(const Napi::CallbackInfo& info);
/// Null where none was given.
Cancellation cancellationOf(const Field& field);

/// A model and the thread that its calls run on, one after the other in the order in which they were made.
/// Nobody else's work delays them, as it does in libuv's pool, nor do they delay file reading and decoding
/// there. The process stays alive while calls are pending, and only then. All but the calls' work happens on
/// the JavaScript thread.
class ModelThread : public std::enable_shared_from_this<ModelThread> {
 public:
  /// A model whose memory is still to be cleared: here, on the thread.
  ModelThread(Napi::Env env, std::shared_ptr<Model> model);
  ~ModelThread();
  ModelThread(const ModelThread&) = delete;
  ModelThread& operator=(const ModelThread&) = delete;

  Model& model() const { return *model_; }

  /// Queues a call: `work(model)` runs on the thread, then `finish(env, result)` makes the Promise's value. A
  /// raised cancellation rejects it: before its turn, or at the model's next block.
  template <class Work, class Finish>
  Napi::Value start(Napi::Env env, Work work, Finish finish, Cancellation cancellation = nullptr) {
    using Result = decltype(work(*model_));
    return start(std::make_unique<CallOf<Result, Work, Finish>>(env, std::move(work), std::move(finish)),
                 std::move(cancellation));
  }

  /// Queues work that nobody waits for, which may run while the call before it waits for the device.
  void runBeside(WorkQueue::Task task) { queue_.push(std::move(task), WorkQueue::Order::beside); }
  /// For the work of a call that is about to wait for the device: runs what was queued to run beside it.
  void runQueuedBeside() { queue_.runBeside(); }

  /// Drops what a call may be using on the thread, after that call.
  template <class Thing>
  void release(std::shared_ptr<Thing> thing) {
    if (thing) queue_.push([held = std::move(thing)] {});
  }

  /// Ends the thread, the call under way cancelled and the others dropped.
  void end();

 private:
  /// A call on its way: made here, run on the thread, settled here.
  class Call {
   public:
    explicit Call(Napi::Env env) : deferred_(env) {}
    virtual ~Call() = default;
    Napi::Promise promise() const { return deferred_.Promise(); }
    void run(Model& model) noexcept;
    void settle(Napi::Env env);

    std::shared_ptr<ModelThread> thread;
    Cancellation cancelled;

   protected:
    virtual void compute(Model& model) = 0;
    virtual void drop() = 0;  // what the work holds
    virtual Napi::Value value(Napi::Env env) = 0;

   private:
    Napi::Promise::Deferred deferred_;
    std::optional<Failure> failure_;
  };

  template <class Result, class Work, class Finish>
  class CallOf final : public Call {
   public:
    CallOf(Napi::Env env, Work work, Finish finish)
        : Call(env), work_(std::move(work)), finish_(std::move(finish)) {}

   private:
    void compute(Model& model) override { result_.emplace((*work_)(model)); }
    void drop() override { work_.reset(); }
    Napi::Value value(Napi::Env env) override { return finish_(env, *result_); }

    std::optional<Work> work_;
    Finish finish_;
    std::optional<Result> result_;
  };

  static void deliver(Napi::Env env, Napi::Function, std::nullptr_t*, Call* call);
  using Delivery = Napi::TypedThreadSafeFunction<std::nullptr_t, Call, deliver>;

  Napi::Value start(std::unique_ptr<Call> call, Cancellation cancellation);
  void stop();

  Napi::Env env_;
  std::shared_ptr<Model> model_;
  Delivery delivery_;
  std::unordered_map<Call*, std::unique_ptr<Call>> pending_;
  bool ended_ = false;
  WorkQueue queue_;

  friend class RunningThreads;
};

struct Nothing {};

inline Napi::Value undefined(Napi::Env env, Nothing&) { return env.Undefined(); }

}  // namespace ddsc::addon
