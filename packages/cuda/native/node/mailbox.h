// From native threads to the promises of one JavaScript thread.
#pragma once

#include <napi.h>

#include <deque>
#include <functional>
#include <memory>

#include "../task.h"

namespace tutti {

// The promise of a task. Settled and destroyed on the JavaScript thread.
//
// Answers use the plain C interface: in a worker that is being terminated every call may fail, which is no error then.
class Answer {
 public:
  virtual ~Answer() = default;

  // Made once the task is on its way: a promise that nothing would settle is never made.
  napi_value makePromise(napi_env env);
  void settle(napi_env env, const std::optional<NativeError>& error);

 protected:
  // What the promise resolves to.
  virtual napi_value value(napi_env env);

 private:
  napi_deferred deferred_ = nullptr;
};

// A task with a promise.
template <typename Base>
class Promised : public Base, public Answer {
 public:
  using Base::Base;
};

// Keeps the process alive only while a task is out.
class Mailbox {
 public:
  // `busy` is called on the JavaScript thread when the first task goes out and when the last is back.
  Mailbox(napi_env env, const char* name, std::function<void(bool)> busy);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // For native threads, which must have ended before this object does.
  TaskSink sink();
  // A task went out: its promise.
  Napi::Value expect(Answer& answer);
  // Rejects everything that is out, and the tasks that were not come to.
  void rejectAll(napi_env env, const std::deque<std::unique_ptr<Task>>& left, const NativeError& reason);
  // Forgets everything: the environment is going, and nobody listens.
  void drop();

 private:
  struct Inbox;
  static void deliver(napi_env env, napi_value, void* context, void*);
  static void discard(napi_env env, void* context, void*);
  void back(std::size_t count);

  napi_env env_;
  std::shared_ptr<Inbox> inbox_;
  napi_threadsafe_function function_ = nullptr;
  std::function<void(bool)> busy_;
  std::size_t out_ = 0;
};

// The mailbox of an object of JavaScript's, which must not be collected while a promise is out.
template <typename Object>
std::unique_ptr<Mailbox> mailboxOf(Object& object, const char* name) {
  return std::make_unique<Mailbox>(object.Env(), name, [&object](bool busy) {
    if (busy) {
      object.Ref();
    } else {
      object.Unref();
    }
  });
}

}  // namespace tutti
