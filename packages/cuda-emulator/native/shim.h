// The dialect of kernel text for the host's compiler: what NVRTC knows by itself. It comes before the text of every
// kernel, so it is short: its reading is a part of the time of every compilation. A line `//? names` begins a part that
// a text gets only if one of its own names begins with one of these; `//? always` ends it.
#define TUTTI_EMULATED 1
#define __CUDACC_RTC__ 1

#if defined(__x86_64__)
// The thread that runs. In a register, so that a change of the fiber changes it, and no thread-local storage is asked.
register tutti_emulator::Thread* tutti_self asm("r15");
#elif defined(__aarch64__)
register tutti_emulator::Thread* tutti_self asm("x28");
#endif

#define __global__ __attribute__((noinline, visibility("default")))
#define __device__
#define __host__
#define __constant__
// Static shared arrays make up the module's .bss section, which the driver fills with NaN before each block.
#define __shared__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __grid_constant__

#define TUTTI_INLINE static inline __attribute__((always_inline))

typedef tutti_emulator::Vec3 uint3;
typedef tutti_emulator::Vec3 dim3;
typedef decltype(sizeof(0)) size_t;

#define threadIdx (static_cast<const uint3&>(tutti_self->thread))
#define blockIdx (static_cast<const uint3&>(tutti_self->block))
#define blockDim (static_cast<const dim3&>(tutti_self->threads))
#define gridDim (static_cast<const dim3&>(tutti_self->blocks))
#define warpSize 32

//? float2 float4 int2 int4 uint2 uint4 short2 short4 ushort char2 char4 uchar make_
#define TUTTI_VECTORS(T, name, align2, align4)                     \
  struct alignas(align2) name##2 { T x, y; };                      \
  struct alignas(align4) name##4 { T x, y, z, w; };                \
  TUTTI_INLINE name##2 make_##name##2(T x, T y) { return {x, y}; } \
  TUTTI_INLINE name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
TUTTI_VECTORS(float, float, 8, 16)
TUTTI_VECTORS(int, int, 8, 16)
TUTTI_VECTORS(unsigned int, uint, 8, 16)
TUTTI_VECTORS(short, short, 4, 8)
TUTTI_VECTORS(unsigned short, ushort, 4, 8)
TUTTI_VECTORS(signed char, char, 2, 4)
TUTTI_VECTORS(unsigned char, uchar, 2, 4)
#undef TUTTI_VECTORS
//? float3 int3 uint3 make_float3 make_int3 make_uint3 longlong2 ulonglong2
struct float3 {
  float x, y, z;
};
struct int3 {
  int x, y, z;
};
struct alignas(16) longlong2 {
  long long x, y;
};
struct alignas(16) ulonglong2 {
  unsigned long long x, y;
};
TUTTI_INLINE float3 make_float3(float x, float y, float z) { return {x, y, z}; }
TUTTI_INLINE int3 make_int3(int x, int y, int z) { return {x, y, z}; }
TUTTI_INLINE uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }

//? always
// Mathematics: of the host's library, or an instruction where there is one.
extern "C" {
float expf(float) noexcept;
float exp2f(float) noexcept;
float expm1f(float) noexcept;
float logf(float) noexcept;
float log2f(float) noexcept;
float log10f(float) noexcept;
float log1pf(float) noexcept;
float sinf(float) noexcept;
float cosf(float) noexcept;
float tanf(float) noexcept;
float sinhf(float) noexcept;
float coshf(float) noexcept;
float tanhf(float) noexcept;
float asinf(float) noexcept;
float acosf(float) noexcept;
float atanf(float) noexcept;
float atan2f(float, float) noexcept;
float erff(float) noexcept;
float erfcf(float) noexcept;
float powf(float, float) noexcept;
float fmodf(float, float) noexcept;
float sqrtf(float) noexcept;
float floorf(float) noexcept;
float ceilf(float) noexcept;
float truncf(float) noexcept;
float rintf(float) noexcept;
float nearbyintf(float) noexcept;
float roundf(float) noexcept;
float fabsf(float) noexcept;
float fmaf(float, float, float) noexcept;
float fminf(float, float) noexcept;
float fmaxf(float, float) noexcept;
float copysignf(float, float) noexcept;
float cbrtf(float) noexcept;
double exp(double) noexcept;
double log(double) noexcept;
double sqrt(double) noexcept;
double fma(double, double, double) noexcept;
double fabs(double) noexcept;
double floor(double) noexcept;
double rint(double) noexcept;
int abs(int) noexcept;
}
TUTTI_INLINE float rsqrtf(float x) { return static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(x))); }
TUTTI_INLINE bool isnan(float x) { return x != x; }
TUTTI_INLINE bool isinf(float x) { return __builtin_fabsf(x) == __builtin_inff(); }
TUTTI_INLINE bool isfinite(float x) { return __builtin_fabsf(x) < __builtin_inff(); }
TUTTI_INLINE bool signbit(float x) { return __builtin_signbit(x) != 0; }
TUTTI_INLINE int min(int a, int b) { return a < b ? a : b; }
TUTTI_INLINE int max(int a, int b) { return a > b ? a : b; }
TUTTI_INLINE unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
TUTTI_INLINE unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
TUTTI_INLINE float min(float a, float b) { return fminf(a, b); }
TUTTI_INLINE float max(float a, float b) { return fmaxf(a, b); }
TUTTI_INLINE long long min(long long a, long long b) { return a < b ? a : b; }
TUTTI_INLINE long long max(long long a, long long b) { return a > b ? a : b; }
TUTTI_INLINE unsigned long long min(unsigned long long a, unsigned long long b) { return a < b ? a : b; }
TUTTI_INLINE unsigned long long max(unsigned long long a, unsigned long long b) { return a > b ? a : b; }

#define TUTTI_BITS(name, From, To) \
  TUTTI_INLINE To name(From x) {   \
    To y;                          \
    __builtin_memcpy(&y, &x, 4);   \
    return y;                      \
  }
TUTTI_BITS(__float_as_int, float, int)
TUTTI_BITS(__float_as_uint, float, unsigned)
TUTTI_BITS(__int_as_float, int, float)
TUTTI_BITS(__uint_as_float, unsigned, float)
#undef TUTTI_BITS
// A GPU saturates, and makes 0 of NaN.
TUTTI_INLINE int __float2int_rz(float x) {
  return x != x ? 0 : x >= 2147483648.0f ? 2147483647 : x < -2147483648.0f ? -2147483647 - 1 : static_cast<int>(x);
}
TUTTI_INLINE unsigned __float2uint_rz(float x) {
  return !(x > 0.0f) ? 0u : x >= 4294967296.0f ? 0xffffffffu : static_cast<unsigned>(x);
}
TUTTI_INLINE int __float2int_rn(float x) { return __float2int_rz(rintf(x)); }
//? __int2 __uint2 __f __float2int_rn __saturatef
TUTTI_INLINE float __int2float_rn(int x) { return static_cast<float>(x); }
TUTTI_INLINE float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
TUTTI_INLINE float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
TUTTI_INLINE float __fadd_rn(float a, float b) { return a + b; }
TUTTI_INLINE float __fsub_rn(float a, float b) { return a - b; }
TUTTI_INLINE float __fmul_rn(float a, float b) { return a * b; }
TUTTI_INLINE float __fdiv_rn(float a, float b) { return a / b; }
TUTTI_INLINE float __fsqrt_rn(float a) { return sqrtf(a); }
TUTTI_INLINE float __frcp_rn(float a) { return 1.0f / a; }
TUTTI_INLINE float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
//? __umul __mul __pop __clz __ffs __brev __byte
TUTTI_INLINE unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32);
}
TUTTI_INLINE int __mulhi(int a, int b) { return static_cast<int>((static_cast<long long>(a) * b) >> 32); }
TUTTI_INLINE unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
TUTTI_INLINE int __popc(unsigned x) { return __builtin_popcount(x); }
TUTTI_INLINE int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
TUTTI_INLINE int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
TUTTI_INLINE int __ffs(int x) { return __builtin_ffs(x); }
TUTTI_INLINE unsigned __brev(unsigned x) {
  x = ((x >> 1) & 0x55555555u) | ((x & 0x55555555u) << 1);
  x = ((x >> 2) & 0x33333333u) | ((x & 0x33333333u) << 2);
  x = ((x >> 4) & 0x0f0f0f0fu) | ((x & 0x0f0f0f0fu) << 4);
  return __builtin_bswap32(x);
}
TUTTI_INLINE unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const unsigned long long both = (static_cast<unsigned long long>(b) << 32) | a;
  unsigned result = 0;
  for (unsigned i = 0; i < 4; i++) {
    const unsigned choice = (selector >> (4 * i)) & 0xf;
    const unsigned byte = static_cast<unsigned>(both >> (8 * (choice & 7))) & 0xff;
    result |= (choice & 8 ? (byte & 0x80 ? 0xffu : 0u) : byte) << (8 * i);
  }
  return result;
}

//? __ld __st
#define TUTTI_LOAD(name)            \
  template <class T>                \
  TUTTI_INLINE T name(const T* p) { \
    return *p;                      \
  }
#define TUTTI_STORE(name)                 \
  template <class T>                      \
  TUTTI_INLINE void name(T* p, T value) { \
    *p = value;                           \
  }
TUTTI_LOAD(__ldg)
TUTTI_LOAD(__ldcs)
TUTTI_LOAD(__ldcg)
TUTTI_LOAD(__ldca)
TUTTI_STORE(__stcs)
TUTTI_STORE(__stcg)
#undef TUTTI_LOAD
#undef TUTTI_STORE

//? always
// Barriers and warps. A use of any of them leaves its mark in the object: without a mark, the threads of a block run in
// a plain loop.
#define TUTTI_FIBERS asm volatile(".pushsection tutti_fibers,\"a\"\n.byte 1\n.popsection")
#define TUTTI_LINE int line = __builtin_LINE()
#define TUTTI_BLOCK(op, predicate) tutti_self->runtime->block(tutti_self, tutti_emulator::BlockOp::op, predicate, line)
TUTTI_INLINE void __syncthreads(TUTTI_LINE) {
  TUTTI_FIBERS;
  TUTTI_BLOCK(sync, 0);
}
TUTTI_INLINE int __syncthreads_or(int predicate, TUTTI_LINE) {
  TUTTI_FIBERS;
  return TUTTI_BLOCK(any, predicate);
}
TUTTI_INLINE int __syncthreads_and(int predicate, TUTTI_LINE) {
  TUTTI_FIBERS;
  return TUTTI_BLOCK(all, predicate);
}
TUTTI_INLINE int __syncthreads_count(int predicate, TUTTI_LINE) {
  TUTTI_FIBERS;
  return TUTTI_BLOCK(count, predicate);
}

//? __shfl __ballot __any_sync __all_sync __syncwarp __activemask
TUTTI_INLINE unsigned tutti_warp(tutti_emulator::WarpOp op, unsigned mask, unsigned value, unsigned argument,
                                 unsigned width, int line) {
  TUTTI_FIBERS;
  return tutti_self->runtime->warp(tutti_self, op, mask, value, argument, width, line);
}
#define TUTTI_WARP(op, mask, value, argument, width) \
  tutti_warp(tutti_emulator::WarpOp::op, mask, value, argument, width, line)
TUTTI_INLINE void __syncwarp(unsigned mask = 0xffffffffu, TUTTI_LINE) { TUTTI_WARP(sync, mask, 0, 0, 32); }
TUTTI_INLINE unsigned __ballot_sync(unsigned mask, int predicate, TUTTI_LINE) {
  return TUTTI_WARP(ballot, mask, predicate != 0, 0, 32);
}
TUTTI_INLINE int __any_sync(unsigned mask, int predicate, TUTTI_LINE) {
  return TUTTI_WARP(any, mask, predicate != 0, 0, 32);
}
TUTTI_INLINE int __all_sync(unsigned mask, int predicate, TUTTI_LINE) {
  return TUTTI_WARP(all, mask, predicate != 0, 0, 32);
}
template <class T>
TUTTI_INLINE T tutti_shuffle(tutti_emulator::WarpOp op, unsigned mask, T value, unsigned argument, unsigned width,
                             int line) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles take types of 4 or 8 bytes");
  unsigned words[sizeof(T) / 4];
  __builtin_memcpy(words, &value, sizeof(T));
  for (unsigned i = 0; i < sizeof(T) / 4; i++) words[i] = tutti_warp(op, mask, words[i], argument, width, line);
  __builtin_memcpy(&value, words, sizeof(T));
  return value;
}
#define TUTTI_SHUFFLE(name, op, type)                                                      \
  template <class T>                                                                       \
  TUTTI_INLINE T name(unsigned mask, T value, type argument, int width = 32, TUTTI_LINE) { \
    return tutti_shuffle(tutti_emulator::WarpOp::op, mask, value, argument, width, line);  \
  }
TUTTI_SHUFFLE(__shfl_sync, shuffle, int)
TUTTI_SHUFFLE(__shfl_up_sync, shuffleUp, unsigned)
TUTTI_SHUFFLE(__shfl_down_sync, shuffleDown, unsigned)
TUTTI_SHUFFLE(__shfl_xor_sync, shuffleXor, int)
#undef TUTTI_SHUFFLE
TUTTI_INLINE unsigned __activemask() { return 0xffffffffu; }

//? always
TUTTI_INLINE void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
TUTTI_INLINE void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
[[noreturn]] TUTTI_INLINE void __trap(TUTTI_LINE) { tutti_self->runtime->trap(tutti_self, line); }

//? atomic
TUTTI_INLINE int atomicAdd(int* p, int value) { return __atomic_fetch_add(p, value, __ATOMIC_RELAXED); }
TUTTI_INLINE unsigned atomicAdd(unsigned* p, unsigned value) { return __atomic_fetch_add(p, value, __ATOMIC_RELAXED); }
TUTTI_INLINE unsigned long long atomicAdd(unsigned long long* p, unsigned long long value) {
  return __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
}
TUTTI_INLINE float atomicAdd(float* p, float value) {
  unsigned* words = reinterpret_cast<unsigned*>(p);
  unsigned old = __atomic_load_n(words, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(words, &old, __float_as_uint(__uint_as_float(old) + value), true,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return __uint_as_float(old);
}
#define TUTTI_ATOMIC(T, name, condition)                                                                          \
  TUTTI_INLINE T name(T* p, T value) {                                                                            \
    T old = __atomic_load_n(p, __ATOMIC_RELAXED);                                                                 \
    while (condition && !__atomic_compare_exchange_n(p, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) { \
    }                                                                                                             \
    return old;                                                                                                   \
  }
TUTTI_ATOMIC(int, atomicMax, value > old)
TUTTI_ATOMIC(unsigned, atomicMax, value > old)
TUTTI_ATOMIC(int, atomicMin, value < old)
TUTTI_ATOMIC(unsigned, atomicMin, value < old)
#undef TUTTI_ATOMIC
#define TUTTI_ATOMIC(T)                                                                                \
  TUTTI_INLINE T atomicExch(T* p, T value) { return __atomic_exchange_n(p, value, __ATOMIC_RELAXED); } \
  TUTTI_INLINE T atomicCAS(T* p, T compare, T value) {                                                 \
    __atomic_compare_exchange_n(p, &compare, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);        \
    return compare;                                                                                    \
  }                                                                                                    \
  TUTTI_INLINE T atomicOr(T* p, T value) { return __atomic_fetch_or(p, value, __ATOMIC_RELAXED); }     \
  TUTTI_INLINE T atomicAnd(T* p, T value) { return __atomic_fetch_and(p, value, __ATOMIC_RELAXED); }
TUTTI_ATOMIC(int)
TUTTI_ATOMIC(unsigned)
#undef TUTTI_ATOMIC
TUTTI_INLINE float atomicExch(float* p, float value) {
  return __uint_as_float(atomicExch(reinterpret_cast<unsigned*>(p), __float_as_uint(value)));
}

//? tutti_f16 tutti_bf16 tutti_f32
// What the prelude of kernels writes in PTX.
#if defined(__F16C__)
TUTTI_INLINE float tutti_f16_to_f32(unsigned short x) {
  typedef short Halves __attribute__((vector_size(16)));
  return __builtin_ia32_vcvtph2ps(Halves{static_cast<short>(x)})[0];
}
TUTTI_INLINE unsigned short tutti_f32_to_f16(float x) {
  typedef float Floats __attribute__((vector_size(16)));
  return x != x ? 0x7fff : static_cast<unsigned short>(__builtin_ia32_vcvtps2ph(Floats{x}, 0)[0]);
}
#else
TUTTI_INLINE float tutti_f16_to_f32(unsigned short x) { return tutti_self->runtime->fromHalf(x); }
TUTTI_INLINE unsigned short tutti_f32_to_f16(float x) { return tutti_self->runtime->toHalf(x); }
#endif
TUTTI_INLINE float tutti_bf16_to_f32(unsigned short x) { return __uint_as_float(static_cast<unsigned>(x) << 16); }
TUTTI_INLINE unsigned short tutti_f32_to_bf16(float x) {
  const unsigned bits = __float_as_uint(x);
  return x != x ? 0x7fff : static_cast<unsigned short>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
// cvt.rna: to nearest, ties away from zero.
TUTTI_INLINE unsigned tutti_f32_to_tf32(float x) {
  const unsigned bits = __float_as_uint(x);
  return x != x ? 0x7fffffffu : (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u;
}

//? tutti_mma tutti_ldmatrix tutti_cp
#define TUTTI_MMA(name, kind)                                                                          \
  TUTTI_INLINE void name(float* d, const unsigned* a, const unsigned* b, const float* c, TUTTI_LINE) { \
    TUTTI_FIBERS;                                                                                      \
    tutti_self->runtime->matrix(tutti_self, tutti_emulator::MatrixKind::kind, d, a, b, c, line);       \
  }
TUTTI_MMA(tutti_mma_m16n8k16_f16, f16k16)
TUTTI_MMA(tutti_mma_m16n8k16_bf16, bf16k16)
TUTTI_MMA(tutti_mma_m16n8k8_tf32, tf32k8)
TUTTI_MMA(tutti_mma_m16n8k8_f16, f16k8)
#undef TUTTI_MMA
#define TUTTI_LDMATRIX(name, count, transposed)                                           \
  TUTTI_INLINE void name(unsigned* fragments, const void* row, TUTTI_LINE) {              \
    TUTTI_FIBERS;                                                                         \
    tutti_self->runtime->loadMatrix(tutti_self, count, transposed, fragments, row, line); \
  }
TUTTI_LDMATRIX(tutti_ldmatrix_x1, 1, false)
TUTTI_LDMATRIX(tutti_ldmatrix_x2, 2, false)
TUTTI_LDMATRIX(tutti_ldmatrix_x4, 4, false)
TUTTI_LDMATRIX(tutti_ldmatrix_x1_trans, 1, true)
TUTTI_LDMATRIX(tutti_ldmatrix_x2_trans, 2, true)
TUTTI_LDMATRIX(tutti_ldmatrix_x4_trans, 4, true)
#undef TUTTI_LDMATRIX
TUTTI_INLINE void tutti_cp_async_16(void* shared, const void* global, int sourceBytes = 16, TUTTI_LINE) {
  tutti_self->runtime->copyAsync(tutti_self, shared, global, 16, sourceBytes, line);
}
TUTTI_INLINE void tutti_cp_async_4(void* shared, const void* global, int sourceBytes = 4, TUTTI_LINE) {
  tutti_self->runtime->copyAsync(tutti_self, shared, global, 4, sourceBytes, line);
}
TUTTI_INLINE void tutti_cp_async_commit() { tutti_self->runtime->copyCommit(tutti_self); }
template <int pending>
TUTTI_INLINE void tutti_cp_async_wait_group() {
  tutti_self->runtime->copyWait(tutti_self, pending);
}

//? always
// How the driver calls a kernel with the bytes of its parameters.
namespace tutti_emulator {
template <class T>
TUTTI_INLINE T tutti_next(const unsigned char* parameters, unsigned& offset) {
  offset = (offset + alignof(T) - 1) / alignof(T) * alignof(T);
  T value;
  __builtin_memcpy(&value, parameters + offset, sizeof(T));
  offset += sizeof(T);
  return value;
}
template <class... P>
struct Call {
  inline __attribute__((always_inline)) Call(void (*kernel)(P...), P... values) { kernel(values...); }
};
template <class... P>
struct Places {
  Parameter at[sizeof...(P) + 1];
  constexpr Places() : at{} {
    constexpr unsigned sizes[] = {sizeof(P)..., 0}, alignments[] = {alignof(P)..., 1};
    for (unsigned i = 0, offset = 0; i < sizeof...(P); i++) {
      offset = (offset + alignments[i] - 1) / alignments[i] * alignments[i];
      at[i] = {offset, sizes[i]};
      offset += sizes[i];
    }
  }
};
template <auto kernel>
struct Entry;
template <class... P, void (*kernel)(P...)>
struct Entry<kernel> {
  static constexpr Places<P...> places{};
  static constexpr unsigned count = sizeof...(P);
  static void run(Thread* thread, const unsigned char* parameters) {
    Thread* const before = tutti_self;
    tutti_self = thread;
    unsigned offset = 0;
    // Braces promise the order of evaluation.
    Call<P...>{kernel, tutti_next<P>(parameters, offset)...};
    tutti_self = before;
  }
};
}  // namespace tutti_emulator
