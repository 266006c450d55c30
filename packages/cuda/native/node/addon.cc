// `Binding` of src/native/binding.ts.
#include <napi.h>

#include "../blas.h"
#include "../library.h"
#include "addon_data.h"
#include "compiler_object.h"
#include "device_object.h"
#include "driver_object.h"
#include "values.h"

namespace tutti {
namespace {

// As `interfaceVersion` of src/native/binding.ts.
constexpr int interfaceVersion = 3;

// `Blas`: it stays loaded, and a device is opened with its path.
Napi::Value openBlas(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<const BlasApi> blas = BlasApi::open(toString(info[0], "path"));
    Napi::Object object = Napi::Object::New(info.Env());
    object["version"] = static_cast<double>(blas->version());
    object["emulated"] = blas->emulated();
    return object;
  });
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  keepThisLibraryLoaded();
  auto* data = new AddonData;
  env.SetInstanceData(data);
  data->uint8Array = Napi::Persistent(env.Global().Get("Uint8Array").As<Napi::Function>());
  data->driver = Napi::Persistent(DriverObject::define(env));
  data->device = Napi::Persistent(DeviceObject::define(env));
  data->compiler = Napi::Persistent(CompilerObject::define(env));
  exports["interfaceVersion"] = interfaceVersion;
  exports["openDriver"] = Napi::Function::New<DriverObject::open>(env, "openDriver");
  exports["openCompiler"] = Napi::Function::New<CompilerObject::open>(env, "openCompiler");
  exports["openBlas"] = Napi::Function::New<openBlas>(env, "openBlas");
  return exports;
}

}  // namespace

NODE_API_MODULE(tutti_cuda, initialise)

}  // namespace tutti
