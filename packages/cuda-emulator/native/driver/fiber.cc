#include "fiber.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdint>
#include <new>

// Of AddressSanitizer, where the process runs with it: it has to know which stack is in use.
extern "C" {
void __sanitizer_start_switch_fiber(void** saved, const void* bottom, std::size_t bytes) __attribute__((weak));
void __sanitizer_finish_switch_fiber(void* saved, const void** bottom, std::size_t* bytes) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void* start, std::size_t bytes) __attribute__((weak));
void tuttiSwitch(void** from, void* to);
void tuttiEnter();
}

#if defined(__x86_64__)
asm(R"(
  .text
  .globl tuttiSwitch
  .hidden tuttiSwitch
  .type tuttiSwitch, @function
tuttiSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size tuttiSwitch, .-tuttiSwitch
  .globl tuttiEnter
  .hidden tuttiEnter
  .type tuttiEnter, @function
tuttiEnter:
  movq %r13, %rdi
  callq *%r12
  ud2
  .size tuttiEnter, .-tuttiEnter
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl tuttiSwitch
  .hidden tuttiSwitch
  .type tuttiSwitch, %function
tuttiSwitch:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size tuttiSwitch, .-tuttiSwitch
  .globl tuttiEnter
  .hidden tuttiEnter
  .type tuttiEnter, %function
tuttiEnter:
  mov x0, x20
  blr x19
  brk #0
  .size tuttiEnter, .-tuttiEnter
)");
#else
#error "the emulator knows x86-64 and 64-bit ARM"
#endif

namespace tutti_emulator {

void Fiber::prepare(unsigned char* stack, std::size_t bytes, void (*function)(void*), void* argument) {
  stack_ = stack;
  bytes_ = bytes;
  sanitizer_ = nullptr;
  if (__asan_unpoison_memory_region != nullptr) __asan_unpoison_memory_region(stack, bytes);
  auto* top = reinterpret_cast<std::uintptr_t*>(stack + bytes);
#if defined(__x86_64__)
  // r15, r14, r13, r12, rbx, rbp, and the address that `ret` goes to; behind it the stack is aligned as before a call.
  top -= 9;
  for (int i = 0; i < 9; i++) top[i] = 0;
  top[2] = reinterpret_cast<std::uintptr_t>(argument);
  top[3] = reinterpret_cast<std::uintptr_t>(function);
  top[6] = reinterpret_cast<std::uintptr_t>(&tuttiEnter);
  stackPointer_ = top;
#else
  top -= 20;
  for (int i = 0; i < 20; i++) top[i] = 0;
  top[0] = reinterpret_cast<std::uintptr_t>(function);
  top[1] = reinterpret_cast<std::uintptr_t>(argument);
  top[11] = reinterpret_cast<std::uintptr_t>(&tuttiEnter);
  stackPointer_ = top;
#endif
}

void Fiber::adopt() {
  if (__sanitizer_start_switch_fiber == nullptr) return;
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void* start = nullptr;
  pthread_attr_getstack(&attributes, &start, &bytes_);
  stack_ = static_cast<unsigned char*>(start);
  pthread_attr_destroy(&attributes);
}

void Fiber::switchTo(Fiber& other) {
  if (__sanitizer_start_switch_fiber != nullptr)
    __sanitizer_start_switch_fiber(&sanitizer_, other.stack_, other.bytes_);
  tuttiSwitch(&stackPointer_, other.stackPointer_);
  if (__sanitizer_finish_switch_fiber != nullptr) __sanitizer_finish_switch_fiber(sanitizer_, nullptr, nullptr);
}

void Fiber::entered() {
  if (__sanitizer_finish_switch_fiber != nullptr) __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
}

namespace {

constexpr std::size_t page = 4096;

/** Tells Valgrind of a stack, by the instructions that mean something to it and nothing to the processor. */
void announceStack([[maybe_unused]] unsigned char* start, [[maybe_unused]] std::size_t bytes) {
#if defined(__x86_64__)
  constexpr std::uint64_t stackRegister = 0x1501;
  const volatile std::uint64_t request[6] = {stackRegister,
                                             reinterpret_cast<std::uint64_t>(start),
                                             reinterpret_cast<std::uint64_t>(start + bytes - 1),
                                             0,
                                             0,
                                             0};
  std::uint64_t answer = 0;
  asm volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi; xchgq %%rbx, %%rbx"
               : "+d"(answer)
               : "a"(request)
               : "cc", "memory");
#endif
}

}  // namespace

Stacks::~Stacks() {
  for (unsigned char* group : groups_) munmap(group, atOnce * (bytes + page));
}

unsigned char* Stacks::at(std::size_t index) {
  while (groups_.size() * atOnce <= index) {
    void* const start = mmap(nullptr, atOnce * (bytes + page), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (start == MAP_FAILED) throw std::bad_alloc();
    groups_.push_back(static_cast<unsigned char*>(start));
    for (std::size_t i = 0; i < atOnce; i++) {
      unsigned char* const lowest = groups_.back() + i * (bytes + page);
      mprotect(lowest, page, PROT_NONE);
      announceStack(lowest + page, bytes);
    }
  }
  return groups_[index / atOnce] + index % atOnce * (bytes + page) + page;
}

bool Stacks::guards(const void* address) const {
  const auto* at = static_cast<const unsigned char*>(address);
  for (const unsigned char* group : groups_) {
    if (at >= group && at < group + atOnce * (bytes + page))
      return static_cast<std::size_t>(at - group) % (bytes + page) < page;
  }
  return false;
}

}  // namespace tutti_emulator
