// A compiled module: a shared object of the host, loaded from memory.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "../abi.h"
#include "cuda.h"

namespace tutti_emulator {

class LoadedModule {
 public:
  /** @throws Failure for what is no module of the emulator, or one for other devices. */
  LoadedModule(const void* image, int computeCapability);
  ~LoadedModule();
  LoadedModule(const LoadedModule&) = delete;
  LoadedModule& operator=(const LoadedModule&) = delete;

  const KernelEntry* find(const std::string& name) const;

  /** Threads wait for each other: every one needs a stack. */
  bool fibers = false;
  unsigned char* shared = nullptr;
  std::size_t sharedBytes = 0;
  unsigned char* dynamicShared = nullptr;
  std::size_t dynamicSharedBytes = 0;
  /** Shared memory belongs to the object: one block at a time. */
  std::mutex running;

 private:
  void* library_ = nullptr;
  const Module* module_ = nullptr;
};

struct Function {
  std::shared_ptr<LoadedModule> module;
  const KernelEntry* kernel;
  std::size_t dynamicSharedLimit = 48 * 1024;

  std::size_t parameterBytes() const;
  unsigned maxThreads() const;
};

}  // namespace tutti_emulator
