/** Several kernels of one body in a launch. */
import { type JointKernel, printJoint } from '@tutti/core/backend';
import { jointCases, randomJointCase, runProgram, updateKernel } from '@tutti/core/testing';
import { expect, it } from 'vitest';
import { compileJoint } from '../src/kernels/index.ts';
import { make } from './support/device.ts';
import { emulated, hopper, tiny } from './support/features.ts';

/** Updates with so many points each. */
const updates = (...points: readonly number[]): JointKernel => ({
  kind: 'joint',
  name: 'update',
  body: updateKernel(),
  parts: points.map((count, p) => ({ points: count, origins: [0, 0, 0, p] })),
});

it('finds its part in the parameters, and has vectors up to the last whole one', () => {
  const [stage] = compileJoint(updates(1, 513, 4), hopper).stages;
  const { code, grid, parameters } = stage!;
  expect(`// ${grid[0]} blocks\n${code.slice(code.indexOf('struct Parts'))}`).toMatchInlineSnapshot(`
    "// 4 blocks
    struct Parts {
      float* b0[92];
      float* b1[92];
      const float* b2[92];
      const float* b3[92];
      unsigned first[92];
      unsigned points[92];
      float s0[92];
    };
    extern "C" __global__ void __launch_bounds__(128)
    kernel_main(const __grid_constant__ Parts parts) {
      unsigned part = 0u;
      #pragma unroll
      for (unsigned step = 64u; step > 0u; step >>= 1)
        if (part + step < 92u && parts.first[part + step] <= blockIdx.x) part += step;
      const unsigned block = blockIdx.x - parts.first[part];
      float* __restrict__ b0 = parts.b0[part];
      float* __restrict__ b1 = parts.b1[part];
      const float* __restrict__ b2 = parts.b2[part];
      const float* __restrict__ b3 = parts.b3[part];
      const unsigned points = parts.points[part];
      const float s0 = parts.s0[part];
      const unsigned u0 = points >> 2;
      const unsigned r0 = points & 3u;
      const unsigned p0 = block * 128u + threadIdx.x;
      if (p0 < u0) {
        const int n0 = (int)p0 * 4;
        const float x0 = b3[0];
        const tutti_pack<float, 4> x1 = tutti_load<4>(b0 + n0);
        const tutti_pack<float, 4> x2 = tutti_load<4>(b1 + n0);
        const tutti_pack<float, 4> x3 = tutti_load<4>(b2 + n0);
        tutti_pack<float, 4> y0;
        tutti_pack<float, 4> y1;
        #pragma unroll
        for (int v0 = 0; v0 < 4; ++v0) {
          const float v1 = (x2.at[v0] * 2.0f) + x3.at[v0];
          y0.at[v0] = x1.at[v0] - (s0 * (v1 * x0));
          y1.at[v0] = v1;
        }
        tutti_store<4>(b0 + n0, y0);
        tutti_store<4>(b1 + n0, y1);
      }
      if (block == 0 && threadIdx.x < r0) {
        const int n1 = (int)(points - r0) + (int)threadIdx.x;
        const float x4 = b3[0];
        const float x5 = b0[n1];
        const float x6 = b1[n1];
        const float x7 = b2[n1];
        const float v2 = (x6 * 2.0f) + x7;
        b0[n1] = x5 - (s0 * (v2 * x4));
        b1[n1] = v2;
      }
    }
    "
  `);
  expect(parameters.filter((each) => each.kind === 'buffer' && each.index % 4 === 3)).toEqual([
    { kind: 'buffer', index: 3, byteOffset: 0 },
    { kind: 'buffer', index: 7, byteOffset: 4 },
    { kind: 'buffer', index: 11, byteOffset: 8 },
  ]);
  const words = parameters.reduce((sum, { kind }) => sum + (kind === 'buffer' ? 2 : 1), 0);
  expect(words).toBe((4 * 2 + 3) * 92);
});

it('has the same text for other parts, of other lengths', () => {
  const texts = [updates(3, 5), updates(65536, 1, 2, 7), updates(...new Array<number>(300).fill(9))].flatMap(
    (joint) => compileJoint(joint, hopper).stages.map(({ code }) => code),
  );
  expect(texts.length).toBeGreaterThan(3);
  expect(new Set(texts).size).toBe(1);
});

it('cuts what has more parts than there is room for', () => {
  const { stages } = compileJoint(updates(...new Array<number>(200).fill(1)), hopper);
  expect(stages.map(({ grid }) => grid[0])).toEqual([92, 92, 16]);
});

// How kernels are planned decides which form they have.
it.each([
  ['hopper', hopper],
  ['tiny', tiny],
  ['emulated', emulated],
] as const)('runs every case, as planned for %s', async (_, features) => {
  const backend = await make();
  const random = Array.from({ length: 30 }, (_, seed) => randomJointCase(seed, { simple: seed % 3 > 0 }));
  await Promise.all(
    [...jointCases(), ...random].map(async ({ joint, buffers, contents, scalars, check }) => {
      const loaded = backend.load(compileJoint(joint, features));
      const wrong = check(await runProgram(backend, loaded, { buffers }, contents(), scalars));
      if (wrong) expect.fail(`${wrong}\n${printJoint(joint)}\n${loaded.source()}`);
    }),
  );
});
