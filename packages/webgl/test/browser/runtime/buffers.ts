/** What buffers hold after writes, copies, reads and programs. */

import { dispatch, download, upload } from '@tutti/core/testing';
import type { GlslProgram } from '../../../src/program.ts';
import { affine, increment, program, uploadBytes } from '../device.ts';
import { Model, same } from './model.ts';
import { device, ready } from './shared.ts';

/** Words that floats would not keep: NaNs with payloads, quiet and signalling, denormals, zeros, infinities, integers. */
const hardWords = Uint32Array.of(
  ...[0x7fc00000, 0x7fc12345, 0x7f800001, 0xffa00001, 0xffffffff, 0x7fffffff],
  ...[0x00000001, 0x007fffff, 0x80000001, 0x807fffff, 0x80000000, 0x00000000],
  ...[0x7f800000, 0xff800000, 0x3f800000, 0x01000001, 0xfffffffe, 0x12345678],
  ...[0xdeadbeef, 0x00ff00ff],
);

const identity = (texels: number): GlslProgram =>
  program('identity', 'uvec4 texel(int index) { return fetch(t0, index); }', [0], 1, texels);

export const bufferChecks = {
  async hardWords() {
    const { backend } = device();
    const bytes = new Uint8Array(hardWords.buffer);
    const a = uploadBytes(backend, bytes);
    const [b, c] = [backend.allocate(bytes.length), backend.allocate(bytes.length)];
    const loaded = await ready(device(), identity(5));
    backend.submit([dispatch(loaded, [a, b]), { kind: 'copy', source: b, target: c, bytes: bytes.length }]);
    const results = await Promise.all([a, b, c].map((each) => backend.read(each, 0, bytes.length)));
    return results.map((each) => same(each, bytes));
  },

  /** Sizes around texels and rows of 65,536 bytes. */
  async random(seed: number, steps: number) {
    const model = new Model(device(), seed, [16, 17, 100, 65_536, 65_537, 200_003, 131_072]);
    for (let i = 0; i < steps; i++) {
      await [() => model.write(), () => model.write(), () => model.copy(), () => model.add()][
        model.below(4)
      ]!();
    }
    const wrong = await model.wrong();
    for (const { on } of model.buffers) device().backend.free(on);
    return wrong;
  },

  async flat(runs: number) {
    const { backend } = device();
    const loaded = await ready(device(), affine(1024));
    const inPlace = await ready(device(), increment(1000));
    const step = async (i: number): Promise<boolean> => {
      const a = upload(backend, new Int32Array(4096).fill(i));
      const b = backend.allocate(4096 * 4);
      const flag = backend.allocate(1);
      await backend.submit([dispatch(loaded, [a, b], [i]), dispatch(inPlace, [b])]).pace;
      backend.write(flag, Uint8Array.of(1));
      backend.free(a);
      const good = i % 10 > 0 || (await download(backend, b))[3999] === 4 * i + 1;
      backend.free(b);
      backend.free(flag);
      return good;
    };
    let good = true;
    for (let i = 0; i < 20; i++) good = (await step(i)) && good;
    const before = backend.memory();
    for (let i = 0; i < runs; i++) good = (await step(i)) && good;
    return { good, before, after: backend.memory() };
  },
};
