/**
 * What generated text has instead of headers, in sections: a text gets those whose names it mentions, so that it compiles fast.
 *
 * Functions that need PTX come in two forms. Where `TUTTI_EMULATED` is defined, the compiler of the emulation brings its own.
 */

interface Section {
  /** Names that the section declares. */
  readonly names: readonly string[];
  readonly text: string;
}

/** `real` for a GPU; the compiler of the emulation declares the same functions itself. */
const onDevice = (real: string): string => `#ifndef TUTTI_EMULATED\n${real}\n#endif`;

const halves: readonly Section[] = [
  {
    names: ['tutti_f16_to_f32'],
    text: onDevice(`__device__ __forceinline__ float tutti_f16_to_f32(unsigned short bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}`),
  },
  {
    names: ['tutti_f32_to_f16'],
    text: onDevice(`__device__ __forceinline__ unsigned short tutti_f32_to_f16(float value) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}`),
  },
  {
    names: ['tutti_bf16_to_f32'],
    text: onDevice(`__device__ __forceinline__ float tutti_bf16_to_f32(unsigned short bits) {
  return __uint_as_float((unsigned)bits << 16);
}`),
  },
  {
    names: ['tutti_f32_to_bf16'],
    text: onDevice(`__device__ __forceinline__ unsigned short tutti_f32_to_bf16(float value) {
#if __CUDA_ARCH__ >= 800
  unsigned short bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
#else
  const unsigned bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (unsigned short)((bits >> 16) | 0x40u);
  return (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
#endif
}`),
  },
];

const memory: readonly Section[] = [
  {
    names: ['tutti_pack', 'tutti_load', 'tutti_store'],
    text: `template <typename T, int N>
struct alignas(sizeof(T) * N) tutti_pack {
  T at[N];
};

// N neighbouring elements in one access; the address is a multiple of their size.
template <int N, typename T>
__device__ __forceinline__ tutti_pack<T, N> tutti_load(const T* from) {
  return *reinterpret_cast<const tutti_pack<T, N>*>(from);
}

template <int N, typename T>
__device__ __forceinline__ void tutti_store(T* to, const tutti_pack<T, N>& pack) {
  *reinterpret_cast<tutti_pack<T, N>*>(to) = pack;
}`,
  },
];

/** Extremes in which NaN wins; PTX has them from sm_80 on. */
const extreme = (name: 'max' | 'min', sign: string): Section => ({
  names: [`tutti_${name}`],
  text: `__device__ __forceinline__ float tutti_${name}(float a, float b) {
#if !defined(TUTTI_EMULATED) && __CUDA_ARCH__ >= 800
  float chosen;
  asm("${name}.NaN.f32 %0, %1, %2;" : "=f"(chosen) : "f"(a), "f"(b));
  return chosen;
#else
  return a ${sign} b || a != a ? a : b;
#endif
}
__device__ __forceinline__ int tutti_${name}(int a, int b) { return a ${sign} b ? a : b; }
__device__ __forceinline__ unsigned tutti_${name}(unsigned a, unsigned b) { return a ${sign} b ? a : b; }`,
});

/** Whether a value with its position goes before another: the extreme first, NaN before all, then the smaller position. */
const precedes = (name: string, sign: string): Section => ({
  names: [`tutti_${name}`],
  text: `template <typename T>
__device__ __forceinline__ bool tutti_${name}(T a, int at, T b, int other) {
  const bool nan = a != a;
  if (b != b) return nan && at < other;
  return nan || a ${sign} b || (a == b && at < other);
}`,
});

const arithmetic: readonly Section[] = [
  extreme('max', '>'),
  extreme('min', '<'),
  precedes('before_max', '>'),
  precedes('before_min', '<'),
  {
    names: ['tutti_sign'],
    text: `__device__ __forceinline__ float tutti_sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }
__device__ __forceinline__ int tutti_sign(int x) { return (x > 0) - (x < 0); }
__device__ __forceinline__ unsigned tutti_sign(unsigned x) { return x != 0u; }`,
  },
  {
    names: ['tutti_abs'],
    text: `__device__ __forceinline__ int tutti_abs(int x) { return x < 0 ? (int)(0u - (unsigned)x) : x; }`,
  },
  {
    names: ['tutti_divide'],
    text: `__device__ __forceinline__ int tutti_divide(int a, int b) {
  if (b == 0) return 0;
  return b == -1 ? (int)(0u - (unsigned)a) : a / b;
}
__device__ __forceinline__ unsigned tutti_divide(unsigned a, unsigned b) { return b == 0u ? 0u : a / b; }`,
  },
  {
    names: ['tutti_remainder'],
    text: `__device__ __forceinline__ int tutti_remainder(int a, int b) { return b == 0 || b == -1 ? 0 : a % b; }
__device__ __forceinline__ unsigned tutti_remainder(unsigned a, unsigned b) { return b == 0u ? 0u : a % b; }`,
  },
];

/** Asynchronous copies from global to shared memory, from sm_80 on. Below, they are plain copies. */
const copies: readonly Section[] = [
  {
    names: ['tutti_cp_async_16'],
    text: copySection(16, 'uint4', 'make_uint4(0u, 0u, 0u, 0u)'),
  },
  { names: ['tutti_cp_async_4'], text: copySection(4, 'unsigned', '0u') },
  {
    names: ['tutti_cp_async_commit'],
    text: onDevice(`__device__ __forceinline__ void tutti_cp_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;");
#endif
}`),
  },
  {
    names: ['tutti_cp_async_wait_group'],
    text: onDevice(`template <int N>
__device__ __forceinline__ void tutti_cp_async_wait_group() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" : : "n"(N) : "memory");
#endif
}`),
  },
];

/** What lies behind `source_bytes` becomes zero; below sm_80 they are all of the piece, or none of it, or its first bytes. */
function copySection(bytes: 4 | 16, type: string, zero: string): string {
  const cache = bytes === 16 ? 'cg' : 'ca';
  return onDevice(`__device__ __forceinline__ void tutti_cp_async_${bytes}(void* shared, const void* global, int source_bytes) {
#if __CUDA_ARCH__ >= 800
  const unsigned place = (unsigned)__cvta_generic_to_shared(shared);
  asm volatile("cp.async.${cache}.shared.global [%0], [%1], ${bytes}, %2;" : : "r"(place), "l"(global), "r"(source_bytes) : "memory");
#else
  if (source_bytes == ${bytes}) {
    *(${type}*)shared = *(const ${type}*)global;
  } else {
    *(${type}*)shared = ${zero};
    for (int i = 0; i < source_bytes; i++) ((unsigned char*)shared)[i] = ((const unsigned char*)global)[i];
  }
#endif
}`);
}

/** A warp's product: rows of `a` and columns of `b` lie in registers as PTX defines for the instruction. */
function productSection(name: string, shape: string, type: string, a: number, b: number): Section {
  const registers = (first: number, count: number): string =>
    `{${Array.from({ length: count }, (_, i) => `%${first + i}`).join(', ')}}`;
  const inputs = (array: string, count: number, constraint: string): string =>
    Array.from({ length: count }, (_, i) => `"${constraint}"(${array}[${i}])`).join(', ');
  const operands = [registers(0, 4), registers(4, a), registers(4 + a, b), registers(4 + a + b, 4)];
  return {
    names: [name],
    text: onDevice(`__device__ __forceinline__ void ${name}(float d[4], const unsigned a[${a}], const unsigned b[${b}], const float c[4]) {
  asm volatile("mma.sync.aligned.${shape}.row.col.f32.${type}.${type}.f32 ${operands.join(', ')};"
    : ${inputs('d', 4, '=f')}
    : ${inputs('a', a, 'r')}, ${inputs('b', b, 'r')}, ${inputs('c', 4, 'f')});
}`),
  };
}

function matrixSection(name: string, count: 2 | 4, transposed: boolean): Section {
  const registers = Array.from({ length: count }, (_, i) => `%${i}`).join(', ');
  const outputs = Array.from({ length: count }, (_, i) => `"=r"(r[${i}])`).join(', ');
  const kind = `ldmatrix.sync.aligned.m8n8.x${count}${transposed ? '.trans' : ''}.shared.b16`;
  return {
    names: [name],
    text: onDevice(`__device__ __forceinline__ void ${name}(unsigned r[${count}], const void* shared_row) {
  const unsigned place = (unsigned)__cvta_generic_to_shared(shared_row);
  asm volatile("${kind} {${registers}}, [%${count}];" : ${outputs} : "r"(place) : "memory");
}`),
  };
}

const matrices: readonly Section[] = [
  {
    names: ['tutti_f32_to_tf32'],
    text: onDevice(`__device__ __forceinline__ unsigned tutti_f32_to_tf32(float value) {
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return bits;
}`),
  },
  productSection('tutti_mma_m16n8k16_f16', 'm16n8k16', 'f16', 4, 2),
  productSection('tutti_mma_m16n8k16_bf16', 'm16n8k16', 'bf16', 4, 2),
  productSection('tutti_mma_m16n8k8_tf32', 'm16n8k8', 'tf32', 4, 2),
  productSection('tutti_mma_m16n8k8_f16', 'm16n8k8', 'f16', 2, 1),
  matrixSection('tutti_ldmatrix_x4', 4, false),
  matrixSection('tutti_ldmatrix_x4_trans', 4, true),
  matrixSection('tutti_ldmatrix_x2', 2, false),
  matrixSection('tutti_ldmatrix_x2_trans', 2, true),
];

const sections: readonly Section[] = [...halves, ...memory, ...arithmetic, ...copies, ...matrices];

/** The sections that declare what a text mentions, with an empty line behind them; nothing where it mentions none. */
export function preludeFor(text: string): string {
  const mentioned = new Set(text.match(/\btutti_\w+/g));
  const needed = sections.filter(({ names }) => names.some((name) => mentioned.has(name)));
  return needed.map((section) => `${section.text}\n\n`).join('');
}

/** Every section, for tests. */
export const wholePrelude: string = sections.map(({ text }) => text).join('\n\n');
