#include "device_object.h"

#include <cstring>

#include "addon_data.h"
#include "product_values.h"
#include "values.h"

namespace tutti {
namespace {

constexpr std::uint64_t smallestStaging = 64 << 10;
constexpr std::uint64_t largestStaging = std::uint64_t{1} << 30;

class ReadAnswer final : public Promised<ReadTask> {
 public:
  ReadAnswer(Napi::Env env, std::uint64_t bytes) {
    Napi::Uint8Array array = newBytes(env, bytes);
    target_ = array.Data();
    bytes_ = bytes;
    napi_create_reference(env, array, 1, &array_);
    env_ = env;
  }
  ~ReadAnswer() override { napi_delete_reference(env_, array_); }

 protected:
  // Out of pinned memory on the waiting thread: the array is nobody else's until the promise resolves.
  void run() override {
    if (bytes_) std::memcpy(target_, block.data(), bytes_);
  }

  napi_value value(napi_env env) override {
    napi_value array = nullptr;
    napi_get_reference_value(env, array_, &array);
    return array;
  }

 private:
  napi_env env_;
  napi_ref array_ = nullptr;
  unsigned char* target_;
  std::size_t bytes_;
};

class TimeAnswer final : public Promised<TimeTask> {
 protected:
  napi_value value(napi_env env) override {
    return toTypedArray(env, napi_float64_array, milliseconds.data(), milliseconds.size(), sizeof(double));
  }
};

}  // namespace

Napi::Function DeviceObject::define(Napi::Env env) {
  return DefineClass(env, "NativeDevice",
                     {
                         InstanceMethod<&DeviceObject::allocate>("allocate"),
                         InstanceMethod<&DeviceObject::free>("free"),
                         InstanceMethod<&DeviceObject::trim>("trim"),
                         InstanceMethod<&DeviceObject::memoryInfo>("memoryInfo"),
                         InstanceMethod<&DeviceObject::loadModule>("loadModule"),
                         InstanceMethod<&DeviceObject::unloadModule>("unloadModule"),
                         InstanceMethod<&DeviceObject::getFunction>("getFunction"),
                         InstanceMethod<&DeviceObject::functionInfo>("functionInfo"),
                         InstanceMethod<&DeviceObject::prepareProduct>("prepareProduct"),
                         InstanceMethod<&DeviceObject::releaseProduct>("releaseProduct"),
                         InstanceMethod<&DeviceObject::submit>("submit"),
                         InstanceMethod<&DeviceObject::capture>("capture"),
                         InstanceMethod<&DeviceObject::launchGraph>("launchGraph"),
                         InstanceMethod<&DeviceObject::releaseGraph>("releaseGraph"),
                         InstanceMethod<&DeviceObject::time>("time"),
                         InstanceMethod<&DeviceObject::write>("write"),
                         InstanceMethod<&DeviceObject::read>("read"),
                         InstanceMethod<&DeviceObject::readSync>("readSync"),
                         InstanceMethod<&DeviceObject::copyFrom>("copyFrom"),
                         InstanceMethod<&DeviceObject::passed>("passed"),
                         InstanceMethod<&DeviceObject::statistics>("statistics"),
                         InstanceMethod<&DeviceObject::close>("close"),
                     });
}

DeviceObject::DeviceObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] {
    const Opening& opening = takeIngredients<Opening>(info.Env(), "NativeDevice");
    if (opening.stagingBytes < smallestStaging || opening.stagingBytes > largestStaging) {
      throw invalidArgument("stagingBytes", "not from 64 KiB to 1 GiB");
    }
    auto mailbox = mailboxOf(*this, "tutti.device");
    device_ = std::make_unique<Device>(opening.driver, opening.index, opening.stagingBytes, opening.blas, mailbox->sink());
    mailbox_ = std::move(mailbox);
    // After the mailbox's own, so that it runs before.
    napi_add_env_cleanup_hook(info.Env(), onEnvironmentEnd, this);
  });
}

DeviceObject::~DeviceObject() { release(nullptr); }

void DeviceObject::onEnvironmentEnd(void* self) { static_cast<DeviceObject*>(self)->release(nullptr); }

void DeviceObject::release(napi_env env) {
  if (!device_) return;
  napi_remove_env_cleanup_hook(Env(), onEnvironmentEnd, this);
  // In the reverse order of their making: first the tasks, which hold memory and events of the device, then the device.
  const std::unique_ptr<Mailbox> mailbox = std::move(mailbox_);
  const std::unique_ptr<Device> device = std::move(device_);
  const std::deque<std::unique_ptr<Task>> left = device->stop();
  if (env) {
    mailbox->rejectAll(env, left, device->failure().value_or(disposed("close")));
  } else {
    mailbox->drop();
  }
}

Device& DeviceObject::enter(const char* call) {
  if (!device_) throw disposed(call);
  device_->enter();
  return *device_;
}

template <typename Body>
auto DeviceObject::use(const Napi::CallbackInfo& info, const char* call, Body&& body) {
  return guarded(info.Env(), [&] { return body(enter(call)); });
}

Napi::Value DeviceObject::allocate(const Napi::CallbackInfo& info) {
  return use(info, "allocate", [&](Device& device) {
    const std::uint64_t bytes = toSize(info[0], "bytes");
    if (bytes == 0) throw invalidArgument("allocate", "no bytes");
    return Napi::Number::New(info.Env(), static_cast<double>(device.allocate(bytes)));
  });
}

void DeviceObject::free(const Napi::CallbackInfo& info) {
  use(info, "free", [&](Device& device) { device.free(toSize(info[0], "address")); });
}

void DeviceObject::trim(const Napi::CallbackInfo& info) {
  use(info, "trim", [&](Device& device) { device.trim(); });
}

Napi::Value DeviceObject::memoryInfo(const Napi::CallbackInfo& info) {
  return use(info, "memoryInfo", [&](Device& device) {
    const Device::MemoryInfo memory = device.memoryInfo();
    Napi::Object object = Napi::Object::New(info.Env());
    object["free"] = static_cast<double>(memory.free);
    object["total"] = static_cast<double>(memory.total);
    return object;
  });
}

Napi::Value DeviceObject::loadModule(const Napi::CallbackInfo& info) {
  return use(info, "loadModule", [&](Device& device) {
    const Bytes image = toBytes(info[0], "image");
    return Napi::Number::New(info.Env(), device.modules().load(image.data, image.size));
  });
}

void DeviceObject::unloadModule(const Napi::CallbackInfo& info) {
  use(info, "unloadModule", [&](Device& device) { device.modules().unload(toUint32(info[0], "module")); });
}

Napi::Value DeviceObject::getFunction(const Napi::CallbackInfo& info) {
  return use(info, "getFunction", [&](Device& device) {
    const std::uint32_t function = device.modules().getFunction(
        toUint32(info[0], "module"), toString(info[1], "entry"), toUint32(info[2], "dynamicSharedBytes"));
    return Napi::Number::New(info.Env(), function);
  });
}

Napi::Value DeviceObject::functionInfo(const Napi::CallbackInfo& info) {
  return use(info, "functionInfo", [&](Device& device) {
    const FunctionAttributes attributes = device.modules().attributes(toUint32(info[0], "fn"));
    Napi::Object object = Napi::Object::New(info.Env());
    object["registers"] = attributes.registers;
    object["localBytes"] = attributes.localBytes;
    object["staticSharedBytes"] = attributes.staticSharedBytes;
    object["maxThreadsPerBlock"] = attributes.maxThreadsPerBlock;
    return object;
  });
}

Napi::Value DeviceObject::prepareProduct(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    // Before the device is entered: reading an object may run anything, the end of the device included.
    const ProductDescription product = toProductDescription(info[0]);
    return Napi::Number::New(info.Env(), enter("prepareProduct").products().prepare(product));
  });
}

void DeviceObject::releaseProduct(const Napi::CallbackInfo& info) {
  use(info, "releaseProduct", [&](Device& device) { device.products().release(toUint32(info[0], "product")); });
}

void DeviceObject::submit(const Napi::CallbackInfo& info) {
  use(info, "submit", [&](Device& device) {
    const Words words = toWords(info[0], info[1]);
    device.submit(words.data, words.length);
  });
}

Napi::Value DeviceObject::capture(const Napi::CallbackInfo& info) {
  return use(info, "capture", [&](Device& device) {
    const Words words = toWords(info[0], info[1]);
    return Napi::Number::New(info.Env(), device.capture(words.data, words.length));
  });
}

void DeviceObject::launchGraph(const Napi::CallbackInfo& info) {
  use(info, "launchGraph", [&](Device& device) { device.launchGraph(toUint32(info[0], "graph")); });
}

void DeviceObject::releaseGraph(const Napi::CallbackInfo& info) {
  use(info, "releaseGraph", [&](Device& device) { device.releaseGraph(toUint32(info[0], "graph")); });
}

Napi::Value DeviceObject::time(const Napi::CallbackInfo& info) {
  return use(info, "time", [&](Device& device) {
    const Words words = toWords(info[0], info[1]);
    auto task = std::make_unique<TimeAnswer>();
    // Stays valid: tasks are settled and destroyed on this thread.
    TimeAnswer& answer = *task;
    device.time(words.data, words.length, std::move(task));
    return mailbox_->expect(answer);
  });
}

void DeviceObject::write(const Napi::CallbackInfo& info) {
  use(info, "write", [&](Device& device) {
    const Bytes data = toBytes(info[1], "data");
    device.write(toSize(info[0], "address"), data.data, data.size, info[2].ToBoolean());
  });
}

Napi::Value DeviceObject::read(const Napi::CallbackInfo& info) {
  return use(info, "read", [&](Device& device) {
    const std::uint64_t address = toSize(info[0], "address");
    const std::uint64_t bytes = toSize(info[1], "bytes");
    device.requireReadable(address, bytes, "read");
    auto task = std::make_unique<ReadAnswer>(info.Env(), bytes);
    ReadAnswer& answer = *task;
    device.read(address, bytes, std::move(task));
    return mailbox_->expect(answer);
  });
}

Napi::Value DeviceObject::readSync(const Napi::CallbackInfo& info) {
  return use(info, "readSync", [&](Device& device) {
    const std::uint64_t address = toSize(info[0], "address");
    const std::uint64_t bytes = toSize(info[1], "bytes");
    device.requireReadable(address, bytes, "readSync");
    Napi::Uint8Array array = newBytes(info.Env(), bytes);
    device.readNow(address, array.Data(), bytes);
    return array;
  });
}

void DeviceObject::copyFrom(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const Napi::FunctionReference& constructor = info.Env().GetInstanceData<AddonData>()->device;
    if (!info[0].IsObject() || !info[0].As<Napi::Object>().InstanceOf(constructor.Value())) {
      throw invalidArgument("source", "not a device");
    }
    Device& source = Unwrap(info[0].As<Napi::Object>())->enter("copyFrom");
    const std::uint64_t address = toSize(info[1], "address");
    const std::uint64_t from = toSize(info[2], "source address");
    const std::uint64_t bytes = toSize(info[3], "bytes");
    enter("copyFrom").copyFrom(source, address, from, bytes);
  });
}

Napi::Value DeviceObject::passed(const Napi::CallbackInfo& info) {
  return use(info, "passed", [&](Device& device) {
    auto task = std::make_unique<Promised<Task>>();
    Answer& answer = *task;
    device.whenPassed(std::move(task));
    return mailbox_->expect(answer);
  });
}

// Of a closed device: nothing.
Napi::Value DeviceObject::statistics(const Napi::CallbackInfo& info) {
  const Device::Statistics figures = device_ ? device_->statistics() : Device::Statistics{};
  Napi::Object object = Napi::Object::New(info.Env());
  object["allocations"] = static_cast<double>(figures.allocations);
  object["bytes"] = static_cast<double>(figures.bytes);
  object["pinnedBytes"] = static_cast<double>(figures.pinnedBytes);
  object["modules"] = static_cast<double>(figures.modules);
  object["graphs"] = static_cast<double>(figures.graphs);
  object["products"] = static_cast<double>(figures.products);
  object["overlappedWrites"] = static_cast<double>(figures.overlappedWrites);
  object["orderedWrites"] = static_cast<double>(figures.orderedWrites);
  return object;
}

void DeviceObject::close(const Napi::CallbackInfo& info) { release(info.Env()); }

}  // namespace tutti
