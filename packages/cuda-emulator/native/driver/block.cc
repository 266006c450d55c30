#include "block.h"

#include <algorithm>
#include <csignal>
#include <cstring>

#include "memory.h"
#include "runtime.h"

// Of AddressSanitizer, where the process runs with it.
extern "C" void __asan_poison_memory_region(const volatile void* start, std::size_t bytes) __attribute__((weak));
extern "C" void __asan_unpoison_memory_region(const volatile void* start, std::size_t bytes) __attribute__((weak));

namespace tutti_emulator {
namespace {

constexpr std::size_t dynamicGuard = 1024;

std::string place(const Vec3& at) {
  return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) + ")";
}

Vec3 position(unsigned long long index, const Vec3& extents) {
  const unsigned long long rest = index / extents.x;
  return {static_cast<unsigned>(index % extents.x), static_cast<unsigned>(rest % extents.y),
          static_cast<unsigned>(rest / extents.y)};
}

const Order& threadOrder() {
  static const Order order = Order::fromEnvironment();
  return order;
}

}  // namespace

Executor::Executor() { main_.adopt(); }

void Executor::fail(Result code, const std::string& message) {
  failure_ = code;
  message_ = message;
  // A fiber is left as it is: it will not be entered again.
  if (onFiber_ && !interrupted_) running_->fiber.switchTo(main_);
  siglongjmp(escape_, 1);
}

std::string Executor::threadName(const Lane& lane) const {
  return "thread " + place(lane.thread) + " of block " + place(current_);
}

void Executor::interrupted(int signal, const void* address) {
  interrupted_ = true;
  const std::string where = threadName(*running_) + ": ";
  if (signal == SIGVTALRM) fail(launchTimeout, where + "the kernel does not end");
  // What the compiler put before every access, for addresses that are no multiple of the size of what is accessed.
  if (signal == SIGILL || signal == SIGTRAP) fail(misalignedAddress, where + "a misaligned access");
  if (signal == SIGFPE) fail(launchFailed, where + "an integer division by zero, or one that overflows");
  if (stacks_.guards(address)) fail(launchFailed, where + "local variables do not fit its stack");
  // An address of zero is also given where the processor knows none.
  if (address == nullptr)
    fail(illegalAddress, where + "an access through a null pointer, or through bits that are no address");
  fail(illegalAddress, where + "an access " + Memory::instance().explain(reinterpret_cast<Address>(address)));
}

std::string Executor::whatRuns() const { return std::string(launch_->kernel->name) + ", " + threadName(*running_); }

void Executor::run(const Launch& launch) {
  const std::lock_guard lock(launch.module->running);
  launch_ = &launch;
  failure_ = success;
  onFiber_ = interrupted_ = false;
  threadCount_ = launch.threads.x * launch.threads.y * launch.threads.z;
  prepareLanes(launch.module->fibers ? threadCount_ : 1);
  const RunningHere here(this);
  if (sigsetjmp(escape_, 1) == 0) {
    const unsigned long long count =
        static_cast<unsigned long long>(launch.blocks.x) * launch.blocks.y * launch.blocks.z;
    for (unsigned long long i = 0; i < count && failure_ == success; i++) {
      startBlock(position(threadOrder().at(i, count, 1), launch.blocks));
      if (launch.module->fibers)
        runFibers();
      else
        runLoop();
      unsigned char* const guard = launch.module->dynamicShared + launch.sharedBytes;
      const std::size_t bytes = std::min(dynamicGuard, launch.module->dynamicSharedBytes - launch.sharedBytes);
      if (failure_ == success && __asan_poison_memory_region == nullptr &&
          std::any_of(guard, guard + bytes, [&](unsigned char& byte) {
            return byte != static_cast<unsigned char>(guardBits >> (8 * (reinterpret_cast<Address>(&byte) % 4)));
          })) {
        fail(illegalAddress, "block " + place(current_) + " wrote behind its " + std::to_string(launch.sharedBytes) +
                                 " bytes of dynamic shared memory");
      }
    }
  }
  if (__asan_unpoison_memory_region != nullptr)
    __asan_unpoison_memory_region(launch.module->dynamicShared, launch.module->dynamicSharedBytes);
  if (failure_ == success) return;
  // Threads were left in the middle of the kernel.
  for (Lane& lane : lanes_) lane.fiber.forget();
  report(std::string(launch.kernel->name) + ": " + message_);
  throw Failure{failure_};
}

void Executor::prepareLanes(std::size_t count) {
  if (lanes_.size() < count) {
    // Contexts of fibers hold their address.
    for (Lane& lane : lanes_) lane.fiber.forget();
    lanes_.resize(count);
    warps_.resize((count + 31) / 32);
  }
  for (std::size_t i = 0; i < count; i++) {
    Lane& lane = lanes_[i];
    lane.thread = position(i, launch_->threads);
    lane.threads = launch_->threads;
    lane.blocks = launch_->blocks;
    lane.runtime = &runtime;
    lane.executor = this;
    lane.index = static_cast<unsigned>(i);
    lane.number = lane.index % 32;
    lane.warp = &warps_[i / 32];
  }
  const std::size_t warps = (threadCount_ + 31) / 32;
  warpOrder_.resize(warps);
  for (std::size_t i = 0; i < warps; i++) warpOrder_[i] = static_cast<unsigned>(threadOrder().at(i, warps, 2));
  for (unsigned i = 0; i < 32; i++) laneOrder_[i] = static_cast<unsigned>(threadOrder().at(i, 32, 3));
}

void Executor::startBlock(const Vec3& block) {
  current_ = block;
  const LoadedModule& module = *launch_->module;
  fillWords(module.shared, module.sharedBytes, sharedBits);
  const std::size_t guard = std::min(dynamicGuard, module.dynamicSharedBytes - launch_->sharedBytes);
  fillWords(module.dynamicShared, launch_->sharedBytes, sharedBits);
  fillWords(module.dynamicShared + launch_->sharedBytes, guard, guardBits);
  if (__asan_poison_memory_region != nullptr)
    __asan_poison_memory_region(module.dynamicShared + launch_->sharedBytes, guard);
}

void Executor::runLoop() {
  Lane& lane = lanes_[0];
  running_ = &lane;
  lane.block = current_;
  for (unsigned i = 0; i < threadCount_; i++) {
    lane.thread = position(threadOrder().at(i, threadCount_, 4), launch_->threads);
    lane.copies.clear();
    lane.copyGroup = 0;
    launch_->kernel->run(&lane, launch_->parameters.data());
  }
}

void Executor::runFibers() {
  endedCount_ = arrived_ = warpCursor_ = 0;
  for (unsigned i = 0; i < threadCount_; i++) {
    Lane& lane = lanes_[i];
    lane.block = current_;
    lane.copies.clear();
    lane.copyGroup = 0;
    // Stacks begin at different places in their pages, or they would share a few lines of the caches.
    if (!lane.fiber.prepared()) lane.fiber.prepare(stacks_.at(i), Stacks::bytes - i % 61 * 64, threadMain, &lane);
  }
  for (std::size_t i = 0; i < warpOrder_.size(); i++) {
    const unsigned there = std::min(threadCount_ - static_cast<unsigned>(i) * 32, 32u);
    const std::uint32_t exists = there == 32 ? 0xffffffffu : (1u << there) - 1;
    warps_[i] = {exists, exists, 0, 0, 0, &lanes_[i * 32]};
  }
  running_ = next();
  onFiber_ = true;
  main_.switchTo(running_->fiber);
  onFiber_ = false;
  if (failure_ == success && endedCount_ != threadCount_) failDivergence("nothing can go on");
}

void Executor::threadMain(void* argument) {
  Fiber::entered();
  Lane& lane = *static_cast<Lane*>(argument);
  // The stack is used again for the same thread of the next block.
  for (;;) {
    Executor& executor = *lane.executor;
    executor.launch_->kernel->run(&lane, executor.launch_->parameters.data());
    executor.ended(lane);
  }
}

void Executor::ended(Lane& lane) {
  Warp& warp = *lane.warp;
  const std::uint32_t bit = 1u << lane.number;
  warp.ready &= ~bit;
  warp.ended |= bit;
  endedCount_++;
  if (arrived_ > 0) failDivergence(threadName(lane) + " has ended");
  for (unsigned i = 0; warp.atWarp != 0 && i < 32; i++) {
    if ((warp.atWarp >> i & 1) != 0 && (warp.lanes[i].waiting.mask & bit) != 0)
      failDivergence(threadName(lane) + " has ended");
  }
  leave(lane);
}

/** The thread that goes on now; none where all have ended or wait. */
Lane* Executor::next() {
  const std::size_t count = warpOrder_.size();
  for (std::size_t tried = 0; tried < count; tried++) {
    Warp& warp = warps_[warpOrder_[warpCursor_]];
    if (warp.ready != 0) {
      for (const unsigned number : laneOrder_) {
        if ((warp.ready >> number & 1) != 0) return &warp.lanes[number];
      }
    }
    if (++warpCursor_ == count) warpCursor_ = 0;
  }
  return nullptr;
}

void Executor::leave(Lane& lane) {
  Lane* const other = next();
  if (other == &lane) return;
  running_ = other;
  lane.fiber.switchTo(other == nullptr ? main_ : other->fiber);
}

int Executor::block(Lane& lane, BlockOp op, int predicate, int line) {
  if (endedCount_ > 0)
    failDivergence(threadName(lane) + " comes to the barrier of line " + std::to_string(line) +
                   " when others have ended");
  if (arrived_ == 0) {
    blockOp_ = op, blockLine_ = line, blockAny_ = 0, blockCount_ = 0;
  } else if (blockOp_ != op || blockLine_ != line) {
    failDivergence(threadName(lane) + " is at the barrier of line " + std::to_string(line));
  }
  blockAny_ |= predicate != 0;
  blockCount_ += predicate != 0;
  Warp& warp = *lane.warp;
  warp.ready &= ~(1u << lane.number);
  warp.atBlock |= 1u << lane.number;
  if (++arrived_ == threadCount_) releaseBlock();
  leave(lane);
  return blockResult_;
}

void Executor::releaseBlock() {
  const bool everyone = blockCount_ == static_cast<int>(threadCount_);
  blockResult_ = blockOp_ == BlockOp::any ? blockAny_ : blockOp_ == BlockOp::all ? everyone : blockCount_;
  arrived_ = warpCursor_ = 0;
  for (std::size_t i = 0; i < warpOrder_.size(); i++) {
    warps_[i].ready = warps_[i].atBlock;
    warps_[i].atBlock = 0;
  }
}

std::string Executor::waitingThreads() const {
  unsigned atBlock = 0;
  std::string warpsText;
  for (std::size_t i = 0; i < warpOrder_.size(); i++) {
    const Warp& warp = warps_[i];
    atBlock += static_cast<unsigned>(__builtin_popcount(warp.atBlock));
    if (warp.atWarp == 0 || !warpsText.empty()) continue;
    const unsigned first = static_cast<unsigned>(__builtin_ctz(warp.atWarp));
    warpsText = "; in warp " + std::to_string(i) + " " + std::to_string(__builtin_popcount(warp.atWarp)) +
                " lanes wait for others, lane " + std::to_string(first) + " in line " +
                std::to_string(warp.lanes[first].waiting.line);
  }
  std::string text = "of " + std::to_string(threadCount_) + " threads " + std::to_string(endedCount_) + " have ended";
  if (atBlock > 0)
    text += "; " + std::to_string(atBlock) + " wait at the barrier of line " + std::to_string(blockLine_);
  return text + warpsText;
}

void Executor::failDivergence(const std::string& message) {
  fail(launchFailed, "threads of block " + place(current_) + " diverge: " + message + " (" + waitingThreads() + ")");
}

const unsigned char* Executor::sharedBytesAt(const void* address, std::size_t bytes) const {
  const auto* const at = static_cast<const unsigned char*>(address);
  const LoadedModule& module = *launch_->module;
  const auto within = [&](const unsigned char* start, std::size_t size) {
    return at >= start && at + bytes <= start + size;
  };
  return within(module.shared, module.sharedBytes) || within(module.dynamicShared, launch_->sharedBytes) ? at : nullptr;
}

void Executor::copyAsync(Lane& lane, void* shared, const void* global, unsigned bytes, unsigned sourceBytes, int line) {
  const auto what = [&] { return threadName(lane) + ", cp.async of line " + std::to_string(line) + ": "; };
  if (sharedBytesAt(shared, bytes) == nullptr) fail(illegalAddress, what() + "the target is not in shared memory");
  if (sourceBytes > bytes) fail(launchFailed, what() + "more bytes are read than written");
  if ((reinterpret_cast<Address>(shared) | reinterpret_cast<Address>(global)) % bytes != 0)
    fail(misalignedAddress, what() + "misaligned");
  // What was there is gone, and what will be there has not come: who does not wait reads NaN.
  fillWords(shared, bytes, sharedBits);
  lane.copies.push_back({static_cast<unsigned char*>(shared), static_cast<const unsigned char*>(global), bytes,
                         sourceBytes, lane.copyGroup});
}

void Executor::copyWait(Lane& lane, unsigned pending) {
  auto copy = lane.copies.begin();
  for (; copy != lane.copies.end() && copy->group + pending < lane.copyGroup; ++copy) {
    if (copy->sourceBytes > 0) std::memcpy(copy->target, copy->source, copy->sourceBytes);
    std::memset(copy->target + copy->sourceBytes, 0, copy->bytes - copy->sourceBytes);
  }
  lane.copies.erase(lane.copies.begin(), copy);
}

}  // namespace tutti_emulator
