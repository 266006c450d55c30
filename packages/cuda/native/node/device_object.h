// `NativeDevice` of src/native/binding.ts.
#pragma once

#include <napi.h>

#include <memory>

#include "../device.h"
#include "mailbox.h"

namespace tutti {

class DeviceObject : public Napi::ObjectWrap<DeviceObject> {
 public:
  struct Opening {
    std::shared_ptr<const DriverApi> driver;
    int index;
    std::uint64_t stagingBytes;
    std::shared_ptr<const BlasApi> blas;
  };

  static Napi::Function define(Napi::Env env);

  explicit DeviceObject(const Napi::CallbackInfo& info);
  // Of an object that nobody has any more: what was not closed is closed.
  ~DeviceObject() override;

 private:
  Napi::Value allocate(const Napi::CallbackInfo& info);
  void free(const Napi::CallbackInfo& info);
  void trim(const Napi::CallbackInfo& info);
  Napi::Value memoryInfo(const Napi::CallbackInfo& info);

  Napi::Value loadModule(const Napi::CallbackInfo& info);
  void unloadModule(const Napi::CallbackInfo& info);
  Napi::Value getFunction(const Napi::CallbackInfo& info);
  Napi::Value functionInfo(const Napi::CallbackInfo& info);

  Napi::Value prepareProduct(const Napi::CallbackInfo& info);
  void releaseProduct(const Napi::CallbackInfo& info);

  void submit(const Napi::CallbackInfo& info);
  Napi::Value capture(const Napi::CallbackInfo& info);
  void launchGraph(const Napi::CallbackInfo& info);
  void releaseGraph(const Napi::CallbackInfo& info);
  Napi::Value time(const Napi::CallbackInfo& info);

  void write(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value readSync(const Napi::CallbackInfo& info);
  void copyFrom(const Napi::CallbackInfo& info);
  Napi::Value passed(const Napi::CallbackInfo& info);
  Napi::Value statistics(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  // The open device, current on this thread. Throws DISPOSED, and what the device failed with.
  Device& enter(const char* call);
  // Runs a body with the open device.
  template <typename Body>
  auto use(const Napi::CallbackInfo& info, const char* call, Body&& body);
  // Releases everything; without an environment to settle promises in, they are forgotten.
  void release(napi_env env);
  static void onEnvironmentEnd(void* self);

  // The mailbox goes last: the device's thread posts to it.
  std::unique_ptr<Mailbox> mailbox_;
  std::unique_ptr<Device> device_;
};

}  // namespace tutti
