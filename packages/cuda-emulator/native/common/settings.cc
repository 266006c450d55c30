#include "settings.h"

#include <cstdlib>
#include <sstream>

namespace tutti_emulator {

std::string setting(const char* name) {
  const char* value = std::getenv((std::string("TUTTI_CUDA_EMULATOR_") + name).c_str());
  return value == nullptr ? "" : value;
}

std::uint64_t numberSetting(const char* name, std::uint64_t otherwise) {
  const std::string text = setting(name);
  return text.empty() ? otherwise : std::strtoull(text.c_str(), nullptr, 10);
}

void Faults::refresh() {
  const std::lock_guard lock(mutex_);
  std::string text = setting("FAULTS");
  if (text == text_) return;
  text_ = std::move(text);
  asked_.clear();
  counted_.clear();
  std::istringstream list(text_);
  for (std::string fault; std::getline(list, fault, ',');) {
    const std::size_t colon = fault.find(':');
    asked_[fault.substr(0, colon)] =
        colon == std::string::npos ? 1 : std::strtoull(fault.c_str() + colon + 1, nullptr, 10);
  }
}

std::optional<std::uint64_t> Faults::value(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find(name);
  return found == asked_.end() ? std::nullopt : std::optional(found->second);
}

bool Faults::strikes(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find(name);
  return found != asked_.end() && ++counted_[name] == found->second;
}

Faults& faults() {
  // Never destroyed: threads may still ask when the process ends.
  static Faults* const instance = new Faults();
  return *instance;
}

}  // namespace tutti_emulator
