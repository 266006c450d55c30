#include "compiler_object.h"

#include "addon_data.h"
#include "values.h"

namespace tutti {
namespace {

// `CompiledImage`, or null where there is no memory for it.
napi_value toImage(napi_env env, const Nvrtc::Result& result) {
  napi_value log = nullptr;
  napi_value object = nullptr;
  const napi_value image = toTypedArray(env, napi_uint8_array, result.image.data(), result.image.size(), 1);
  if (!image) return nullptr;
  napi_create_string_utf8(env, result.log.data(), result.log.size(), &log);
  napi_create_object(env, &object);
  napi_set_named_property(env, object, "image", image);
  napi_set_named_property(env, object, "log", log);
  return object;
}

class CompileAnswer final : public Promised<CompileTask> {
 public:
  using Promised::Promised;

 protected:
  napi_value value(napi_env env) override { return toImage(env, result); }
};

int neverCancelled(void*, void*) { return 0; }

}  // namespace

Napi::Function CompilerObject::define(Napi::Env env) {
  return DefineClass(env, "Compiler",
                     {
                         InstanceAccessor<&CompilerObject::version>("version"),
                         InstanceAccessor<&CompilerObject::architectures>("architectures"),
                         InstanceMethod<&CompilerObject::compile>("compile"),
                         InstanceMethod<&CompilerObject::compileSync>("compileSync"),
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
    auto mailbox = mailboxOf(*this, "tutti.compiler");
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

Napi::Value CompilerObject::compileSync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Nvrtc::Result result = nvrtc_->compile(toString(info[0], "source"), toString(info[1], "name"),
                                                 toStrings(info[2], "options"), neverCancelled, nullptr);
    const napi_value image = toImage(info.Env(), result);
    // Otherwise there is an exception already.
    return image ? Napi::Value(info.Env(), image) : info.Env().Undefined();
  });
}

}  // namespace tutti
