// Encoded commands: the layout is that of `commandCode` in src/native/binding.ts. Every length, number and range is checked before
// the first command runs, so that malformed words are an error without effect.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "memory.h"
#include "modules.h"
#include "products.h"

namespace tutti {

class CommandReader {
 public:
  CommandReader(const Context& context, const DeviceMemory& memory, const ModuleTable& modules,
                const ProductTable& products);

  struct Marks {
    EventPool& pool;
    // In the order of the marks.
    std::vector<Event> events;
  };

  // Throws INVALID_ARGUMENT. Marks are points of time, and an error where nobody takes the time. Called before `run`.
  void check(const std::uint32_t* words, std::size_t length, bool marksAllowed) const;
  // Puts checked commands on a stream.
  void run(const std::uint32_t* words, std::size_t length, CUstream stream, Marks* marks) const;
  // Of the functions that are launched, each once.
  std::vector<std::shared_ptr<Module>> modulesOf(const std::uint32_t* words, std::size_t length) const;

 private:
  void checkLaunch(const std::uint32_t* command, std::uint32_t words) const;
  void checkCopy(const std::uint32_t* command, std::uint32_t words) const;
  void checkProduct(const std::uint32_t* command, std::uint32_t words) const;
  void launch(const std::uint32_t* command, CUstream stream) const;
  void copy(const std::uint32_t* command, CUstream stream) const;

  const Context& context_;
  const DeviceMemory& memory_;
  const ModuleTable& modules_;
  const ProductTable& products_;
  std::uint64_t maxThreadsPerBlock_;
};

}  // namespace tutti
