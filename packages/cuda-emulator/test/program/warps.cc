// What the lanes of a warp do together.
#include "session.h"

namespace {

constexpr unsigned undefinedValue = 0xffe1ffe1u;

unsigned source(int kind, unsigned lane, unsigned argument, unsigned width) {
  const unsigned segment = lane & ~(width - 1), last = segment + width - 1;
  switch (kind) {
    case 0: return segment | (argument & (width - 1));
    case 1: return lane >= segment + argument ? lane - argument : lane;
    case 2: return lane + argument <= last ? lane + argument : lane;
    default: return (lane ^ argument) <= last ? lane ^ argument : lane;
  }
}

}  // namespace

SCENARIO(shuffles, "shuffles") {
  Session session;
  const Handle kernel = session.load(R"(
    extern "C" __global__ void kernel_main(unsigned* out, unsigned argument, int width) {
      const unsigned lane = threadIdx.x % 32, value = 100u + threadIdx.x;
      unsigned* at = out + threadIdx.x * 4;
      at[0] = __shfl_sync(0xffffffffu, value, (int)argument, width);
      at[1] = __shfl_up_sync(0xffffffffu, value, argument, width);
      at[2] = __float_as_uint(__shfl_down_sync(0xffffffffu, __uint_as_float(value), argument, width));
      at[3] = (unsigned)__shfl_xor_sync(0xffffffffu, (int)value, (int)argument, width);
    })");
  const Address out = session.allocate(80 * 16);
  for (const unsigned argument : {0u, 1u, 5u, 16u, 31u}) {
    for (const unsigned width : {4u, 16u, 32u}) {
      // The third warp has 16 lanes: what the others would give is not defined.
      session.launch(kernel, {}, {80}, Parameters(out, argument, width));
      const std::vector<unsigned> result = session.download<unsigned>(out, 80 * 4);
      for (unsigned thread = 0; thread < 80; thread++) {
        for (int kind = 0; kind < 4; kind++) {
          const unsigned from = source(kind, thread % 32, argument, width) + thread / 32 * 32;
          CHECK(result[thread * 4 + static_cast<unsigned>(kind)] == (from < 80 ? 100 + from : undefinedValue));
        }
      }
    }
  }
}

SCENARIO(votes, "votes of a warp") {
  Session session;
  const Handle kernel = session.load(R"(
    extern "C" __global__ void kernel_main(unsigned* out) {
      const unsigned i = threadIdx.x;
      out[i * 4] = __ballot_sync(0xffffffffu, i % 3 == 0);
      out[i * 4 + 1] = __any_sync(0xffffffffu, i == 40);
      out[i * 4 + 2] = __all_sync(0xffffffffu, i < 32);
      __syncwarp();
      // Half of the lanes, in a branch of their own.
      if (i % 2 == 0) out[i * 4 + 3] = __shfl_xor_sync(0x55555555u, i, 2);
      else out[i * 4 + 3] = __ballot_sync(0xaaaaaaaau, 1);
    })");
  const Address out = session.allocate(64 * 16);
  session.launch(kernel, {}, {64}, Parameters(out));
  const std::vector<unsigned> result = session.download<unsigned>(out, 64 * 4);
  for (unsigned i = 0; i < 64; i++) {
    unsigned ballot = 0;
    for (unsigned lane = 0; lane < 32; lane++) ballot |= ((i / 32 * 32 + lane) % 3 == 0 ? 1u : 0u) << lane;
    CHECK(result[i * 4] == ballot && result[i * 4 + 1] == i / 32 && result[i * 4 + 2] == 1 - i / 32);
    CHECK(result[i * 4 + 3] == (i % 2 == 0 ? i ^ 2 : 0xaaaaaaaau));
  }
}

/** A kernel whose threads part: it is found, and says what is asked for. */
static void diverges(const char* body, unsigned threads = 64) {
  Session session;
  const Handle kernel =
      session.load(std::string("extern \"C\" __global__ void kernel_main(int* out) {\n") + body + "\n}");
  const Address out = session.upload(std::vector<int>(64, 0));
  session.launch(kernel, {2}, {threads}, Parameters(out));
  CHECK(session.finish() == 719);
  // The device does not recover.
  EXPECT(719, "cuStreamSynchronize", session.stream);
  CHECK(session.tryLaunch(kernel, {}, {1}, Parameters(out)) == 719);
}

SCENARIO(halfAtBarrier, "divergence: half of the threads at a barrier") {
  diverges("if (threadIdx.x < 32) __syncthreads();\nout[threadIdx.x] = 1;");
}
SCENARIO(early, "divergence: threads end before a barrier") {
  diverges("if (threadIdx.x >= 48) return;\n__syncthreads();\nout[threadIdx.x] = 1;");
}
SCENARIO(twoBarriers, "divergence: two barriers") {
  diverges("if (threadIdx.x < 32) {\n__syncthreads();\n} else {\n__syncthreads();\n}");
}
SCENARIO(barrierAndShuffle, "divergence: a barrier and a shuffle") {
  diverges("if (threadIdx.x < 16) {\n__syncthreads();\n} else {\nout[0] = __shfl_sync(0xffffffffu, 1, 0);\n}");
}
SCENARIO(endedLanes, "divergence: a shuffle with lanes that have ended") {
  diverges("if (threadIdx.x % 32 > 20) return;\nout[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);");
}
SCENARIO(otherMask, "divergence: a lane that its mask does not name") {
  diverges("out[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, 1, 1);");
}
SCENARIO(otherOperation, "divergence: different operations of a warp") {
  diverges("if (threadIdx.x < 16) out[0] = __any_sync(0xffffffffu, 1);\nelse out[1] = __all_sync(0xffffffffu, 1);");
}
