/** What buffers hold after writes, copies, reads and programs. */
import type { GlslProgram } from '../../../src/program.ts';
import { affine, bytesOf, dispatch, download, increment, program, upload } from '../device.ts';
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
    const a = upload(backend, bytes);
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

  async ends() {
    const { backend } = device();
    const results: unknown[] = [];
    for (const bytes of [0, 1, 2, 3, 5, 15, 16, 63, 1001, 70_001]) {
      for (const extra of [0, 1, 6]) {
        const data = Uint8Array.from({ length: bytes }, (_, i) => i * 7 + 1);
        const source = upload(backend, data);
        const target = upload(backend, new Uint8Array(bytes + extra).fill(9));
        backend.submit([{ kind: 'copy', source, target, bytes }]);
        const result = await backend.read(target, 0, bytes + extra);
        const from = Math.min(3, bytes);
        const part = await backend.read(target, from, bytes - from);
        results.push([
          same(result.slice(0, bytes), data),
          [...result.slice(bytes)].every((byte) => byte === 9),
          same(part, data.slice(from)),
        ]);
      }
    }
    return results.flat().every((each) => each === true);
  },

  async order() {
    const { backend } = device();
    const buffer = backend.allocate(8);
    const data = bytesOf([1, 2]);
    backend.write(buffer, data);
    data.fill(0);
    const before = download(backend, buffer);
    backend.write(buffer, bytesOf([3]), 4);
    const after = download(backend, buffer);
    backend.free(buffer);
    backend.write(backend.allocate(8), bytesOf([7, 7]));
    const many = Array.from({ length: 100 }, (_, i) =>
      upload(backend, bytesOf(new Int32Array(2000).fill(i))),
    );
    const results = await Promise.all(many.map((each) => download(backend, each)));
    return {
      reads: await Promise.all([before, after]),
      many: results.every((values, i) => values[1999] === i),
    };
  },

  async flat(runs: number) {
    const { backend } = device();
    const loaded = await ready(device(), affine(1024));
    const inPlace = await ready(device(), increment(1000));
    const step = async (i: number): Promise<boolean> => {
      const a = upload(backend, bytesOf(new Int32Array(4096).fill(i)));
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
