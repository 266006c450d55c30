// What compiled kernels and the driver know of each other. Kernels are compiled with this text: no header is included
// here.
#ifndef TUTTI_EMULATOR_ABI
#define TUTTI_EMULATOR_ABI

namespace tutti_emulator {

constexpr unsigned abiVersion = 1;

struct Vec3 {
  unsigned x, y, z;
};

enum class BlockOp : int { sync, any, all, count };
enum class WarpOp : int { sync, shuffle, shuffleUp, shuffleDown, shuffleXor, ballot, any, all, matrix, loadMatrix };
enum class MatrixKind : int { f16k16, bf16k16, tf32k8, f16k8 };

struct Thread;

/** Where the driver goes on for what a thread cannot do alone. `line` is that of the call, for messages. */
struct Runtime {
  int (*block)(Thread*, BlockOp, int predicate, int line);
  unsigned (*warp)(Thread*, WarpOp, unsigned mask, unsigned value, unsigned argument, unsigned width, int line);
  void (*matrix)(Thread*, MatrixKind, float* d, const unsigned* a, const unsigned* b, const float* c, int line);
  void (*loadMatrix)(Thread*, int count, bool transposed, unsigned* fragments, const void* row, int line);
  void (*copyAsync)(Thread*, void* shared, const void* global, unsigned bytes, unsigned sourceBytes, int line);
  void (*copyCommit)(Thread*);
  void (*copyWait)(Thread*, unsigned pending);
  float (*fromHalf)(unsigned short);
  unsigned short (*toHalf)(float);
  [[noreturn]] void (*trap)(Thread*, int line);
};

/** One CUDA thread. The driver keeps more behind it. */
struct Thread {
  Vec3 thread, block, threads, blocks;
  const Runtime* runtime;
};

struct Parameter {
  unsigned offset, size;
};

struct KernelEntry {
  const char* name;
  void (*run)(Thread*, const unsigned char* parameters);
  const Parameter* parameters;
  unsigned parameterCount;
  /** Of `__launch_bounds__`; 0 where there is none. */
  unsigned maxThreads;
};

/** Exported by a compiled module as `tuttiModule`. */
struct Module {
  unsigned version;
  /** 90 for sm_90. */
  unsigned architecture;
  const KernelEntry* kernels;
  unsigned kernelCount;
};

}  // namespace tutti_emulator

#endif
