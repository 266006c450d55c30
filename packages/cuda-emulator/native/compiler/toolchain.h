// Runs the host's compiler, assembler and linker, each by itself: g++ in front of them costs half of the time of a
// small kernel.
#pragma once

#include <string>
#include <vector>

namespace tutti_emulator {

struct Compilation {
  bool succeeded;
  /** A shared object. */
  std::string image;
  std::string log;
};

Compilation compileObject(const std::string& text, bool sanitized);
/** Path and version of the compiler, for the key of a cache. */
std::string toolchainName();

}  // namespace tutti_emulator
