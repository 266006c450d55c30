/** Values that go from one device to another of the same process, with streams that run at different speeds. */
import type { EmulatorSettings } from '@tutti/cuda-emulator';
import { describe, expect, it } from 'vitest';
import { runScript } from './support/addon.ts';
import { child } from './support/child.ts';
import { emulation } from './support/device.ts';

const settings: readonly (readonly [string, EmulatorSettings])[] = [
  ['as they come', {}],
  ['only where somebody waits', { streams: 'lazy' }],
  ['with slow work', { faults: { slowStream: { stream: 1, milliseconds: 1 } } }],
  ['with slow uploads', { faults: { slowStream: { stream: 2, milliseconds: 1 } } }],
];

it.each(settings)('a copy has its place in the order of both devices, whose streams run %s', (_, setting) => {
  const { code, output, errors } = runScript(
    `
    const n = 64;
    const image = (await compiler().compile(saxpy, 'saxpy.cu', options)).image;
    const devices = [0, 1].map((index) => driver().open(index, { stagingBytes: 1 << 16 }));
    const fns = devices.map((device) => device.getFunction(device.loadModule(image), 'saxpy', 0));
    const filled = (value) => new Uint8Array(new Float32Array(n).fill(value).buffer);
    const add = (turn, x, y) => {
      const words = saxpyWords(fns[turn], x, y, n);
      devices[turn].submit(words, words.length);
    };
    const wrong = [];
    const ones = devices.map((device) => device.allocate(4 * n));
    for (const [i, device] of devices.entries()) device.write(ones[i], filled(1), true);
    for (let i = 0; i < 8; i++) {
      const [from, to] = [i % 2, 1 - (i % 2)];
      const [x, y] = [devices[from].allocate(4 * n), devices[to].allocate(4 * n)];
      devices[from].write(x, filled(i), true);
      devices[to].write(y, filled(-1), true);
      add(from, ones[from], x);                               // before the copy
      devices[to].copyFrom(devices[from], y, x, 4 * n);
      add(from, ones[from], x);                               // after it, on both
      add(to, ones[to], y);
      devices[from].free(x);                                  // while the copy may be on its way
      const again = devices[from].allocate(4 * n);
      devices[from].write(again, filled(-9), true);
      const values = new Float32Array((await devices[to].read(y, 4 * n)).buffer);
      if (!values.every((value) => value === i + 2)) wrong.push(i + ': ' + values[0]);
      devices[from].free(again);
      devices[to].free(y);
    }
    for (const device of devices) device.close();
    console.log(JSON.stringify(wrong));
  `,
    { devices: 2, leaks: false, ...setting },
  );
  expect({ code, output, errors }).toEqual({ code: 0, output: '[]', errors: '' });
});

it('what is no memory of an open device is refused', () => {
  const { code, output, errors } = runScript(
    `
    const [one, other] = [0, 1].map((index) => driver().open(index, { stagingBytes: 1 << 16 }));
    const [a, b] = [one.allocate(64), other.allocate(64)];
    const closed = driver().open(1, { stagingBytes: 1 << 16 });
    closed.close();
    const calls = [
      () => one.copyFrom(undefined, a, b, 64),
      () => one.copyFrom({}, a, b, 64),
      () => one.copyFrom(driver(), a, b, 64),
      () => one.copyFrom(other, a, b, 65),
      () => one.copyFrom(other, a, b + 32, 64),
      () => one.copyFrom(other, b, a, 64),
      () => one.copyFrom(closed, a, b, 64),
      () => one.copyFrom(other, a, b, 0),
      () => one.copyFrom(other, a, b, 64),
      () => one.copyFrom(one, a, a, 64),
    ];
    console.log(calls.map(codeOf).join());
    for (const device of [one, other]) device.close();
  `,
    { devices: 2, leaks: false },
  );
  const refused = 'INVALID_ARGUMENT';
  const expected = [...new Array(6).fill(refused), 'DISPOSED', 'ok', 'ok', 'ok'].join();
  expect({ code, output, errors }).toEqual({ code: 0, output: expected, errors: '' });
});

const core = JSON.stringify(import.meta.resolve('@tutti/core'));

describe('to() of a tensor', () => {
  it('copies between devices without the host', async () => {
    const script = `
      const { registerBackend, device, setDefaultDevice, tensor, memory } = await import(${core});
      registerBackend(emulated);
      const one = await setDefaultDevice('cuda-emulated');
      const other = await device('cuda-emulated:1');
      let reads = 0;
      const read = one.backend.read.bind(one.backend);
      one.backend.read = (...args) => (reads++, read(...args));
      const x = tensor([1, 2, 3]).mul(2);
      const y = await x.to(other);
      x.dispose();
      const z = y.add(tensor([1, 1, 1], { device: other }));
      console.log(reads, z.device.id, (await z.data()).join());
      y.dispose();
      z.dispose();`;
    expect(await child(script, { devices: 2 })).toEqual({
      code: 0,
      output: '0 cuda-emulated:1 3,5,7',
      errors: '',
    });
  });

  it('says for what there was no memory, and leaves both devices usable', async () => {
    const script = `
      const { registerBackend, device, setDefaultDevice, ones } = await import(${core});
      registerBackend(createCudaBackend(${JSON.stringify({ ...emulation, memoryLimit: 2 ** 20 })}));
      await setDefaultDevice('cuda-emulated');
      const other = await device('cuda-emulated:1');
      const held = await ones([200_000], { device: other }).add(1).realize();
      const x = ones([200_000]).add(1);
      await x.to(other).catch((error) => console.log(error.code + ': ' + error.message.split('\\n')[0].split(': ').slice(0, 2).join(': ')));
      held.dispose();
      console.log((await (await x.to(other)).sum().item()));`;
    expect(await child(script, { devices: 2 })).toEqual({
      code: 0,
      output: 'TUTTI_OUT_OF_MEMORY: to(): no memory for float32 [200000] on cuda-emulated:1\n400000',
      errors: '',
    });
  });
});
