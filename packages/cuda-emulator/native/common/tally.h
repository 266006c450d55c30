// How often something happened and how long it took, told at the end of the process where
// `TUTTI_CUDA_EMULATOR_STATISTICS` asks for it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdio>

#include "settings.h"

namespace tutti_emulator {

class Tally {
 public:
  explicit Tally(const char* what) : what_(what) {}
  ~Tally() {
    if (count_ > 0 && setting("STATISTICS") == "report") {
      std::fprintf(stderr, "tutti emulator: %llu %s in %.1f s\n", count_.load(), what_,
                   static_cast<double>(microseconds_.load()) / 1e6);
    }
  }
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  /** Counts one, from its making to its end. */
  class Occasion {
   public:
    explicit Occasion(Tally& tally) : tally_(tally) {}
    ~Occasion() {
      tally_.count_++;
      tally_.microseconds_ +=
          std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start_).count();
    }
    Occasion(const Occasion&) = delete;
    Occasion& operator=(const Occasion&) = delete;

   private:
    Tally& tally_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  };

 private:
  const char* const what_;
  std::atomic<unsigned long long> count_{0};
  std::atomic<long long> microseconds_{0};
};

}  // namespace tutti_emulator
