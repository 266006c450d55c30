/** What the text of kernels looks like. */
import type { Kernel } from '@tutti/core/backend';
import { elementwiseKernel, reductionCases, scatterCases, softmaxKernel } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import { preludeFor } from '../src/kernels/prelude.ts';
import type { CudaFeatures } from '../src/program.ts';
import { hopper } from './support/features.ts';

/** The stages, without what they have from the prelude. */
const texts = (kernel: Kernel, features: CudaFeatures = hopper): string =>
  compileKernel(kernel, features)
    .stages.map(({ code, grid, block }) => {
      const [comment] = code.split(/^(?!\/\/)/m, 1);
      return `${comment}// ${grid[0]} blocks of ${block[0]}\n${code.slice(code.indexOf('extern "C"'))}`;
    })
    .join('\n');

describe('kernels', () => {
  it('have neighbouring elements in accesses of 16 bytes, and two units a thread where there is much to do', () => {
    const kernel = elementwiseKernel('scale', (1 << 25) + 2, ['float32', 'bfloat16'], 'float32', (b, x, y) =>
      b.alu('mul', 'f32', x, y),
    );
    expect(texts(kernel)).toMatchInlineSnapshot(`
      "// scale: 33554434 points, each on its own.
      // A thread computes 4 points side by side, 2 times, a block apart.
      // 16384 blocks of 256
      extern "C" __global__ void __launch_bounds__(256)
      kernel_main(const float* __restrict__ b0,
                  const unsigned short* __restrict__ b1 /* bfloat16 */,
                  float* __restrict__ b2) {
        const unsigned p0 = blockIdx.x * 512u + threadIdx.x;
        const unsigned p1 = p0 + 256u;
        const int n0 = (int)p0 * 4;
        const int n1 = (int)p1 * 4;
        const tutti_pack<float, 4> x0 = tutti_load<4>(b0 + n0);
        const tutti_pack<float, 4> x1 = tutti_load<4>(b0 + n1);
        const tutti_pack<unsigned short, 4> x2 = tutti_load<4>(b1 + n0);
        const tutti_pack<unsigned short, 4> x3 = tutti_load<4>(b1 + n1);
        tutti_pack<float, 4> y0;
        tutti_pack<float, 4> y1;
        #pragma unroll
        for (int v0 = 0; v0 < 4; ++v0) {
          const float x4 = tutti_bf16_to_f32(x2.at[v0]);
          const float x5 = tutti_bf16_to_f32(x3.at[v0]);
          y0.at[v0] = x0.at[v0] * x4;
          y1.at[v0] = x1.at[v0] * x5;
        }
        tutti_store<4>(b2 + n0, y0);
        tutti_store<4>(b2 + n1, y1);
        if (blockIdx.x == 0 && threadIdx.x < 2) {
          const int n2 = 33554432 + (int)threadIdx.x;
          const float x6 = b0[n2];
          const float x7 = tutti_bf16_to_f32(b1[n2]);
          b2[n2] = x6 * x7;
        }
      }
      "
    `);
  });

  it('keep a row in registers from one phase to the next, and join by shuffles', () => {
    expect(texts(softmaxKernel(65536, 256))).toMatchInlineSnapshot(`
      "// softmax: 65536 points with up to 256 iterations.
      // 16 threads share a point, of which a block has 16.
      // 4096 blocks of 256
      extern "C" __global__ void __launch_bounds__(256)
      kernel_main(const float* __restrict__ b0,
                  float* __restrict__ b1) {
        const int t0 = (int)(threadIdx.x % 16u);
        const unsigned p0 = blockIdx.x * 16u + threadIdx.x / 16u;
        const int i = (int)p0;
        const int v0 = i * 256;
        float a0 = __uint_as_float(0xff800000u);
        float row0[16];
        #pragma unroll
        for (int g0 = 0; g0 < 4; ++g0) {
          const int k0 = g0 * 16 + t0;
          const int n0 = k0 * 4;
          const tutti_pack<float, 4> x0 = tutti_load<4>(b0 + (v0 + n0));
          #pragma unroll
          for (int v1 = 0; v1 < 4; ++v1) {
            row0[g0 * 4 + v1] = x0.at[v1];
            a0 = tutti_max(a0, x0.at[v1]);
          }
        }
        #pragma unroll
        for (int d0 = 8; d0 > 0; d0 >>= 1) {
          const float o0 = __shfl_xor_sync(0xffffffffu, a0, d0);
          a0 = tutti_max(a0, o0);
        }
        float a1 = 0.0f;
        float row1[16];
        #pragma unroll
        for (int g1 = 0; g1 < 4; ++g1) {
          const int k1 = g1 * 16 + t0;
          const int n1 = k1 * 4;
          #pragma unroll
          for (int v2 = 0; v2 < 4; ++v2) {
            const float v3 = expf((row0[g1 * 4 + v2] - a0));
            row1[g1 * 4 + v2] = v3;
            a1 += v3;
          }
        }
        #pragma unroll
        for (int d1 = 8; d1 > 0; d1 >>= 1) {
          const float o1 = __shfl_xor_sync(0xffffffffu, a1, d1);
          a1 = a1 + o1;
        }
        #pragma unroll
        for (int g2 = 0; g2 < 4; ++g2) {
          const int k2 = g2 * 16 + t0;
          const int n2 = k2 * 4;
          tutti_pack<float, 4> y0;
          #pragma unroll
          for (int v4 = 0; v4 < 4; ++v4) {
            y0.at[v4] = row1[g2 * 4 + v4] / a1;
          }
          tutti_store<4>(b1 + (v0 + n2), y0);
        }
      }
      "
    `);
  });

  it('share long rows in a block', () => {
    expect(texts(softmaxKernel(300, 4097))).toMatchInlineSnapshot(`
      "// softmax: 300 points with up to 4097 iterations.
      // A block of 512 threads shares a point.
      // 300 blocks of 512
      extern "C" __global__ void __launch_bounds__(512)
      kernel_main(const float* __restrict__ b0,
                  float* __restrict__ b1) {
        __shared__ float shared0[16];
        __shared__ float shared1[16];
        const int t0 = (int)threadIdx.x;
        const unsigned p0 = blockIdx.x;
        const int i = (int)p0;
        const int v0 = i * 4097;
        float a0 = __uint_as_float(0xff800000u);
        float row0[9];
        #pragma unroll
        for (int g0 = 0; g0 < 9; ++g0) {
          const int k0 = g0 * 512 + t0;
          if (g0 < 8 || k0 < 4097) {
            const float x0 = b0[v0 + k0];
            row0[g0] = x0;
            a0 = tutti_max(a0, x0);
          }
        }
        #pragma unroll
        for (int d0 = 16; d0 > 0; d0 >>= 1) {
          const float o0 = __shfl_xor_sync(0xffffffffu, a0, d0);
          a0 = tutti_max(a0, o0);
        }
        if (threadIdx.x % 32u == 0u) {
          shared0[threadIdx.x / 32u] = a0;
        }
        __syncthreads();
        a0 = shared0[threadIdx.x & 15u];
        #pragma unroll
        for (int d1 = 8; d1 > 0; d1 >>= 1) {
          const float o1 = __shfl_xor_sync(0xffffffffu, a0, d1);
          a0 = tutti_max(a0, o1);
        }
        float a1 = 0.0f;
        float row1[9];
        #pragma unroll
        for (int g1 = 0; g1 < 9; ++g1) {
          const int k1 = g1 * 512 + t0;
          if (g1 < 8 || k1 < 4097) {
            const float v1 = expf((row0[g1] - a0));
            row1[g1] = v1;
            a1 += v1;
          }
        }
        #pragma unroll
        for (int d2 = 16; d2 > 0; d2 >>= 1) {
          const float o2 = __shfl_xor_sync(0xffffffffu, a1, d2);
          a1 = a1 + o2;
        }
        if (threadIdx.x % 32u == 0u) {
          shared1[threadIdx.x / 32u] = a1;
        }
        __syncthreads();
        a1 = shared1[threadIdx.x & 15u];
        #pragma unroll
        for (int d3 = 8; d3 > 0; d3 >>= 1) {
          const float o3 = __shfl_xor_sync(0xffffffffu, a1, d3);
          a1 = a1 + o3;
        }
        #pragma unroll
        for (int g2 = 0; g2 < 9; ++g2) {
          const int k2 = g2 * 512 + t0;
          if (g2 < 8 || k2 < 4097) {
            b1[v0 + k2] = row1[g2] / a1;
          }
        }
      }
      "
    `);
  });

  it('have neighbouring columns in neighbouring threads', () => {
    const columns = reductionCases().find(({ name }) => name === 'sum of float32, 64 of 30 along columns')!;
    expect(texts(columns.kernel)).toMatchInlineSnapshot(`
      "// sum: 64 points with up to 30 iterations.
      // A block has 32 neighbouring points, for each of which 4 threads.
      // 2 blocks of 128
      extern "C" __global__ void __launch_bounds__(128)
      kernel_main(float* __restrict__ b0,
                  const float* __restrict__ b1) {
        __shared__ float shared0[128];
        const int t0 = (int)(threadIdx.x / 32u);
        const int c0 = (int)(threadIdx.x % 32u);
        const unsigned p0 = blockIdx.x * 32u + (unsigned)c0;
        const int i = (int)p0;
        float a0 = 0.0f;
        #pragma unroll
        for (int g0 = 0; g0 < 7; ++g0) {
          const int k0 = g0 * 4 + t0;
          const float x0 = b1[(k0 * 64) + i];
          a0 += x0;
        }
        const int k1 = 7 * 4 + t0;
        if (k1 < 30) {
          const float x1 = b1[(k1 * 64) + i];
          a0 += x1;
        }
        shared0[t0 * 32 + c0] = a0;
        __syncthreads();
        for (int h0 = 2; h0 > 0; h0 >>= 1) {
          if (t0 < h0) {
            const float o0 = shared0[(t0 + h0) * 32 + c0];
            a0 = a0 + o0;
            shared0[t0 * 32 + c0] = a0;
          }
          __syncthreads();
        }
        a0 = shared0[c0];
        if (t0 == 0) {
          b0[i] = a0;
        }
      }
      "
    `);
  });

  it('run in order, each thread for the elements that are its own', () => {
    expect(texts(scatterCases()[0]!.kernel)).toMatchInlineSnapshot(`
      "// scatter: 450 points, each on its own.
      // A thread computes one point.
      // 4 blocks of 128
      extern "C" __global__ void __launch_bounds__(128)
      kernel_main(float* __restrict__ b0) {
        const unsigned p0 = blockIdx.x * 128u + threadIdx.x;
        if (p0 >= 450u) return;
        const int n0 = (int)p0;
        b0[n0] = 1.0f;
      }

      // scatter: 18 points with up to 40 iterations.
      // A thread has a point, a block 32.
      // 1 blocks of 32
      extern "C" __global__ void __launch_bounds__(32)
      kernel_main(float* __restrict__ b0,
                  const int* __restrict__ b1,
                  const float* __restrict__ b2) {
        const unsigned p0 = blockIdx.x * 32u + threadIdx.x;
        if (p0 >= 18u) return;
        const int i = (int)(p0 % 9u);
        const unsigned q0 = p0 / 9u;
        const int r = (int)q0;
        #pragma unroll 4
        for (int g0 = 0; g0 < 40; ++g0) {
          const int x0 = b1[g0];
          const int v0 = (int)(((unsigned)x0 * 9u) + (unsigned)i);
          const bool v1 = (x0 < 12) & (((int)((unsigned)v0 / 9u) & 1) == r);
          const float x1 = v1 ? b2[(g0 * 9) + i] : 0.0f;
          if (v1) {
            const int n0 = v0;
            b0[n0] = b0[n0] + x1;
          }
        }
      }
      "
    `);
  });
});

describe('the prelude', () => {
  it('gives a text what it mentions', () => {
    expect(preludeFor('x = tutti_abs(y);')).toMatchInlineSnapshot(`
      "__device__ __forceinline__ int tutti_abs(int x) { return x < 0 ? (int)(0u - (unsigned)x) : x; }

      "
    `);
    expect(preludeFor('x = expf(y);')).toBe('');
  });
});

it('equal kernels have equal texts', () => {
  const [first, second] = [softmaxKernel(64, 128), softmaxKernel(64, 128)];
  expect(texts(first)).toBe(texts(second));
});
