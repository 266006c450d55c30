// Modules of machine code and their functions. Commands name a function by a number, so that a wrong number is an error and not a jump
// to anywhere.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "events.h"

namespace tutti {

// A loaded module. Captured graphs hold those whose functions they launch.
class Module {
 public:
  Module(const Context& context, const std::vector<unsigned char>& image);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  CUmodule handle() const { return handle_; }

 private:
  const Context& context_;
  CUmodule handle_ = nullptr;
};

struct Function {
  CUfunction handle;
  std::shared_ptr<Module> module;
  // What it may be launched with.
  std::uint32_t dynamicSharedBytes;
};

struct FunctionAttributes {
  int registers;
  int localBytes;
  int staticSharedBytes;
  int maxThreadsPerBlock;
};

class ModuleTable {
 public:
  ModuleTable(const Context& context, EventPool& events, CUstream stream)
      : context_(context), events_(events), stream_(stream) {}

  // Throws INVALID_ARGUMENT for bytes that are no whole ELF image, and what the driver says.
  std::uint32_t load(const unsigned char* image, std::size_t bytes);
  // Its functions are gone at once, its code once nothing submitted so far runs it.
  void unload(std::uint32_t module);
  // Lets go of modules once nothing submitted so far runs them.
  void retire(std::vector<std::shared_ptr<Module>> modules);
  std::uint32_t getFunction(std::uint32_t module, const std::string& entry, std::uint32_t dynamicSharedBytes);
  FunctionAttributes attributes(std::uint32_t function) const;
  // Null for a number that names no function.
  const Function* find(std::uint32_t function) const;
  std::size_t count() const { return modules_.size(); }

 private:
  struct Loaded {
    std::shared_ptr<Module> module;
    std::map<std::string, std::uint32_t> functions;
  };
  struct Retired {
    Event lastUse;
    std::vector<std::shared_ptr<Module>> modules;
  };

  Loaded& require(std::uint32_t module, const char* call);
  void allowShared(Function& function, std::uint32_t dynamicSharedBytes) const;
  void dropRetired();

  const Context& context_;
  EventPool& events_;
  CUstream stream_;
  std::map<std::uint32_t, Loaded> modules_;
  std::uint32_t lastModule_ = 0;
  // By number. Those of unloaded modules stay empty: a number is never used again.
  std::vector<Function> functions_;
  std::deque<Retired> retired_;
};

}  // namespace tutti
