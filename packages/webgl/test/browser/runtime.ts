/** Checks of what runs programs: each gives what JSON can hold. */
import type { DeviceBuffer } from '@tutti/core/backend';
import type { GlslProgram } from '../../src/program.ts';
import { loseContext } from '../../src/runtime/context.ts';
import { findContext, isAbsent, unusable } from '../../src/runtime/find.ts';
import {
  affine,
  bytesOf,
  dispatch,
  download,
  failure,
  increment,
  intsOf,
  make,
  makeOn,
  newContext,
  program,
  type TestDevice,
  upload,
} from './device.ts';

/** The same numbers in every run. */
function randoms(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomBytes(length: number, below: (n: number) => number): Uint8Array {
  return Uint8Array.from({ length }, () => below(256));
}

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Words that floats would not keep: NaNs with payloads, quiet and signalling, denormals, zeros, infinities, integers. */
const hardWords = Uint32Array.of(
  ...[0x7fc00000, 0x7fc12345, 0x7f800001, 0xffa00001, 0xffffffff, 0x7fffffff],
  ...[0x00000001, 0x007fffff, 0x80000001, 0x807fffff, 0x80000000, 0x00000000],
  ...[0x7f800000, 0xff800000, 0x3f800000, 0x01000001, 0xfffffffe, 0x12345678],
  ...[0xdeadbeef, 0x00ff00ff],
);

const identity = (texels: number): GlslProgram =>
  program('identity', 'uvec4 texel(int index) { return fetch(t0, index); }', [0], 1, texels);

/** Two stages: scratch memory takes `a` reversed, then `b[i] = scratch[i] + i`. */
const reversed = (texels: number): GlslProgram => ({
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

async function ready({ backend }: TestDevice, glsl: GlslProgram) {
  const loaded = backend.load(glsl);
  await loaded.ready;
  return loaded;
}

let shared: TestDevice | undefined;
function device(): TestDevice {
  shared ??= make();
  return shared;
}

/** Writes, copies and programs at random, on the device and on arrays of the host. */
class Model {
  readonly device: TestDevice;
  readonly below: (n: number) => number;
  readonly buffers: { readonly on: DeviceBuffer; readonly bytes: Uint8Array }[] = [];

  constructor(on: TestDevice, seed: number, sizes: readonly number[]) {
    this.device = on;
    this.below = randoms(seed);
    for (const size of sizes) {
      const bytes = randomBytes(size, this.below);
      this.buffers.push({ on: upload(on.backend, bytes), bytes });
    }
  }

  pick() {
    return this.buffers[this.below(this.buffers.length)]!;
  }

  write(): void {
    const { on, bytes } = this.pick();
    const from = this.below(bytes.length + 1);
    const length = this.below(2) ? this.below(bytes.length - from + 1) : Math.min(bytes.length - from, 9);
    const whole = randomBytes(length + 3, this.below);
    const data = whole.subarray(this.below(4)).subarray(0, length);
    this.device.backend.write(on, data, from);
    bytes.set(data, from);
  }

  copy(): void {
    const [source, target] = [this.pick(), this.pick()];
    const bytes = this.below(Math.min(source.bytes.length, target.bytes.length) + 1);
    this.device.backend.submit([{ kind: 'copy', source: source.on, target: target.on, bytes }]);
    target.bytes.set(source.bytes.slice(0, bytes));
  }

  async add(): Promise<void> {
    const { on, bytes } = this.pick();
    const texels = this.below(Math.floor(bytes.length / 16)) + 1;
    const loaded = await ready(this.device, increment(texels, 1 + this.below(3) * 0x01010101));
    this.device.backend.submit([dispatch(loaded, [on])]);
    const by = Number(/\+ (\d+)u/.exec(loaded.glsl.stages[0]!.code)![1]);
    const words = new Uint32Array(bytes.buffer, 0, texels * 4);
    for (let i = 0; i < words.length; i++) words[i] = words[i]! + by;
  }

  async wrong(): Promise<string[]> {
    const wrong: string[] = [];
    for (const [i, { on, bytes }] of this.buffers.entries()) {
      const got = await this.device.backend.read(on, 0, bytes.length);
      if (!same(got, bytes)) wrong.push(`buffer ${i}, byte ${got.findIndex((byte, k) => byte !== bytes[k])}`);
      const from = this.below(bytes.length);
      const length = this.below(bytes.length - from + 1);
      const part = this.device.backend.readSync(on, from, length);
      if (!same(part, bytes.subarray(from, from + length))) wrong.push(`buffer ${i}, ${from} + ${length}`);
    }
    return wrong;
  }
}

const checks = {
  describe: () => device().backend.info,

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

  async stages() {
    const { backend } = device();
    const a = upload(backend, bytesOf(Array.from({ length: 5000 * 4 }, (_, i) => i)));
    const b = backend.allocate(5000 * 16);
    backend.submit([dispatch(await ready(device(), reversed(5000)), [a, b])]);
    const values = await download(backend, b);
    return values.every((value) => value === 5000 * 4 - 1) && values.length;
  },

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
    const a = upload(backend, bytesOf(Array.from({ length: texels * 4 }, (_, i) => i)));
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
    const buffer = upload(backend, bytesOf(values));
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
    const a = upload(backend, bytesOf(Array.from({ length: texels * 4 }, (_, i) => i)));
    const b = upload(backend, bytesOf(new Int32Array(texels * 4 + 4).fill(-1)));
    backend.submit([dispatch(await ready(device(), affine(texels, 1, operations)), [a, b], [5])]);
    const got = await download(backend, b);
    return got.findIndex((value, i) => value !== (i < texels * 4 ? i * 3 + 5 : -1));
  },

  async scalars() {
    const { backend } = device();
    const types = ['f32', 'i32', 'u32', 'bool', 'f32', 'f32', 'i32', 'bool'] as const;
    const code = `uvec4 texel(int index) {
  return index == 0 ? uvec4(ivec4(s0, s1, s2, s3)) : uvec4(ivec4(s4, s5, s6, s7));
}`;
    const loaded = await ready(device(), program('storeScalars', code, [], 0, 2, { scalarTypes: types }));
    const buffer = backend.allocate(32);
    backend.submit([dispatch(loaded, [buffer], [1.5, -2, 4294967295, 1, Number.NaN, -0, -2147483648, 0])]);
    const first = await download(backend, buffer);
    backend.submit([dispatch(loaded, [buffer], [1.5, -2, 3, 0, 0, 0, 7, 1])]);
    return [first, await download(backend, buffer)];
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

  async bounded() {
    const own = make(4);
    const { backend } = own;
    const programs = await Promise.all(
      Array.from({ length: 10 }, (_, i) => ready(own, increment(1, 10 ** (i % 9)))),
    );
    const buffer = upload(backend, bytesOf([0, 0, 0, 0]));
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

  async lost() {
    const own = make();
    const { backend, gl } = own;
    const loaded = await ready(own, affine(4));
    const [a, b] = [upload(backend, bytesOf(new Int32Array(16))), backend.allocate(64)];
    const { done } = backend.submit([dispatch(loaded, [a, b], [1])]);
    const pending = backend.read(b, 0, 64);
    const compiling = backend.load(increment(3)).ready;
    gl.getExtension('WEBGL_lose_context')!.loseContext();
    // Its event has not come yet.
    const atOnce = await failure(() => backend.submit([dispatch(loaded, [a, b], [1])]));
    const failures = await Promise.all(
      [() => done, () => pending, () => compiling].map((each) => failure(each)),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    const later = await Promise.all([
      failure(() => backend.allocate(4)),
      failure(() => backend.read(a, 0, 4)),
      failure(() => backend.readSync(a, 0, 4)),
      failure(() => backend.write(a, new Uint8Array(4))),
      failure(() => backend.time([])),
      failure(() => backend.free(a)),
    ]);
    const memory = backend.memory();
    const again = make();
    const buffer = upload(again.backend, bytesOf([1, 2, 3, 4]));
    again.backend.submit([dispatch(await ready(again, increment(1)), [buffer])]);
    const recovered = await download(again.backend, buffer);
    again.backend.dispose();
    return { atOnce, failures, later, memory, recovered };
  },

  /** By the event alone: nothing is called in between. */
  async lostQuietly() {
    const { backend, gl } = make();
    const failed = backend.failure;
    const event = new Promise((resolve) => gl.canvas.addEventListener('webglcontextlost', resolve));
    gl.getExtension('WEBGL_lose_context')!.loseContext();
    await event;
    return [failed?.code, backend.failure?.code, backend.failure?.message];
  },

  /** Tasks of the page between a read and its result, of work that takes a while. */
  async turns() {
    const { backend } = device();
    const texels = 64 * 1024;
    const [a, b] = [backend.allocate(texels * 16), backend.allocate(texels * 16)];
    backend.submit([dispatch(await ready(device(), affine(texels, 3000, 20)), [a, b], [1])]);
    let turns = 0;
    let reading = true;
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      turns++;
      if (reading) channel.port2.postMessage(0);
    };
    channel.port2.postMessage(0);
    const [value] = intsOf(await backend.read(b, 64, 4));
    reading = false;
    backend.free(a);
    backend.free(b);
    return { turns, value };
  },

  async paced() {
    const { backend } = device();
    const texels = 64 * 1024;
    const [a, b] = [backend.allocate(texels * 16), backend.allocate(texels * 16)];
    const command = dispatch(await ready(device(), affine(texels, 300, 20)), [a, b], [1]);
    let paces = 0;
    for (let i = 0; i < 40; i++) {
      const { pace } = backend.submit([command]);
      if (pace) paces++;
      await pace;
    }
    await backend.submit([]).done;
    const times = await backend.time([command, command]);
    backend.free(a);
    backend.free(b);
    return { paces, times };
  },

  async errors() {
    const { backend } = device();
    const other = make();
    const buffer = backend.allocate(16);
    const loaded = backend.load(increment(1, 77));
    const code = `uvec4 texel(int index) {
  return fetch(t0, index) + missing;
}`;
    const broken = backend.load(program('invalid', code, [0], 0, 1));
    const compile = await failure(() => broken.ready);
    const found = {
      compile,
      again: await failure(() => backend.load(program('invalid', code, [0], 0, 1)).ready),
      brokenSubmit: await failure(() => backend.submit([dispatch(broken, [buffer])])),
      range: await failure(() => backend.write(buffer, new Uint8Array(8), 12)),
      read: await failure(() => backend.read(buffer, -1, 4)),
      foreign: await failure(() => other.backend.free(buffer)),
      foreignProgram: await failure(() => other.backend.submit([dispatch(loaded, [])])),
      early: await failure(() => backend.submit([dispatch(loaded, [buffer])])),
      large: await failure(() => backend.allocate(2 ** 40)),
      negative: await failure(() => backend.allocate(-1)),
      tooFew: await loaded.ready?.then(() =>
        failure(() => backend.submit([dispatch(loaded, [buffer], [1])])),
      ),
    };
    backend.free(buffer);
    const freed = await failure(() => backend.free(buffer));
    const freedRead = await failure(() => backend.read(buffer, 0, 4));
    other.backend.dispose();
    const disposed = await failure(() => other.backend.allocate(4));
    return {
      ...found,
      freed,
      freedRead,
      disposed,
      memory: other.backend.memory(),
      failed: backend.failure?.code,
    };
  },

  /** On a context of the user, in a state that nobody would expect, and after it was given back. */
  async borrowed() {
    const gl = newContext(document.createElement('canvas'));
    const own = makeOn(gl, 'borrowed');
    const { backend } = own;
    const loaded = await ready(own, affine(5000));
    for (const name of ['BLEND', 'CULL_FACE', 'DEPTH_TEST', 'STENCIL_TEST', 'RASTERIZER_DISCARD'] as const) {
      gl.enable(gl[name]);
    }
    gl.disable(gl.SCISSOR_TEST);
    gl.frontFace(gl.CW);
    gl.colorMask(false, true, false, true);
    gl.viewport(1, 2, 3, 4);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, 1);
    gl.pixelStorei(gl.UNPACK_SKIP_ROWS, 1);
    gl.pixelStorei(gl.PACK_SKIP_PIXELS, 1);
    gl.bindVertexArray(gl.createVertexArray());
    const sampler = gl.createSampler()!;
    gl.samplerParameteri(sampler, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.bindSampler(0, sampler);
    gl.useProgram(null);
    gl.activeTexture(gl.TEXTURE3);
    const values = Array.from({ length: 20000 }, (_, i) => i);
    const [a, b] = [upload(backend, bytesOf(values)), backend.allocate(80000)];
    backend.submit([dispatch(loaded, [a, b], [4])]);
    const got = await download(backend, b);
    backend.dispose();
    return { wrong: got.findIndex((value, i) => value !== 3 * i + 4), lost: gl.isContextLost() };
  },

  /** A second device on the same canvas, after the first was disposed of. */
  async canvas() {
    const canvas = document.createElement('canvas');
    const results = [];
    for (let i = 0; i < 2; i++) {
      const own = makeOn(newContext(canvas), 'canvas');
      const buffer = upload(own.backend, bytesOf([1, 2, 3, 4]));
      own.backend.submit([dispatch(await ready(own, increment(1)), [buffer])]);
      results.push(await download(own.backend, buffer));
      own.backend.dispose();
    }
    return results;
  },

  /** More devices, one after the other, than browsers have contexts. */
  async many() {
    for (let i = 0; i < 40; i++) make().backend.dispose();
    return device().backend.failure?.code ?? 'works';
  },
  /** What is said where there is no context, or one that will not do. */
  async absent() {
    const reasons: unknown[] = [];
    const look = (): void => {
      const found = findContext(undefined, undefined);
      reasons.push(isAbsent(found) ? found.reason : 'found');
      if (!isAbsent(found)) loseContext(found);
    };
    const kinds = [OffscreenCanvas, HTMLCanvasElement];
    const whole = kinds.map(({ prototype }) => prototype.getContext);
    for (const { prototype } of kinds) prototype.getContext = () => null;
    look();
    for (const { prototype } of kinds) {
      prototype.getContext = function (this: EventTarget) {
        const statusMessage = 'Web page was not allowed to create a WebGL context.';
        this.dispatchEvent(new WebGLContextEvent('webglcontextcreationerror', { statusMessage }));
        return null;
      };
    }
    look();
    for (const [i, { prototype }] of kinds.entries()) prototype.getContext = whole[i]!;
    const { getParameter } = WebGL2RenderingContext.prototype;
    WebGL2RenderingContext.prototype.getParameter = function (name: number) {
      return name === this.MAX_TEXTURE_SIZE ? 512 : getParameter.call(this, name);
    };
    look();
    WebGL2RenderingContext.prototype.getParameter = getParameter;
    const { WebGL2RenderingContext: known } = globalThis;
    Reflect.deleteProperty(globalThis, 'WebGL2RenderingContext');
    look();
    globalThis.WebGL2RenderingContext = known;
    look();
    const flat = document.createElement('canvas');
    flat.getContext('2d');
    const other = findContext(flat, undefined);
    reasons.push(isAbsent(other) && other.reason);
    const lost = newContext();
    loseContext(lost);
    reasons.push(unusable(lost)?.reason);
    return reasons;
  },
};

Object.assign(globalThis, { checks });
export type Checks = typeof checks;
