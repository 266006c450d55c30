#include "modules.h"

#include <cstring>

namespace tutti {
namespace {

std::uint64_t field(const unsigned char* image, std::size_t offset, std::size_t bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, image + offset, bytes);
  return value;
}

// The driver is told no length, and takes every length from the image. So one that was cut off must not come to it: the table of
// sections stands at the end.
bool isWholeElf64(const unsigned char* image, std::size_t bytes) {
  constexpr unsigned char magic[] = {0x7f, 'E', 'L', 'F', 2 /* 64-bit */, 1 /* little-endian */};
  constexpr std::size_t headerBytes = 64;
  if (bytes < headerBytes || std::memcmp(image, magic, sizeof magic) != 0) return false;
  const std::uint64_t sections = field(image, 40, 8);
  const std::uint64_t sectionBytes = field(image, 58, 2) * field(image, 60, 2);
  return sections <= bytes && sectionBytes <= bytes - sections;
}

}  // namespace

Module::Module(const Context& context, const std::vector<unsigned char>& image) : context_(context) {
  TUTTI_CALL(context_, cuModuleLoadData, &handle_, image.data());
}

Module::~Module() {
  if (!context_.failed()) context_.api().cuModuleUnload(handle_);
}

std::uint32_t ModuleTable::load(const unsigned char* image, std::size_t bytes) {
  if (!isWholeElf64(image, bytes)) {
    throw invalidArgument("loadModule", "the image of " + std::to_string(bytes) + " bytes is not a whole CUBIN");
  }
  dropRetired();
  // Copied for its alignment, which a view of a larger buffer may lack.
  auto module = std::make_shared<Module>(context_, std::vector<unsigned char>(image, image + bytes));
  modules_[++lastModule_].module = std::move(module);
  return lastModule_;
}

void ModuleTable::unload(std::uint32_t id) {
  Loaded& loaded = require(id, "unloadModule");
  // First what may fail: then the module is still there.
  retire({loaded.module});
  for (const auto& [entry, function] : loaded.functions) functions_[function] = {};
  modules_.erase(id);
}

void ModuleTable::retire(std::vector<std::shared_ptr<Module>> modules) {
  retired_.push_back({events_.record(stream_), std::move(modules)});
  dropRetired();
}

std::uint32_t ModuleTable::getFunction(std::uint32_t id, const std::string& entry, std::uint32_t dynamicSharedBytes) {
  Loaded& loaded = require(id, "getFunction");
  const auto known = loaded.functions.find(entry);
  if (known != loaded.functions.end()) {
    allowShared(functions_[known->second], dynamicSharedBytes);
    return known->second;
  }
  CUfunction handle = nullptr;
  TUTTI_CALL(context_, cuModuleGetFunction, &handle, loaded.module->handle(), entry.c_str());
  Function function{handle, loaded.module, 0};
  allowShared(function, dynamicSharedBytes);
  const auto number = static_cast<std::uint32_t>(functions_.size());
  functions_.push_back(std::move(function));
  loaded.functions[entry] = number;
  return number;
}

FunctionAttributes ModuleTable::attributes(std::uint32_t id) const {
  const Function* function = find(id);
  if (!function) throw invalidArgument("functionInfo", "there is no function " + std::to_string(id));
  const auto get = [&](CUfunction_attribute attribute) {
    int value = 0;
    TUTTI_CALL(context_, cuFuncGetAttribute, &value, attribute, function->handle);
    return value;
  };
  return {get(CU_FUNC_ATTRIBUTE_NUM_REGS), get(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES),
          get(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES), get(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)};
}

const Function* ModuleTable::find(std::uint32_t function) const {
  return function < functions_.size() && functions_[function].handle ? &functions_[function] : nullptr;
}

ModuleTable::Loaded& ModuleTable::require(std::uint32_t module, const char* call) {
  const auto found = modules_.find(module);
  if (found == modules_.end()) throw invalidArgument(call, "there is no module " + std::to_string(module));
  return found->second;
}

// Without this a launch may use 48 KiB in all.
void ModuleTable::allowShared(Function& function, std::uint32_t dynamicSharedBytes) const {
  if (dynamicSharedBytes <= function.dynamicSharedBytes) return;
  TUTTI_CALL(context_, cuFuncSetAttribute, function.handle, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
             static_cast<int>(dynamicSharedBytes));
  function.dynamicSharedBytes = dynamicSharedBytes;
}

void ModuleTable::dropRetired() {
  while (!retired_.empty() && hasPassed(context_, retired_.front().lastUse)) retired_.pop_front();
}

}  // namespace tutti
