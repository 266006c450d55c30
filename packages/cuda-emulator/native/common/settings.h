// What the environment says: one variable for each setting, and one with the faults to be injected.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace tutti_emulator {

/** Of the variable `TUTTI_CUDA_EMULATOR_<name>`; empty where it is not set. */
std::string setting(const char* name);
std::uint64_t numberSetting(const char* name, std::uint64_t otherwise);

/**
 * Faults are a list `name:number,name:number` in `TUTTI_CUDA_EMULATOR_FAULTS`. Where the number counts (the third
 * launch), every name has its own counter.
 */
class Faults {
 public:
  /** Reads the variable again. Counters start anew where it changed. */
  void refresh();
  /** The number given with a name. */
  std::optional<std::uint64_t> value(const std::string& name);
  /** Counts an occasion: true at the one that was asked for. */
  bool strikes(const std::string& name);

 private:
  std::mutex mutex_;
  std::string text_;
  std::map<std::string, std::uint64_t> asked_;
  std::map<std::string, std::uint64_t> counted_;
};

Faults& faults();

}  // namespace tutti_emulator
