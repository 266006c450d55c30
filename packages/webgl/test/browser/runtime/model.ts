/** What buffers should hold. */
import type { DeviceBuffer } from '@tutti/core/backend';
import { dispatch } from '@tutti/core/testing';
import { increment, type TestDevice, uploadBytes } from '../device.ts';
import { ready } from './shared.ts';

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

export const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Writes, copies and programs at random, on the device and on arrays of the host. */
export class Model {
  readonly device: TestDevice;
  readonly below: (n: number) => number;
  readonly buffers: { readonly on: DeviceBuffer; readonly bytes: Uint8Array }[] = [];

  constructor(on: TestDevice, seed: number, sizes: readonly number[]) {
    this.device = on;
    this.below = randoms(seed);
    for (const size of sizes) {
      const bytes = randomBytes(size, this.below);
      this.buffers.push({ on: uploadBytes(on.backend, bytes), bytes });
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
