#include "runtime.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>

#include "../common/half.h"
#include "../common/settings.h"
#include "block.h"

// Of AddressSanitizer, where the process runs with it.
extern "C" void __asan_set_error_report_callback(void (*callback)(const char*)) __attribute__((weak));

namespace tutti_emulator {
namespace {

thread_local Executor* runningHere = nullptr;
struct sigaction previous[NSIG];

Lane& laneOf(Thread* thread) { return *static_cast<Lane*>(thread); }

int block(Thread* thread, BlockOp op, int predicate, int line) {
  return laneOf(thread).executor->block(laneOf(thread), op, predicate, line);
}

unsigned warp(Thread* thread, WarpOp op, unsigned mask, unsigned value, unsigned argument, unsigned width, int line) {
  Waiting waiting{};
  waiting.op = op, waiting.mask = mask, waiting.value = value, waiting.argument = argument, waiting.width = width,
  waiting.line = line;
  return laneOf(thread).executor->warp(laneOf(thread), waiting);
}

void matrix(Thread* thread, MatrixKind kind, float* d, const unsigned* a, const unsigned* b, const float* c, int line) {
  Waiting waiting{};
  waiting.op = WarpOp::matrix, waiting.mask = 0xffffffffu, waiting.width = 32, waiting.line = line;
  waiting.matrix = kind, waiting.d = d, waiting.a = a, waiting.b = b, waiting.c = c;
  laneOf(thread).executor->warp(laneOf(thread), waiting);
}

void loadMatrix(Thread* thread, int count, bool transposed, unsigned* fragments, const void* row, int line) {
  Waiting waiting{};
  waiting.op = WarpOp::loadMatrix, waiting.mask = 0xffffffffu, waiting.width = 32, waiting.line = line;
  waiting.count = count, waiting.transposed = transposed, waiting.fragments = fragments, waiting.row = row;
  laneOf(thread).executor->warp(laneOf(thread), waiting);
}

void copyAsync(Thread* thread, void* shared, const void* global, unsigned bytes, unsigned sourceBytes, int line) {
  laneOf(thread).executor->copyAsync(laneOf(thread), shared, global, bytes, sourceBytes, line);
}

void copyCommit(Thread* thread) { laneOf(thread).copyGroup++; }
void copyWait(Thread* thread, unsigned pending) { laneOf(thread).executor->copyWait(laneOf(thread), pending); }

[[noreturn]] void trap(Thread* thread, int line) {
  laneOf(thread).executor->fail(launchFailed, "__trap() in line " + std::to_string(line));
}

void onSignal(int signal, siginfo_t* info, void* context) {
  // A watchdog's that came when its kernel had just ended.
  if (signal == SIGVTALRM && runningHere == nullptr && info->si_code == SI_TIMER) return;
  if (runningHere != nullptr) runningHere->interrupted(signal, info->si_addr);
  const struct sigaction& before = previous[signal];
  if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    // Back to where it happens again, and then ends the process as it would have.
    sigaction(signal, &before, nullptr);
  }
}

void catchSignal(int signal) {
  struct sigaction action{};
  action.sa_sigaction = onSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, &previous[signal]);
}

/** The sanitizer knows addresses, and no kernels. */
void onSanitizerReport(const char*) {
  if (runningHere != nullptr) report(runningHere->whatRuns() + ": see what AddressSanitizer says");
}

}  // namespace

const Runtime runtime{block, warp, matrix, loadMatrix, copyAsync, copyCommit, copyWait, halfToFloat, floatToHalf, trap};

namespace {

/** Stops a kernel that has taken too much time of the processor, by a signal to its own thread. */
class Watchdog {
 public:
  Watchdog() {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGVTALRM;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    there_ = timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer_) == 0;
  }
  ~Watchdog() {
    if (there_) timer_delete(timer_);
  }
  void set(std::uint64_t seconds) {
    itimerspec time{};
    time.it_value.tv_sec = static_cast<time_t>(seconds);
    if (there_) timer_settime(timer_, 0, &time, nullptr);
  }

 private:
  timer_t timer_{};
  bool there_ = false;
};

thread_local Watchdog watchdog;

}  // namespace

RunningHere::RunningHere(Executor* executor) {
  static const std::uint64_t limit = numberSetting("TIMEOUT", 20);
  runningHere = executor;
  watchdog.set(limit);
}

RunningHere::~RunningHere() {
  watchdog.set(0);
  runningHere = nullptr;
}

void catchProcessorExceptions() {
  static std::once_flag once;
  std::call_once(once, [] {
    // AddressSanitizer has handlers of its own, and says more.
    catchSignal(SIGVTALRM);
    if (setting("SANITIZE") == "address") {
      if (__asan_set_error_report_callback != nullptr) __asan_set_error_report_callback(onSanitizerReport);
      return;
    }
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) catchSignal(signal);
  });
}

void prepareThreadForExceptions() {
  constexpr std::size_t bytes = 64 * 1024;
  struct Stack {
    void* start = std::malloc(bytes);
    ~Stack() {
      stack_t off{};
      off.ss_flags = SS_DISABLE;
      sigaltstack(&off, nullptr);
      std::free(start);
    }
  };
  thread_local Stack stack;
  stack_t use{};
  use.ss_sp = stack.start;
  use.ss_size = bytes;
  sigaltstack(&use, nullptr);
}

}  // namespace tutti_emulator
