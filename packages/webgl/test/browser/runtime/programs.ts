/** Programs: their stages, outputs, scalars, and how many are kept. */

import { dispatch, download, upload } from '@tutti/core/testing';
import type { GlslProgram } from '../../../src/program.ts';
import { affine, increment, make, program } from '../device.ts';
import { device, ready } from './shared.ts';

/** Two stages: scratch memory takes `a` reversed, then `b[i] = scratch[i] + i`. */
export const reversed = (texels: number): GlslProgram => ({
  name: 'reversed',
  scalarTypes: [],
  scratch: [{ bytes: texels * 16 }],
  source: () => '',
  stages: [
    {
      code: `uvec4 texel(int index) { return fetch(t0, ${texels - 1} - index).wzyx; }`,
      inputs: [{ kind: 'buffer', index: 0 }],
      outputs: [{ kind: 'scratch', index: 0 }],
      texels,
      operations: 5,
    },
    {
      code: 'uvec4 texel(int index) { return fetch(t0, index) + uint(4 * index) + uvec4(0u, 1u, 2u, 3u); }',
      inputs: [{ kind: 'scratch', index: 0 }],
      outputs: [{ kind: 'buffer', index: 1 }],
      texels,
      operations: 5,
    },
  ],
});

/** Stores its scalars, of all types, as raw bits. */
export const storeScalars: GlslProgram = program(
  'storeScalars',
  `uvec4 texel(int index) {
  return index == 0 ? uvec4(ivec4(s0, s1, s2, s3)) : uvec4(ivec4(s4, s5, s6, s7));
}`,
  [],
  0,
  2,
  { scalarTypes: ['f32', 'i32', 'u32', 'bool', 'f32', 'f32', 'i32', 'bool'] },
);

export const programChecks = {
  /** A stage that stores to three textures of rows of 8 texels, and one that reads them. */
  async outputs() {
    const { backend } = device();
    const texels = 21;
    const indices = [0, 1, 2];
    const glsl: GlslProgram = {
      name: 'thrice',
      scalarTypes: [],
      scratch: indices.map(() => ({ bytes: texels * 16, rowShift: 3 })),
      source: () => '',
      stages: [
        {
          code: `void texels(int index, out uvec4 o0, out uvec4 o1, out uvec4 o2) {
  o0 = fetch(t0, index);
  o1 = o0 * 10u;
  o2 = o0 * 100u;
}`,
          inputs: [{ kind: 'buffer', index: 0 }],
          outputs: indices.map((index) => ({ kind: 'scratch', index })),
          texels,
          operations: 5,
        },
        {
          code: `uvec4 texel(int index) {
  ivec2 at = ivec2(index & 7, index >> 3);
  return texelFetch(t0, at, 0) + texelFetch(t1, at, 0) + texelFetch(t2, at, 0);
}`,
          inputs: indices.map((index) => ({ kind: 'scratch', index })),
          outputs: [{ kind: 'buffer', index: 1 }],
          texels,
          operations: 5,
        },
      ],
    };
    const a = upload(
      backend,
      Array.from({ length: texels * 4 }, (_, i) => i),
    );
    const b = backend.allocate(texels * 16);
    const thrice = await ready(device(), glsl);
    // A draw to one texture, after one to several.
    backend.submit([dispatch(thrice, [a, b]), dispatch(await ready(device(), increment(texels)), [b])]);
    return (await download(backend, b)).findIndex((value, i) => value !== 111 * i + 1);
  },

  /** In place, through two parameters that are one buffer, with a store that leaves the end alone. */
  async aliased() {
    const { backend } = device();
    const values = Array.from({ length: 5000 * 4 + 2 }, (_, i) => i);
    const buffer = upload(backend, values);
    const loaded = await ready(device(), affine(4500));
    const fence = backend.submit([
      dispatch(loaded, [buffer, buffer], [1]),
      dispatch(loaded, [buffer, buffer], [-2]),
    ]);
    await fence.done;
    const got = await download(backend, buffer);
    return got.findIndex((value, i) => value !== (i < 18000 ? ((i * 3 + 1) * 3 - 2) | 0 : i));
  },

  /** A draw is cut in bands of rows, and of parts of rows. */
  async bands(texels: number, operations: number) {
    const { backend } = device();
    const a = upload(
      backend,
      Array.from({ length: texels * 4 }, (_, i) => i),
    );
    const b = upload(backend, new Int32Array(texels * 4 + 4).fill(-1));
    backend.submit([dispatch(await ready(device(), affine(texels, 1, operations)), [a, b], [5])]);
    const got = await download(backend, b);
    return got.findIndex((value, i) => value !== (i < texels * 4 ? i * 3 + 5 : -1));
  },

  async bounded() {
    const own = make(4);
    const { backend } = own;
    const programs = await Promise.all(
      Array.from({ length: 10 }, (_, i) => ready(own, increment(1, 10 ** (i % 9)))),
    );
    const buffer = upload(backend, [0, 0, 0, 0]);
    const counts = [];
    for (let turn = 0; turn < 2; turn++) {
      for (const loaded of programs.slice(0, 9)) {
        backend.submit([dispatch(loaded, [buffer])]);
        counts.push(backend.programs);
      }
    }
    const [value] = await download(backend, buffer);
    backend.dispose();
    return { most: Math.max(...counts), value };
  },
};
