/** Pixels that are on the host already: what works without a browser. */
import {
  type Device,
  memory,
  device as openDevice,
  registerBackend,
  setDefaultDevice,
  type Tensor,
  tensor,
  unregisterBackend,
  zeros,
} from '@tutti/core';
import { interpreterBackend } from '@tutti/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWebgpuBackend, fromImage, gpuDeviceOf, type ImageSource, toCanvas } from '../src/index.ts';
import './support/device.ts';

let device: Device;
beforeEach(async () => {
  registerBackend(createWebgpuBackend());
  device = await setDefaultDevice('webgpu');
});
afterEach(() => unregisterBackend('webgpu'));

const code = (name: string) => expect.objectContaining({ code: `TUTTI_${name}` });

/** Bytes that look like noise. */
function image(width: number, height: number, seed = 1): { data: Uint8Array; width: number; height: number } {
  let state = seed;
  const data = Uint8Array.from({ length: width * height * 4 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
  return { data, width, height };
}

/** RGBA to channels, on the host. */
function expected({ data }: { data: Uint8Array }, channels: number): number[] {
  const values: number[] = [];
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b, a] = data.subarray(i, i + 4) as unknown as [number, number, number, number];
    if (channels === 1) values.push(0.299 * r + 0.587 * g + 0.114 * b);
    else values.push(...[r, g, b, a].slice(0, channels));
  }
  return values;
}

describe('pixels of bytes', () => {
  it.each([1, 3, 4])('are uint8 with %i channels, at sizes that fill no word', async (channels) => {
    for (const [width, height] of [
      [1, 1],
      [5, 3],
      [67, 9],
    ] as const) {
      const source = image(width, height, width);
      const x = fromImage(source, { shape: [height, width, channels] });
      expect([x.shape, x.dtype, x.device]).toEqual([[height, width, channels], 'uint8', device]);
      const values = [...(await x.data())];
      // A grey level that lies between two may go to either.
      for (const [i, value] of expected(source, channels).entries())
        expect(Math.abs(values[i]! - value)).toBeLessThanOrEqual(channels === 1 ? 0.501 : 0);
    }
  });

  it('are RGB unless something else is asked for, and take part in what is computed', async () => {
    const source = image(4, 2);
    const x = fromImage(source);
    expect(x.shape).toEqual([2, 4, 3]);
    const planes = x.permute([2, 0, 1]).cast('float32').sum([1, 2]);
    const sums = [0, 0, 0];
    for (const [i, value] of expected(source, 3).entries()) sums[i % 3]! += value;
    expect(await planes.array()).toEqual(sums);
  });

  it('are float32 from 0 to 1, or normalised', async () => {
    const source = image(3, 3);
    const plain = await fromImage(source, { dtype: 'float32' }).data();
    const mean = [0.5, 0.25, 0];
    const std = [0.5, 2, 1];
    const x = fromImage(source, { normalize: { mean, std } });
    expect(x.dtype).toBe('float32');
    const normalised = await x.data();
    const half = await fromImage(source, { normalize: { mean: 0.5, std: 0.5 } }).data();
    for (const [i, byte] of expected(source, 3).entries()) {
      expect(plain[i]).toBeCloseTo(byte / 255, 6);
      expect(normalised[i]).toBeCloseTo((byte / 255 - mean[i % 3]!) / std[i % 3]!, 5);
      expect(half[i]).toBeCloseTo((byte / 255 - 0.5) / 0.5, 5);
    }
  });

  it('are scaled as with align_corners=False', async () => {
    const source = { data: new Uint8Array(8 * 4), width: 4, height: 2 };
    for (let i = 0; i < 8; i++) source.data.fill(i * 30, i * 4, i * 4 + 3);
    const grow = await fromImage(source, { shape: [2, 8, 1], dtype: 'float32' })
      .mul(255)
      .array();
    const row = [0, 7.5, 22.5, 37.5, 52.5, 67.5, 82.5, 90];
    const rows = (grow as number[][][]).map((each) => each.map(([value]) => value!));
    for (const [i, value] of row.entries()) {
      expect(rows[0]![i]).toBeCloseTo(value, 3);
      expect(rows[1]![i]).toBeCloseTo(value + 120, 3);
    }
    const shrink = await fromImage(source, { shape: [1, 2, 3] }).array();
    expect(shrink).toEqual([[Array(3).fill(75), Array(3).fill(135)]]);
  });

  it('take memory as other tensors do, and give it back', async () => {
    const source = image(64, 64);
    const once = async (): Promise<void> => {
      using x = fromImage(source);
      await x.realize();
    };
    await once();
    const { bytes, buffers, reserved } = memory()['webgpu']!;
    for (let i = 0; i < 50; i++) await once();
    expect(memory()['webgpu']).toMatchObject({ bytes, buffers, reserved });
  });
});

describe('what does not work', () => {
  it('is said of sources', () => {
    const wrong = (source: unknown) => () => fromImage(source as ImageSource);
    for (const [source, received] of [
      [undefined, 'undefined'],
      [{}, 'an object'],
      [new Uint8Array(16), 'a Uint8Array'],
      [[[1, 2]], 'an array'],
    ] as const) {
      expect(wrong(source)).toThrow(`fromImage: expected an image, received ${received}\n`);
      expect(wrong(source)).toThrow(/as in Node, decode the file/);
    }
    expect(wrong(null)).toThrow(/received null\n.*no such element/s);
    expect(wrong('cat.png')).toThrow(/received "cat\.png"\n.*load it/s);
    expect(wrong(Promise.resolve())).toThrow(/received a promise\n.*await it first/s);
    expect(wrong(new Blob([]))).toThrow(/received a Blob\n.*await createImageBitmap\(blob\)/s);
    expect(wrong({ data: new Float32Array(4), width: 1, height: 1 })).toThrow(
      /expected data of bytes, received a Float32Array\n.*tensor\(data\)/s,
    );
    expect(wrong({ data: new Uint8Array(4) })).toThrow(/a width of undefined and a height of undefined/);
    expect(wrong({ data: new Uint8Array(15), width: 2, height: 2 })).toThrow(/15 bytes for 2 by 2 pixels/);
    expect(wrong({ data: new Uint8Array(0), width: 0, height: 2 })).toThrow(/0 by 2 pixels/);
    const long = { data: new Uint8Array(4 * 10_000), width: 10_000, height: 1 };
    expect(wrong(long)).toThrow(/10000 by 1 pixels; this device takes up to/);
  });

  it('is said of options', () => {
    const wrong = (options: object) => () => fromImage(image(2, 2), options);
    expect(wrong({ size: [2, 2] })).toThrow(code('ARGUMENT'));
    expect(wrong({ shape: [2, 2] })).toThrow(code('SHAPE'));
    expect(wrong({ shape: [2, 2, 2] })).toThrow(code('SHAPE'));
    expect(wrong({ shape: [0, 2, 3] })).toThrow(code('SHAPE'));
    expect(wrong({ dtype: 'int32' })).toThrow(/pixels of dtype int32/);
    expect(wrong({ dtype: 'uint8', normalize: { mean: 0, std: 1 } })).toThrow(
      /normalised pixels are not uint8/,
    );
    expect(wrong({ dtype: 'float16' })).toThrow(/x\.cast\('float16'\)/);
    expect(wrong({ dtype: 'flaot32' })).toThrow(/take 'uint8' or 'float32'$/);
    expect(wrong({ normalize: true })).toThrow(/fromImage normalize: expected an object.*received true/);
    expect(wrong({ normalize: { mean: 0, sdt: 1 } })).toThrow(
      /no option "sdt"\n.*takes the options mean, std/s,
    );
    expect(wrong({ normalize: { mean: 0 } })).toThrow(/normalize\.std is undefined/);
    expect(wrong({ normalize: { mean: [0, 0], std: 1 } })).toThrow(/normalize\.mean is \[0,0\]/);
    expect(wrong({ normalize: { mean: 0, std: [1, 0, 1] } })).toThrow(/normalize\.std/);
  });

  it('is said of devices', async () => {
    registerBackend(interpreterBackend());
    const elsewhere = await setDefaultDevice('interpreter');
    expect(() => fromImage(image(2, 2))).toThrow(/fromImage: device interpreter is not one of WebGPU/);
    for (const none of [openDevice('webgpu'), 'webgpu', gpuDeviceOf(device)]) {
      expect(() => fromImage(image(2, 2), { device: none as unknown as Device })).toThrow(
        /fromImage: expected a device, received (a promise|"webgpu"|a GPUDevice|an object)\n/,
      );
    }
    expect((await fromImage(image(2, 2), { device }).data()).length).toBe(12);
    const canvas = { getContext: () => ({}) } as unknown as OffscreenCanvas;
    await expect(toCanvas(tensor([[1]], { device: elsewhere }), canvas)).rejects.toThrow(code('DEVICE'));
    await unregisterBackend('interpreter');
  });

  it('is said of canvases', async () => {
    const canvas = { getContext: () => null } as unknown as OffscreenCanvas;
    await expect(toCanvas(tensor([[1]]), {} as OffscreenCanvas)).rejects.toThrow(
      /expected a canvas, received an object\n.*as in Node, read the pixels/s,
    );
    await expect(toCanvas(tensor([[1]]), canvas)).rejects.toThrow(/a context of another kind/);
    const given = {
      getContext: () => {
        throw new TypeError('it was given away');
      },
    } as unknown as OffscreenCanvas;
    await expect(toCanvas(tensor([[1]]), given)).rejects.toThrow(
      /the canvas gives no context: it was given away\n.*transferControlToOffscreen/s,
    );
    await expect(toCanvas([[1]] as unknown as Tensor, canvas)).rejects.toThrow(
      /toCanvas: the operand must be a tensor, received an array/,
    );
    const drawing = { getContext: () => ({}) } as unknown as OffscreenCanvas;
    await expect(toCanvas(zeros([2, 100_000], { dtype: 'uint8' }), drawing)).rejects.toThrow(
      /toCanvas: 100000 by 2 pixels; this device draws up to \d+ by \d+\n.*x\.slice/s,
    );
    expect(await tensor([1]).add(1).item()).toBe(2);
    await expect(toCanvas(tensor([1]), canvas)).rejects.toThrow(code('SHAPE'));
    await expect(toCanvas(tensor([[[1, 2]]]), canvas)).rejects.toThrow(code('SHAPE'));
    await expect(toCanvas(tensor([[1]], { dtype: 'int32' }), canvas)).rejects.toThrow(code('DTYPE'));
  });
});
