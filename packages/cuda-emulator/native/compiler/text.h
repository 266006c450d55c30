// What has to be known of a kernel's text before the host's compiler gets it.
#pragma once

#include <string>
#include <vector>

namespace tutti_emulator {

struct KernelName {
  std::string name;
  /** The first argument of `__launch_bounds__`, as it is written; empty where there is none. */
  std::string maxThreads;
};

struct KernelText {
  /** The text, in which `extern __shared__ T name[]` reads `extern T name[]`: every line stays where it was. */
  std::string text;
  std::vector<KernelName> kernels;
  /** Names of dynamic shared arrays. */
  std::vector<std::string> dynamicShared;
};

KernelText readKernelText(const std::string& text);

/** The parts of the shim that a text needs. */
std::string shimFor(const std::string& text, const std::string& shim);

}  // namespace tutti_emulator
