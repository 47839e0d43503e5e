#pragma once
// Work off the event loop in libuv's pool, its outcome as a Promise.

#include <napi.h>

#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "core/errors.h"

namespace ddsc::addon {

/// A JavaScript Error with the stable `code` that lib/native/addon.ts turns into a DdscError.
inline Napi::Error coded(Napi::Env env, const std::string& code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

/// What went wrong in native code, as code and message.
struct Failure {
  std::string code, message;

  /// Of the exception being handled.
  static Failure current() {
    try {
      throw;
    } catch (const Error& error) {
      return {error.code(), error.what()};
    } catch (const std::bad_alloc&) {
      return {"OUT_OF_MEMORY", "out of memory; use a smaller batch or a smaller preset"};
    } catch (const std::exception& error) {
      return {"NATIVE_INTERNAL", error.what()};
    }
  }
};

/// Runs `call` here and now; native exceptions become JavaScript ones.
template <class Call>
auto guarded(Napi::Env env, const Call& call) {
  try {
    return call();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    const Failure failure = Failure::current();
    throw coded(env, failure.code, failure.message);
  }
}

/// Runs `work` on a worker thread of libuv, then `finish` on the JavaScript thread to make the Promise's
/// value.
template <class Result>
class Job final : public Napi::AsyncWorker {
 public:
  using Work = std::function<Result()>;
  using Finish = std::function<Napi::Value(Napi::Env, Result&)>;

  static Napi::Promise start(Napi::Env env, Work work, Finish finish) {
    auto* job =
        new Job(env, std::move(work), std::move(finish));  // deletes itself when done: AsyncWorker's contract
    const Napi::Promise promise = job->deferred_.Promise();
    job->Queue();
    return promise;
  }

 private:
  Job(Napi::Env env, Work work, Finish finish)
      : Napi::AsyncWorker(env, "ddsc"), deferred_(env), work_(std::move(work)), finish_(std::move(finish)) {}

  void Execute() override {
    try {
      result_.emplace(work_());
    } catch (...) {
      failure_ = Failure::current();
    }
    work_ = nullptr;  // what it holds (the model, copies of the input) is not kept for the JavaScript thread
  }

  void OnOK() override {
    const Napi::HandleScope scope(Env());
    try {
      settle();
    } catch (const Napi::Error&) {
      // The thread that waited is being ended, its environment takes no calls any more; left alone, this
      // would end the process.
    }
  }

  void settle() {
    if (failure_) {
      deferred_.Reject(coded(Env(), failure_->code, failure_->message).Value());
      return;
    }
    try {
      deferred_.Resolve(finish_(Env(), *result_));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }

  Napi::Promise::Deferred deferred_;
  Work work_;
  Finish finish_;
  std::optional<Result> result_;
  std::optional<Failure> failure_;
};

}  // namespace ddsc::addon
