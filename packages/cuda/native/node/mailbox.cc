#include "mailbox.h"

#include <mutex>

#include "values.h"

namespace tutti {

napi_value Answer::makePromise(napi_env env) {
  napi_value promise = nullptr;
  napi_create_promise(env, &deferred_, &promise);
  return promise;
}

void Answer::settle(napi_env env, const std::optional<NativeError>& error) {
  if (!deferred_) return;
  if (error) {
    napi_reject_deferred(env, deferred_, toJavaScript(env, *error));
  } else {
    napi_resolve_deferred(env, deferred_, value(env));
  }
}

napi_value Answer::value(napi_env env) {
  napi_value undefined = nullptr;
  napi_get_undefined(env, &undefined);
  return undefined;
}

struct Mailbox::Inbox {
  std::mutex mutex;
  std::deque<std::unique_ptr<Task>> tasks;
  // Null once the mailbox is gone. The JavaScript thread's.
  Mailbox* owner;

  std::deque<std::unique_ptr<Task>> take() {
    std::lock_guard<std::mutex> lock(mutex);
    return std::exchange(tasks, {});
  }
};

Mailbox::Mailbox(napi_env env, const char* name, std::function<void(bool)> busy)
    : env_(env), inbox_(std::make_shared<Inbox>()), busy_(std::move(busy)) {
  inbox_->owner = this;
  napi_value title = nullptr;
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &title);
  auto* context = new std::shared_ptr<Inbox>(inbox_);
  const napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, title, 0, 1, context, discard,
                                                             context, deliver, &function_);
  if (status != napi_ok) {
    delete context;
    throw NativeError("INTERNAL", "napi_create_threadsafe_function", status, "no threadsafe function could be made");
  }
  napi_unref_threadsafe_function(env, function_);
}

Mailbox::~Mailbox() {
  inbox_->owner = nullptr;
  napi_release_threadsafe_function(function_, napi_tsfn_release);
}

TaskSink Mailbox::sink() {
  return [inbox = inbox_, function = function_](std::unique_ptr<Task> task) {
    bool first;
    {
      std::lock_guard<std::mutex> lock(inbox->mutex);
      first = inbox->tasks.empty();
      inbox->tasks.push_back(std::move(task));
    }
    // One call delivers everything that has come by then.
    if (first) napi_call_threadsafe_function(function, nullptr, napi_tsfn_nonblocking);
  };
}

Napi::Value Mailbox::expect(Answer& answer) {
  if (out_++ == 0) {
    napi_ref_threadsafe_function(env_, function_);
    busy_(true);
  }
  return Napi::Value(env_, answer.makePromise(env_));
}

void Mailbox::back(std::size_t count) {
  if (count == 0) return;
  out_ -= count;
  if (out_ > 0) return;
  napi_unref_threadsafe_function(env_, function_);
  busy_(false);
}

void Mailbox::deliver(napi_env env, napi_value, void* context, void*) {
  // Without an environment these are calls left over at its end, and `discard` may have come before them.
  if (!env) return;
  // A copy: settling may run anything, the end of this mailbox included.
  const std::shared_ptr<Inbox> inbox = *static_cast<std::shared_ptr<Inbox>*>(context);
  if (!inbox->owner) return;
  const std::deque<std::unique_ptr<Task>> tasks = inbox->take();
  for (const auto& each : tasks) dynamic_cast<Answer&>(*each).settle(env, each->error);
  if (inbox->owner) inbox->owner->back(tasks.size());
}

void Mailbox::discard(napi_env, void* context, void*) { delete static_cast<std::shared_ptr<Inbox>*>(context); }

void Mailbox::rejectAll(napi_env env, const std::deque<std::unique_ptr<Task>>& left, const NativeError& reason) {
  // What came back but was not delivered, too: which of them is a matter of chance.
  const std::deque<std::unique_ptr<Task>> done = inbox_->take();
  for (const auto* tasks : {&done, &left}) {
    for (const auto& each : *tasks) dynamic_cast<Answer&>(*each).settle(env, reason);
  }
  back(done.size() + left.size());
}

void Mailbox::drop() {
  inbox_->take();
  out_ = 0;
}

}  // namespace tutti
