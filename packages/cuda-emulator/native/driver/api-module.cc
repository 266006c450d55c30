// Modules, functions and launches.
#include <algorithm>
#include <cstring>

#include "../common/tally.h"
#include "block.h"
#include "context.h"
#include "memory.h"

using namespace tutti_emulator;

namespace {

enum FunctionAttribute : int {
  maxThreads = 0,
  staticSharedBytes = 1,
  constantBytes = 2,
  localBytes = 3,
  registers = 4,
  ptxVersion = 5,
  binaryVersion = 6,
  maxDynamicSharedBytes = 8,
};

constexpr std::size_t sharedWithoutOptIn = 48 * 1024;

/** The bytes of the parameters, from either of the two ways to give them. */
std::vector<unsigned char> parameterBytes(const Function& function, void** each, void** extra) {
  std::vector<unsigned char> bytes(function.parameterBytes());
  if (extra != nullptr) {
    const unsigned char* start = nullptr;
    std::size_t size = 0;
    for (void** at = extra; *at != nullptr; at += 2) {
      if (at[0] == reinterpret_cast<void*>(1))
        start = static_cast<const unsigned char*>(at[1]);
      else if (at[0] == reinterpret_cast<void*>(2))
        size = *static_cast<const std::size_t*>(at[1]);
      else
        throw Failure{invalidValue};
    }
    if (size < bytes.size() || (start == nullptr && !bytes.empty())) {
      report(std::string(function.kernel->name) + ": " + std::to_string(size) +
             " bytes of parameters for a kernel that takes " + std::to_string(bytes.size()));
      throw Failure{invalidValue};
    }
    std::copy(start, start + bytes.size(), bytes.begin());
    return bytes;
  }
  for (unsigned i = 0; i < function.kernel->parameterCount; i++) {
    if (each == nullptr || each[i] == nullptr) throw Failure{invalidValue};
    std::memcpy(bytes.data() + function.kernel->parameters[i].offset, each[i], function.kernel->parameters[i].size);
  }
  return bytes;
}

void requireLimits(const Function& function, const Vec3& blocks, const Vec3& threads, std::size_t sharedBytes) {
  const auto within = [](unsigned value, unsigned most) { return value >= 1 && value <= most; };
  const bool sizes = within(blocks.x, 2147483647) && within(blocks.y, 65535) && within(blocks.z, 65535) &&
                     within(threads.x, 1024) && within(threads.y, 1024) && within(threads.z, 64);
  if (!sizes || threads.x * threads.y * threads.z > 1024) throw Failure{invalidValue};
  if (threads.x * threads.y * threads.z > function.maxThreads()) throw Failure{launchOutOfResources};
  const std::size_t limit = std::max(sharedWithoutOptIn, function.dynamicSharedLimit + function.module->sharedBytes);
  if (function.module->sharedBytes + sharedBytes > limit || sharedBytes > function.dynamicSharedLimit)
    throw Failure{invalidValue};
}

/** A kernel is asked for its own mistakes, at once: by what it was given, alone or in tables. */
void requireIntactMemory(const Launch& launch) {
  for (unsigned i = 0; i < launch.kernel->parameterCount; i++) {
    const Parameter& parameter = launch.kernel->parameters[i];
    for (unsigned at = 0; at + sizeof(Address) <= parameter.size; at += sizeof(Address)) {
      Address address;
      std::memcpy(&address, launch.parameters.data() + parameter.offset + at, sizeof address);
      const std::string damage = Memory::instance().damage(address);
      if (damage.empty()) continue;
      report(std::string(launch.kernel->name) + ": " + damage + " (parameter " + std::to_string(i) + ")");
      throw Failure{illegalAddress};
    }
  }
}

void runLaunch(const Launch& launch, Stream& stream) {
  if (faults().strikes("launch-failure")) throw Failure{launchFailed};
  if (faults().strikes("illegal-address")) throw Failure{illegalAddress};
  static Tally tally("kernels");
  const Tally::Occasion occasion(tally);
  stream.executor().run(launch);
  requireIntactMemory(launch);
}

}  // namespace

TUTTI_API cuModuleLoadData(LoadedModule** module, const void* image) {
  return guarded([&] {
    Context& context = current();
    if (faults().strikes("module")) throw Failure{invalidImage};
    static Tally tally("modules");
    const Tally::Occasion occasion(tally);
    *module = context.modules.add(std::make_shared<LoadedModule>(image, computeCapability()));
  });
}

TUTTI_API cuModuleUnload(LoadedModule* handle) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<LoadedModule> module = context.modules.take(handle);
    for (const auto& function : context.functions.all()) {
      if (function->module == module) context.functions.take(function.get());
    }
  });
}

TUTTI_API cuModuleGetFunction(Function** function, LoadedModule* handle, const char* name) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<LoadedModule> module = context.modules.get(handle);
    const KernelEntry* const kernel = module->find(name);
    if (kernel == nullptr) throw Failure{notFound};
    *function = context.functions.add(std::make_shared<Function>(Function{module, kernel}));
  });
}

TUTTI_API cuFuncSetAttribute(Function* handle, int attribute, int value) {
  return guarded([&] {
    const std::shared_ptr<Function> function = current().functions.get(handle);
    if (attribute == maxDynamicSharedBytes) {
      if (value < 0 || function->module->sharedBytes + static_cast<std::size_t>(value) > maxSharedBytes())
        throw Failure{invalidValue};
      function->dynamicSharedLimit = static_cast<std::size_t>(value);
    } else if (attribute != 9) {
      throw Failure{invalidValue};
    }
  });
}

TUTTI_API cuFuncGetAttribute(int* value, int attribute, Function* handle) {
  return guarded([&] {
    const std::shared_ptr<Function> function = current().functions.get(handle);
    switch (attribute) {
      case maxThreads: *value = static_cast<int>(function->maxThreads()); break;
      case staticSharedBytes: *value = static_cast<int>(function->module->sharedBytes); break;
      case constantBytes:
      case localBytes: *value = 0; break;
      case registers: *value = 32; break;
      case ptxVersion:
      case binaryVersion: *value = computeCapability(); break;
      case maxDynamicSharedBytes: *value = static_cast<int>(function->dynamicSharedLimit); break;
      default: throw Failure{invalidValue};
    }
  });
}

TUTTI_API cuLaunchKernel(Function* handle, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                         unsigned blockY, unsigned blockZ, unsigned sharedBytes, Stream* stream, void** parameters,
                         void** extra) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Function> function = context.functions.get(handle);
    const Vec3 blocks{gridX, gridY, gridZ}, threads{blockX, blockY, blockZ};
    requireLimits(*function, blocks, threads, sharedBytes);
    if (faults().strikes("launch")) throw Failure{launchOutOfResources};
    const auto launch = std::make_shared<Launch>(Launch{function->module, function->kernel, blocks, threads,
                                                        sharedBytes, parameterBytes(*function, parameters, extra)});
    context.stream(stream)->enqueue({[launch](Stream& in) { runLaunch(*launch, in); }});
  });
}
