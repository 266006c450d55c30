// `Compiler` of src/native/binding.ts.
#pragma once

#include <napi.h>

#include <memory>

#include "../compiler.h"
#include "mailbox.h"

namespace tutti {

class CompilerObject : public Napi::ObjectWrap<CompilerObject> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value open(const Napi::CallbackInfo& info);

  explicit CompilerObject(const Napi::CallbackInfo& info);
  ~CompilerObject() override;

 private:
  Napi::Value version(const Napi::CallbackInfo& info);
  Napi::Value architectures(const Napi::CallbackInfo& info);
  Napi::Value compile(const Napi::CallbackInfo& info);
  Napi::Value compileSync(const Napi::CallbackInfo& info);

  void release();
  static void onEnvironmentEnd(void* self);

  std::unique_ptr<Nvrtc> nvrtc_;
  // The mailbox goes last: the threads post to it.
  std::unique_ptr<Mailbox> mailbox_;
  std::unique_ptr<CompileThreads> threads_;
};

}  // namespace tutti
