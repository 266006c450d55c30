// The way from a kernel's thread to its executor, and from the processor's exceptions to a failed launch.
#pragma once

#include "../abi.h"

namespace tutti_emulator {

class Executor;

extern const Runtime runtime;

/** The executor whose kernel this thread of the system runs, for as long as it lives. */
class RunningHere {
 public:
  explicit RunningHere(Executor* executor);
  ~RunningHere();
  RunningHere(const RunningHere&) = delete;
  RunningHere& operator=(const RunningHere&) = delete;
};

/** Once in a process. Exceptions outside of kernels go to whoever handled them before. */
void catchProcessorExceptions();
/** A thread that runs kernels needs a second stack: the first may be what is exhausted. */
void prepareThreadForExceptions();

}  // namespace tutti_emulator
