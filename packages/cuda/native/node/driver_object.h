// `Driver` of src/native/binding.ts.
#pragma once

#include <napi.h>

#include <memory>

#include "../driver.h"

namespace tutti {

class DriverObject : public Napi::ObjectWrap<DriverObject> {
 public:
  static Napi::Function define(Napi::Env env);
  // The one of this environment for a path.
  static Napi::Value open(const Napi::CallbackInfo& info);

  explicit DriverObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value version(const Napi::CallbackInfo& info);
  Napi::Value emulated(const Napi::CallbackInfo& info);
  Napi::Value deviceCount(const Napi::CallbackInfo& info);
  Napi::Value describe(const Napi::CallbackInfo& info);
  Napi::Value openDevice(const Napi::CallbackInfo& info);

  CUdevice deviceAt(const Napi::Value& index) const;

  std::shared_ptr<const DriverApi> driver_;
};

}  // namespace tutti
