/** Products by a library, as the addon has them. */
import { describe, expect, it } from 'vitest';
import type { NativeDevice, ProductDescription } from '../src/native/binding.ts';
import { binding, blasPath, bytesOf, Commands, floatsOf, openDevice, submit } from './support/addon.ts';

const [m, n, k] = [3, 5, 4] as const;
const operand = (leading: number) => ({ transposed: false, leading, batchStride: 0, alignment: 256 });
const plain: ProductDescription = {
  operandType: 'float32',
  resultType: 'float32',
  tf32: false,
  batches: 1,
  m,
  n,
  k,
  lhs: operand(k),
  rhs: operand(n),
  resultAlignment: 256,
  bias: false,
  workspaceBytes: 1024,
};

const invalid = (message: RegExp) =>
  expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) });
const open = (): NativeDevice => openDevice(1 << 20, blasPath);

const values = (count: number): Float32Array => Float32Array.from({ length: count }, (_, i) => (i % 7) - 3);
const [a, b, bias] = [values(m * k), values(k * n), values(n)];
const expected = (withBias: boolean): number[] =>
  Array.from({ length: m * n }, (_, i) => {
    let sum = withBias ? bias[i % n]! : 0;
    for (let j = 0; j < k; j++) sum += a[Math.floor(i / n) * k + j]! * b[j * n + (i % n)]!;
    return sum;
  });

function upload(device: NativeDevice, data: Float32Array): number {
  const address = device.allocate(data.byteLength);
  device.write(address, bytesOf(data), true);
  return address;
}

/** Addresses of the operands, the result and the bias. */
function place(device: NativeDevice): readonly [number, number, number, number, number] {
  return [upload(device, a), upload(device, b), device.allocate(m * n * 4), upload(device, bias), 0];
}

describe('the library', () => {
  it('says its version, and that it emulates', () => {
    expect(binding.openBlas(blasPath)).toEqual({ version: 130_000, emulated: true });
  });

  it('that is none is an error', () => {
    expect(() => binding.openBlas('/nowhere/libcublasLt.so')).toThrow(
      expect.objectContaining({ code: 'LIBRARY_NOT_FOUND' }),
    );
    expect(() => binding.openBlas('libc.so.6')).toThrow(
      expect.objectContaining({ code: 'SYMBOL_NOT_FOUND', call: 'cublasLtGetVersion' }),
    );
  });

  it('has to be there before products are prepared', () => {
    expect(() => openDevice().prepareProduct(plain)).toThrow(invalid(/without a library/));
  });
});

describe('a product', () => {
  it.each([false, true])('runs, with a bias: %s', async (withBias) => {
    const device = open();
    const at = place(device);
    const id = device.prepareProduct({ ...plain, bias: withBias });
    submit(device, new Commands().product(id, at));
    expect([...floatsOf(await device.read(at[2], m * n * 4))]).toEqual(expected(withBias));
  });

  it('becomes part of a graph, which outlives it', async () => {
    const device = open();
    const at = place(device);
    const id = device.prepareProduct(plain);
    const { words } = new Commands().product(id, at);
    const graph = device.capture(words, words.length);
    device.releaseProduct(id);
    for (let i = 0; i < 3; i++) device.launchGraph(graph);
    expect([...floatsOf(await device.read(at[2], m * n * 4))]).toEqual(expected(false));
    device.releaseGraph(graph);
  });

  it('has the workspace that its algorithm wants, and no other memory', async () => {
    const device = open();
    const depth = 1024;
    const id = device.prepareProduct({ ...plain, k: depth, lhs: operand(depth) });
    const [lhs, rhs] = [m * depth, depth * n].map((count) => upload(device, new Float32Array(count).fill(1)));
    const [result, workspace] = [m * n * 4, 1024].map((bytes) => device.allocate(bytes));
    const run = (at: number): void =>
      submit(device, new Commands().product(id, [lhs!, rhs!, result!, 0, at]));
    expect(() => run(0)).toThrow(invalid(/not within one allocation/));
    expect(() => run(workspace! + 4)).toThrow(invalid(/not aligned to 256/));
    expect(() => run(workspace! + 1020)).toThrow(invalid(/not within one allocation/));
    run(workspace!);
    expect(floatsOf(await device.read(result!, m * n * 4))).toEqual(new Float32Array(m * n).fill(depth));
  });

  it('is counted, released, and gone with the device', () => {
    const device = open();
    const ids = [plain, { ...plain, bias: true }].map((each) => device.prepareProduct(each));
    expect(device.statistics().products).toBe(2);
    device.releaseProduct(ids[0]!);
    expect(device.statistics().products).toBe(1);
    expect(() => device.releaseProduct(ids[0]!)).toThrow(invalid(/there is no product/));
    device.close();
    expect(device.statistics().products).toBe(0);
  });
});

describe('what is malformed', () => {
  const wrong: readonly (readonly [Partial<ProductDescription>, RegExp])[] = [
    [{ m: 0 }, /an extent is 0/],
    [{ batches: 2 ** 31 }, /an extent is 2147483648/],
    [{ lhs: operand(k - 1) }, /strides of lhs/],
    [{ rhs: { ...operand(n), transposed: true, leading: k - 1 } }, /strides of rhs/],
    [{ rhs: { ...operand(n), batchStride: 2 ** 52 } }, /strides of rhs/],
    [{ lhs: { ...operand(k), alignment: 0 } }, /alignment of lhs/],
    [{ resultType: 'int32' as 'float32' }, /int32 is no type of a product/],
    [{ lhs: undefined as unknown as ProductDescription['lhs'] }, /lhs: not an object/],
  ];
  it.each(wrong)('is refused: %j', (change, message) => {
    expect(() => open().prepareProduct({ ...plain, ...change })).toThrow(invalid(message));
  });

  it('is refused where reading it closes the device', () => {
    const device = open();
    const closing = {
      ...plain,
      get bias() {
        device.close();
        return true;
      },
    };
    expect(() => device.prepareProduct(closing)).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  });

  it('is refused where the library does not have it', () => {
    expect(() => open().prepareProduct({ ...plain, operandType: 'float32', resultType: 'float16' })).toThrow(
      expect.objectContaining({
        code: 'CUBLAS_STATUS_NOT_SUPPORTED',
        call: 'cublasLtMatmulAlgoGetHeuristic',
      }),
    );
  });

  it('has no effect as a command', () => {
    const device = open();
    const [lhs, rhs, result, added] = place(device);
    const id = device.prepareProduct({ ...plain, bias: true });
    const refused = (at: Parameters<Commands['product']>[1], product = id): unknown => {
      try {
        return submit(device, new Commands().product(product, at));
      } catch (error) {
        return error;
      }
    };
    expect(refused([lhs, rhs, result, added, 0], id + 1)).toEqual(invalid(/there is no product/));
    expect(refused([lhs + 256, rhs, result, added, 0])).toEqual(invalid(/product/));
    expect(refused([lhs, 0, result, added, 0])).toEqual(invalid(/product/));
    expect(refused([lhs, rhs, 16, added, 0])).toEqual(invalid(/product/));
    expect(refused([lhs, rhs, result, 0, 0])).toEqual(invalid(/product/));
    const words = Uint32Array.of(3, 12, id, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    expect(() => device.submit(words, words.length)).toThrow(invalid(/a product has 12 words/));
    const shifted = device.prepareProduct({ ...plain, m: 1, k: 2, lhs: operand(2) });
    expect(refused([lhs + 4, rhs, result, 0, 0], shifted)).toEqual(invalid(/not aligned to 256/));
  });
});
