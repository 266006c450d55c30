// What one environment (a main thread or a worker) has of this addon. Nothing of JavaScript's is in a static variable.
#pragma once

#include <napi.h>

#include <map>
#include <string>
#include <utility>

#include "../errors.h"

namespace tutti {

struct AddonData {
  Napi::FunctionReference uint8Array;
  Napi::FunctionReference driver;
  Napi::FunctionReference device;
  Napi::FunctionReference compiler;
  // Drivers by path.
  std::map<std::string, Napi::ObjectReference> drivers;
  // What a constructor makes its object of, while one runs: nobody else can construct.
  const void* ingredients = nullptr;
};

// Makes an object of one of the classes.
template <typename Ingredients>
Napi::Object construct(Napi::Env env, const Napi::FunctionReference& constructor, const Ingredients& ingredients) {
  AddonData& data = *env.GetInstanceData<AddonData>();
  struct Reset {
    AddonData& data;
    ~Reset() { data.ingredients = nullptr; }
  } reset{data};
  data.ingredients = &ingredients;
  return constructor.New({});
}

// For the constructor. Throws where JavaScript called it.
template <typename Ingredients>
const Ingredients& takeIngredients(Napi::Env env, const char* name) {
  AddonData& data = *env.GetInstanceData<AddonData>();
  if (!data.ingredients) throw invalidArgument(name, "made by the addon alone");
  return *static_cast<const Ingredients*>(std::exchange(data.ingredients, nullptr));
}

}  // namespace tutti
