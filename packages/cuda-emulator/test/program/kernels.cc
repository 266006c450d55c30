// Kernels that are right give right results, in every order of threads.
#include <cmath>

#include "session.h"

SCENARIO(saxpy, "saxpy") {
  Session session;
  const Handle kernel = session.load(R"(
    extern "C" __global__ void __launch_bounds__(256) kernel_main(float* y, const float* __restrict__ x, float a, unsigned n) {
      const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
      if (i < n) y[i] = __fmaf_rn(a, x[i], y[i]);
    })");
  const std::vector<float> x = randomNumbers(1000), y = randomNumbers(1000, 2);
  const Address xs = session.upload(x), ys = session.upload(y);
  session.launch(kernel, {4}, {256}, Parameters(ys, xs, 0.5f, 1000u));
  const std::vector<float> result = session.download<float>(ys, 1000);
  for (std::size_t i = 0; i < 1000; i++) CHECK(result[i] == std::fma(0.5f, x[i], y[i]));
}

SCENARIO(reduction, "reduction") {
  Session session;
  const Handle kernel = session.load(R"(
    __device__ __forceinline__ float warpSum(float value) {
      #pragma unroll
      for (int offset = 16; offset > 0; offset >>= 1) value += __shfl_xor_sync(0xffffffffu, value, offset);
      return value;
    }
    extern "C" __global__ void kernel_main(const float* x, float* sums, int n) {
      __shared__ float parts[32];
      float sum = 0.0f;
      for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[blockIdx.x * n + i];
      sum = warpSum(sum);
      if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
      __syncthreads();
      if (threadIdx.x < 32) {
        sum = warpSum(threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : 0.0f);
        if (threadIdx.x == 0) sums[blockIdx.x] = sum;
      }
    })");
  const std::vector<float> x = randomNumbers(7 * 1000);
  const Address xs = session.upload(x), sums = session.allocate(7 * 4);
  session.launch(kernel, {7}, {256}, Parameters(xs, sums, 1000));
  const std::vector<float> result = session.download<float>(sums, 7);
  for (std::size_t row = 0; row < 7; row++) {
    double expected = 0;
    for (std::size_t i = 0; i < 1000; i++) expected += x[row * 1000 + i];
    CHECK(std::fabs(result[row] - expected) < 1e-4);
  }
}

/** With its barrier, or as it is wrong without. */
static bool transposes(bool barrier) {
  Session session;
  const Handle kernel = session.load(std::string(R"(
    extern "C" __global__ void kernel_main(const float* x, float* y, int rows, int columns) {
      __shared__ float tile[16][17];
      const int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
      if (row < rows && column < columns) tile[threadIdx.y][threadIdx.x] = x[row * columns + column];
  )") + (barrier ? "__syncthreads();" : "") +
                                     R"(
      const int r = blockIdx.x * 16 + threadIdx.y, c = blockIdx.y * 16 + threadIdx.x;
      if (r < columns && c < rows) y[r * rows + c] = tile[threadIdx.x][threadIdx.y];
    })");
  const std::vector<float> x = randomNumbers(50 * 70);
  const Address xs = session.upload(x), ys = session.allocate(50 * 70 * 4);
  session.launch(kernel, {5, 4}, {16, 16}, Parameters(xs, ys, 50, 70));
  const std::vector<float> y = session.download<float>(ys, 50 * 70);
  for (std::size_t row = 0; row < 50; row++) {
    for (std::size_t column = 0; column < 70; column++) {
      if (!(y[column * 50 + row] == x[row * 70 + column])) return false;
    }
  }
  return true;
}

SCENARIO(transposition, "transposition") { CHECK(transposes(true)); }
SCENARIO(missingBarrier, "missing barrier") { CHECK(!transposes(false)); }

SCENARIO(dynamicShared, "dynamic shared memory") {
  Session session;
  const Handle kernel = session.load(R"(
    extern "C" __global__ void kernel_main(int* out, int n) {
      extern __shared__ __align__(16) unsigned char memory[];
      int* values = reinterpret_cast<int*>(memory);
      // What the block before has left is gone.
      const bool fresh = values[threadIdx.x] == (int)0xffe1ffe1u;
      __syncthreads();
      values[threadIdx.x] = threadIdx.x;
      __syncthreads();
      out[blockIdx.x * n + threadIdx.x] = fresh ? values[n - 1 - threadIdx.x] : -1;
    })");
  CU("cuFuncSetAttribute", kernel, 8, 100 * 1024);
  const Address out = session.allocate(3 * 64 * 4);
  session.launch(kernel, {3}, {64}, Parameters(out, 64), 100 * 1024);
  const std::vector<int> result = session.download<int>(out, 3 * 64);
  for (int i = 0; i < 3 * 64; i++) CHECK(result[static_cast<std::size_t>(i)] == 63 - i % 64);
  CHECK(session.tryLaunch(kernel, {1}, {64}, Parameters(out, 64), 101 * 1024) == 1);
  EXPECT(1, "cuFuncSetAttribute", kernel, 8, 228 * 1024);
}

SCENARIO(blockVotes, "votes of a block") {
  Session session;
  const Handle kernel = session.load(R"(
    extern "C" __global__ void kernel_main(int* out) {
      const int i = threadIdx.x;
      const int values[] = {__syncthreads_or(i == 70), __syncthreads_or(i > 96), __syncthreads_and(i < 96), __syncthreads_and(i != 3), __syncthreads_count(i % 3 == 0)};
      for (int k = 0; k < 5; k++) out[i * 5 + k] = values[k];
    })");
  const Address out = session.allocate(96 * 5 * 4);
  session.launch(kernel, {1}, {96}, Parameters(out));
  const std::vector<int> result = session.download<int>(out, 96 * 5);
  const int expected[] = {1, 0, 1, 0, 32};
  for (std::size_t i = 0; i < 96 * 5; i++) CHECK(result[i] == expected[i % 5]);
}

SCENARIO(atomics, "atomics") {
  Session session;
  const Handle kernel = session.load(R"(
    extern "C" __global__ void kernel_main(int* sum, float* floats, unsigned* most, int* least, unsigned* lock, int* swapped) {
      const int i = blockIdx.x * blockDim.x + threadIdx.x;
      atomicAdd(sum, i);
      atomicAdd(floats, 0.5f);
      atomicMax(most, (unsigned)(i * 37 % 1000));
      atomicMin(least, i - 500);
      if (atomicCAS(lock, 0u, (unsigned)i + 1) == 0u) atomicExch(swapped, 7);
    })");
  const Address memory = session.upload(std::vector<int>(6, 0));
  session.launch(kernel, {10}, {100},
                 Parameters(memory, memory + 4, memory + 8, memory + 12, memory + 16, memory + 20));
  const std::vector<int> result = session.download<int>(memory, 6);
  float floats;
  std::memcpy(&floats, &result[1], 4);
  CHECK(result[0] == 999 * 500 && floats == 500.0f && result[2] == 999 && result[3] == -500 && result[4] != 0 &&
        result[5] == 7);
}

SCENARIO(parameterLayout, "parameters") {
  Session session;
  const Handle kernel = session.load(R"(
    struct Shape { int rows; short flag; double scale; };
    extern "C" __global__ void kernel_main(char small, Shape shape, unsigned short half, const int* __restrict__ in, bool yes, float4 four, int* out) {
      out[0] = small; out[1] = shape.rows; out[2] = shape.flag; out[3] = (int)(shape.scale * 4); out[4] = half; out[5] = *in; out[6] = yes; out[7] = (int)four.w;
    })");
  struct Shape {
    int rows;
    short flag;
    double scale;
  };
  struct alignas(16) Four {
    float x, y, z, w;
  };
  const Address in = session.upload(std::vector<int>{99}), out = session.allocate(32);
  session.launch(
      kernel, {}, {},
      Parameters('a', Shape{5, -3, 2.25}, static_cast<unsigned short>(65535), in, true, Four{1, 2, 3, 4}, out));
  const std::vector<int> expected{'a', 5, -3, 9, 65535, 99, 1, 4};
  CHECK(session.download<int>(out, 8) == expected);
  // The other way to give them.
  char small = 'b';
  Shape shape{6, 7, 0.5};
  unsigned short half = 1;
  Address from = in, to = out;
  bool yes = false;
  Four four{0, 0, 0, 8};
  void* each[] = {&small, &shape, &half, &from, &yes, &four, &to};
  CU("cuLaunchKernel", kernel, 1u, 1u, 1u, 1u, 1u, 1u, 0u, session.stream, static_cast<void**>(each),
     static_cast<void**>(nullptr));
  CHECK((session.download<int>(out, 8) == std::vector<int>{'b', 6, 7, 2, 1, 99, 0, 8}));
  // Too few bytes.
  CHECK(session.tryLaunch(kernel, {}, {}, Parameters('a')) == 1);
}

SCENARIO(indices, "indices in three dimensions") {
  Session session;
  const Handle kernel = session.load(R"(
    extern "C" __global__ void kernel_main(unsigned* out) {
      const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
      const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
      const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
      out[block * threads + thread] = block * 1000 + thread;
    })");
  const Address out = session.allocate(24 * 30 * 4);
  session.launch(kernel, {2, 3, 4}, {5, 3, 2}, Parameters(out));
  const std::vector<unsigned> result = session.download<unsigned>(out, 24 * 30);
  for (unsigned i = 0; i < 24 * 30; i++) CHECK(result[i] == i / 30 * 1000 + i % 30);
}

SCENARIO(scalarFunctions, "functions of the dialect") {
  Session session;
  const Handle kernel = session.load(R"(
    extern "C" __global__ void kernel_main(float* f, int* i, const float* x) {
      const float zero = x[0], nan = zero / zero, inf = 1.0f / zero;
      const float floats[] = {expf(x[1]), logf(x[1]), log1pf(x[1]), expm1f(x[1]), sinf(x[1]), cosf(x[1]), tanhf(x[1]), erff(x[1]), powf(x[1], 3.0f), sqrtf(x[1]),
        rsqrtf(4.0f), fmodf(5.5f, 2.0f), floorf(-1.5f), ceilf(-1.5f), truncf(-1.5f), rintf(2.5f), fabsf(-x[1]), fmaf(2.0f, 3.0f, 1.0f), fminf(nan, 1.0f), fmaxf(1.0f, nan), copysignf(3.0f, -0.0f)};
      for (int k = 0; k < 21; k++) f[k] = floats[k];
      const int ints[] = {__float2int_rz(nan), __float2int_rz(inf), __float2int_rz(-inf), __float2int_rz(-2.9f), (int)__float2uint_rz(-3.0f), (int)__float2uint_rz(inf), (int)__float2uint_rz(nan),
        __popc(0xf0fu), __clz(1), __clz(0), __ffs(8), __ffs(0), (int)__brev(1u), (int)__umulhi(0xffffffffu, 0x10000u), __mulhi(-1, 1), isnan(nan), isnan(inf), __float_as_int(1.0f), (int)__float2uint_rz(3000000000.0f)};
      for (int k = 0; k < 19; k++) i[k] = ints[k];
    })");
  const Address f = session.allocate(21 * 4), i = session.allocate(19 * 4),
                x = session.upload(std::vector<float>{0.0f, 0.7f});
  session.launch(kernel, {}, {}, Parameters(f, i, x));
  const double v = 0.7f;
  const double floats[] = {std::exp(v),
                           std::log(v),
                           std::log1p(v),
                           std::expm1(v),
                           std::sin(v),
                           std::cos(v),
                           std::tanh(v),
                           std::erf(v),
                           v * v * v,
                           std::sqrt(v),
                           0.5,
                           1.5,
                           -2,
                           -1,
                           -1,
                           2,
                           v,
                           7,
                           1,
                           1,
                           -3};
  const std::vector<float> gotFloats = session.download<float>(f, 21);
  for (std::size_t k = 0; k < 21; k++) CHECK(std::fabs(gotFloats[k] - floats[k]) < 1e-6);
  const std::vector<int> ints{0,
                              2147483647,
                              -2147483647 - 1,
                              -2,
                              0,
                              -1,
                              0,
                              8,
                              31,
                              32,
                              4,
                              0,
                              -2147483647 - 1,
                              0xffff,
                              -1,
                              1,
                              0,
                              0x3f800000,
                              static_cast<int>(3000000000u)};
  CHECK(session.download<int>(i, 19) == ints);
}
