#include "compiler_object.h"

#include <cstring>

#include "addon_data.h"
#include "values.h"

namespace tutti {
namespace {

class CompileAnswer final : public Promised<CompileTask> {
 public:
  using Promised::Promised;

 protected:
  napi_value value(napi_env env) override {
    napi_value buffer = nullptr;
    napi_value image = nullptr;
    napi_value log = nullptr;
    napi_value object = nullptr;
    void* data = nullptr;
    if (napi_create_arraybuffer(env, result.image.size(), &data, &buffer) != napi_ok) return nullptr;
    if (!result.image.empty()) std::memcpy(data, result.image.data(), result.image.size());
    napi_create_typedarray(env, napi_uint8_array, result.image.size(), buffer, 0, &image);
    napi_create_string_utf8(env, result.log.data(), result.log.size(), &log);
    napi_create_object(env, &object);
    napi_set_named_property(env, object, "image", image);
    napi_set_named_property(env, object, "log", log);
    return object;
  }
};

}  // namespace

Napi::Function CompilerObject::define(Napi::Env env) {
  return DefineClass(env, "Compiler",
                     {
                         InstanceAccessor<&CompilerObject::version>("version"),
                         InstanceAccessor<&CompilerObject::architectures>("architectures"),
                         InstanceMethod<&CompilerObject::compile>("compile"),
                     });
}

Napi::Value CompilerObject::open(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string path = toString(info[0], "path");
    return construct(info.Env(), info.Env().GetInstanceData<AddonData>()->compiler, path);
  });
}

CompilerObject::CompilerObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] {
    auto nvrtc = std::make_unique<Nvrtc>(takeIngredients<std::string>(info.Env(), "Compiler"));
    // While a promise is out, the object must not be collected under it.
    auto mailbox = std::make_unique<Mailbox>(info.Env(), "tutti.compiler", [this](bool busy) {
      if (busy) {
        Ref();
      } else {
        Unref();
      }
    });
    threads_ = std::make_unique<CompileThreads>(*nvrtc, mailbox->sink());
    nvrtc_ = std::move(nvrtc);
    mailbox_ = std::move(mailbox);
    // After the mailbox's own, so that it runs before.
    napi_add_env_cleanup_hook(info.Env(), onEnvironmentEnd, this);
  });
}

CompilerObject::~CompilerObject() { release(); }

void CompilerObject::onEnvironmentEnd(void* self) { static_cast<CompilerObject*>(self)->release(); }

void CompilerObject::release() {
  if (!threads_) return;
  napi_remove_env_cleanup_hook(Env(), onEnvironmentEnd, this);
  threads_.reset();
  mailbox_->drop();
  mailbox_.reset();
}

Napi::Value CompilerObject::version(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Nvrtc::Version version = nvrtc_->version();
    Napi::Array pair = Napi::Array::New(info.Env(), 2);
    pair[0u] = version.major;
    pair[1u] = version.minor;
    return pair;
  });
}

Napi::Value CompilerObject::architectures(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::vector<int> all = nvrtc_->architectures();
    Napi::Array array = Napi::Array::New(info.Env(), all.size());
    for (std::uint32_t at = 0; at < all.size(); at++) array[at] = all[at];
    return array;
  });
}

Napi::Value CompilerObject::compile(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto task = std::make_unique<CompileAnswer>(toString(info[0], "source"), toString(info[1], "name"),
                                                toStrings(info[2], "options"));
    // Stays valid: tasks are settled and destroyed on this thread.
    CompileAnswer& answer = *task;
    threads_->add(std::move(task));
    return mailbox_->expect(answer);
  });
}

}  // namespace tutti
