// A change from one stack to another: some nanoseconds, where a thread of the system takes microseconds.
#pragma once

#include <cstddef>
#include <vector>

namespace tutti_emulator {

class Fiber {
 public:
  /** Makes the stack ready to enter `function(argument)`, which never returns. */
  void prepare(unsigned char* stack, std::size_t bytes, void (*function)(void*), void* argument);
  /** Takes the stack of the thread of the system that runs. */
  void adopt();
  bool prepared() const { return stackPointer_ != nullptr; }
  void forget() { stackPointer_ = nullptr; }
  /** Leaves the fiber that runs, which is `this`, and goes on in another. */
  void switchTo(Fiber& other);
  /** The first thing that a fiber does when it is entered for the first time. */
  static void entered();

 private:
  void* stackPointer_ = nullptr;
  unsigned char* stack_ = nullptr;
  std::size_t bytes_ = 0;
  void* sanitizer_ = nullptr;
};

/** Stacks with an inaccessible page below each. */
class Stacks {
 public:
  Stacks() = default;
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  static constexpr std::size_t bytes = 256 * 1024;
  /** Where the memory of a stack begins. */
  unsigned char* at(std::size_t index);
  bool guards(const void* address) const;

 private:
  static constexpr std::size_t atOnce = 128;
  std::vector<unsigned char*> groups_;
};

}  // namespace tutti_emulator
