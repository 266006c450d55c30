#include "driver_object.h"

#include "addon_data.h"
#include "device_object.h"
#include "values.h"

namespace tutti {
namespace {

std::string uuidText(const CUuuid& uuid) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (int at = 0; at < 16; at++) {
    if (at == 4 || at == 6 || at == 8 || at == 10) text += '-';
    text += digits[uuid.bytes[at] >> 4];
    text += digits[uuid.bytes[at] & 15];
  }
  return text;
}

Napi::Object describeDevice(Napi::Env env, const DriverApi& driver, CUdevice device) {
  char name[256] = "";
  std::size_t totalBytes = 0;
  CUuuid uuid{};
  TUTTI_CALL(driver, cuDeviceGetName, name, sizeof name - 1, device);
  TUTTI_CALL(driver, cuDeviceTotalMem_v2, &totalBytes, device);
  TUTTI_CALL(driver, cuDeviceGetUuid_v2, &uuid, device);
  const auto attribute = [&](CUdevice_attribute which) {
    int value = 0;
    TUTTI_CALL(driver, cuDeviceGetAttribute, &value, which, device);
    return value;
  };
  Napi::Object object = Napi::Object::New(env);
  object["name"] = name;
  object["computeCapability"] = 10 * attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
                                attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  object["totalBytes"] = static_cast<double>(totalBytes);
  object["multiprocessors"] = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  object["maxThreadsPerBlock"] = attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
  object["sharedBytesPerBlock"] = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
  object["maxSharedBytesPerBlock"] = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  object["sharedBytesPerMultiprocessor"] = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
  object["registersPerMultiprocessor"] = attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR);
  object["l2Bytes"] = attribute(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  object["memoryPools"] = attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) != 0;
  object["uuid"] = uuidText(uuid);
  return object;
}

}  // namespace

Napi::Function DriverObject::define(Napi::Env env) {
  return DefineClass(env, "Driver",
                     {
                         InstanceAccessor<&DriverObject::version>("version"),
                         InstanceAccessor<&DriverObject::emulated>("emulated"),
                         InstanceMethod<&DriverObject::deviceCount>("deviceCount"),
                         InstanceMethod<&DriverObject::describe>("describe"),
                         InstanceMethod<&DriverObject::openDevice>("open"),
                     });
}

Napi::Value DriverObject::open(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    AddonData& data = *info.Env().GetInstanceData<AddonData>();
    const std::string path = toString(info[0], "path");
    const auto known = data.drivers.find(path);
    if (known != data.drivers.end()) return known->second.Value();
    const Napi::Object object = construct(info.Env(), data.driver, DriverApi::open(path));
    data.drivers[path] = Napi::Persistent(object);
    return object;
  });
}

DriverObject::DriverObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] {
    driver_ = takeIngredients<std::shared_ptr<const DriverApi>>(info.Env(), "Driver");
  });
}

Napi::Value DriverObject::version(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), driver_->version());
}

Napi::Value DriverObject::emulated(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), driver_->emulated());
}

Napi::Value DriverObject::deviceCount(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    driver_->requireWhole();
    int count = 0;
    TUTTI_CALL(*driver_, cuDeviceGetCount, &count);
    return Napi::Number::New(info.Env(), count);
  });
}

Napi::Value DriverObject::describe(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return describeDevice(info.Env(), *driver_, deviceAt(info[0])); });
}

Napi::Value DriverObject::openDevice(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    if (!info[1].IsObject()) throw invalidArgument("open", "the settings are not an object");
    driver_->requireWhole();
    const Napi::Object settings = info[1].As<Napi::Object>();
    const Napi::Value blas = settings.Get("blas");
    const DeviceObject::Opening opening{driver_, static_cast<int>(toUint32(info[0], "index")),
                                        toSize(settings.Get("stagingBytes"), "stagingBytes"),
                                        blas.IsUndefined() ? nullptr : BlasApi::open(toString(blas, "blas"))};
    return construct(info.Env(), info.Env().GetInstanceData<AddonData>()->device, opening);
  });
}

CUdevice DriverObject::deviceAt(const Napi::Value& index) const {
  driver_->requireWhole();
  CUdevice device = 0;
  TUTTI_CALL(*driver_, cuDeviceGet, &device, static_cast<int>(toUint32(index, "index")));
  return device;
}

}  // namespace tutti
