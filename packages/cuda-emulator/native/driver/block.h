// Runs the threads of a block: one fiber each where they wait for each other, else one after another on the stack of
// the caller.
#pragma once

#include <csetjmp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../abi.h"
#include "fiber.h"
#include "module.h"

namespace tutti_emulator {

struct Launch {
  std::shared_ptr<LoadedModule> module;
  const KernelEntry* kernel;
  Vec3 blocks, threads;
  std::size_t sharedBytes;
  std::vector<unsigned char> parameters;
};

class Executor;
struct Warp;

/** What a thread waits for. */
struct Waiting {
  WarpOp op;
  unsigned mask, value, argument, width;
  int line;
  /** Of a product or a load of matrices: the registers of the lane, on its own stack. */
  MatrixKind matrix;
  int count;
  bool transposed;
  float* d;
  const unsigned *a, *b;
  const float* c;
  unsigned* fragments;
  const void* row;
};

struct AsyncCopy {
  unsigned char* target;
  const unsigned char* source;
  unsigned bytes, sourceBytes, group;
};

struct Lane : Thread {
  Executor* executor;
  Warp* warp;
  /** In the block, and in its warp. */
  unsigned index, number;
  Waiting waiting;
  unsigned result;
  std::vector<AsyncCopy> copies;
  unsigned copyGroup;
  Fiber fiber;
};

/** Which of its 32 lanes are there, can run, have ended, wait for the block, wait for the warp: one bit each. */
struct Warp {
  std::uint32_t exists, ready, ended, atBlock, atWarp;
  Lane* lanes;
};

class Executor {
 public:
  Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /** @throws Failure */
  void run(const Launch& launch);

  /** The kernel and the thread, for a message. */
  std::string whatRuns() const;

  // What a thread asks for. All of these may end the launch.
  int block(Lane& lane, BlockOp op, int predicate, int line);
  unsigned warp(Lane& lane, const Waiting& waiting);
  void copyAsync(Lane& lane, void* shared, const void* global, unsigned bytes, unsigned sourceBytes, int line);
  void copyWait(Lane& lane, unsigned pending);
  [[noreturn]] void fail(Result code, const std::string& message);
  /** Of a signal handler: the processor stopped a thread. */
  [[noreturn]] void interrupted(int signal, const void* address);

 private:
  void runLoop();
  void runFibers();
  void startBlock(const Vec3& block);
  void prepareLanes(std::size_t count);
  void order(unsigned long long count, unsigned long long salt);
  static void threadMain(void* lane);
  void ended(Lane& lane);
  Lane* next();
  void leave(Lane& lane);
  void releaseBlock();
  void completeWarp(Warp& warp, std::uint32_t group);
  void checkGroup(Warp& warp, std::uint32_t group);
  unsigned shuffled(const Warp& warp, unsigned lane, std::uint32_t group) const;
  void multiply(Warp& warp);
  void loadMatrices(Warp& warp);
  const unsigned char* sharedBytesAt(const void* address, std::size_t bytes) const;
  std::string threadName(const Lane& lane) const;
  [[noreturn]] void failDivergence(const std::string& message);
  std::string waitingThreads() const;

  const Launch* launch_ = nullptr;
  std::vector<Lane> lanes_;
  std::vector<Warp> warps_;
  Stacks stacks_;
  Fiber main_;
  sigjmp_buf escape_;
  /** A fiber runs, and not the thread of the system; the processor has stopped it. */
  bool onFiber_ = false, interrupted_ = false;
  Result failure_ = success;
  std::string message_;
  Vec3 current_{};
  Lane* running_ = nullptr;
  /** The order in which warps, and the lanes of a warp, are taken. */
  std::vector<unsigned> warpOrder_;
  unsigned laneOrder_[32];
  unsigned threadCount_ = 0, warpCursor_ = 0, endedCount_ = 0;
  unsigned arrived_ = 0;
  BlockOp blockOp_{};
  int blockLine_ = 0, blockResult_ = 0, blockAny_ = 0, blockCount_ = 0;
};

/** How threads and blocks are ordered, by `TUTTI_CUDA_EMULATOR_ORDER`. */
class Order {
 public:
  static Order fromEnvironment();
  /** The i-th of `count`: a permutation. */
  unsigned long long at(unsigned long long i, unsigned long long count, unsigned long long salt) const;

 private:
  enum class Kind { forward, reverse, shuffled } kind_ = Kind::forward;
  unsigned long long seed_ = 0;
};

}  // namespace tutti_emulator
