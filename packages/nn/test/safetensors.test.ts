import { FormatError, type Tensor, zeros } from '@tutti/core';
import {
  BatchNorm2d,
  Conv2d,
  decodeSafetensors,
  encodeSafetensors,
  Sequential,
  safetensorsMetadata,
} from '@tutti/nn';
import { describe, expect, test } from 'vitest';
import { file, onCpu } from './support.ts';

onCpu();

const good = {
  a: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
  b: { dtype: 'U8', shape: [3], data_offsets: [16, 19] },
};
const body = Uint8Array.from({ length: 19 }, (_, i) => i % 2);

const hostOf = (tensor: Tensor): ArrayLike<number> => tensor.node.host!;

describe('decodeSafetensors', () => {
  test('reads names, shapes, dtypes and elements', () => {
    const floats = new Uint8Array(Float32Array.of(1, -2, 0.5, 3).buffer);
    const bytes = file({ ...good, __metadata__: { epochs: '5' } }, Uint8Array.of(...floats, 7, 8, 9));
    const { a, b, ...rest } = decodeSafetensors(bytes);
    expect(rest).toEqual({});
    expect([a!.dtype, a!.shape, [...(hostOf(a!) as Float32Array)]]).toEqual([
      'float32',
      [2, 2],
      [1, -2, 0.5, 3],
    ]);
    expect([b!.dtype, b!.shape, [...(hostOf(b!) as Uint8Array)]]).toEqual(['uint8', [3], [7, 8, 9]]);
    expect(safetensorsMetadata(bytes)).toEqual({ epochs: '5' });
  });

  test('reads from a Buffer at an odd place, and copies', () => {
    const bytes = file({ x: { dtype: 'I32', shape: [], data_offsets: [0, 4] } }, Uint8Array.of(1, 2, 0, 0));
    const larger = Buffer.alloc(bytes.length + 1);
    larger.set(bytes, 1);
    const { x } = decodeSafetensors(larger.subarray(1));
    larger.fill(0);
    expect(hostOf(x!)[0]).toBe(513);
  });

  test('reads every dtype', () => {
    const codes: [string, number, string][] = [
      ['F32', 4, 'float32'],
      ['F16', 2, 'float16'],
      ['BF16', 2, 'bfloat16'],
      ['I32', 4, 'int32'],
      ['U32', 4, 'uint32'],
      ['U8', 1, 'uint8'],
      ['BOOL', 1, 'bool'],
    ];
    for (const [code, width, dtype] of codes) {
      const bytes = file(
        { x: { dtype: code, shape: [2], data_offsets: [0, 2 * width] } },
        new Uint8Array(2 * width),
      );
      expect(decodeSafetensors(bytes)['x']!.dtype).toBe(dtype);
    }
  });

  test('empty files, empty tensors, scalars, and names of any kind', () => {
    expect(decodeSafetensors(file({}, new Uint8Array()))).toEqual({});
    const odd = JSON.parse('{"__proto__":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}}') as object;
    const dict = decodeSafetensors(file(odd, new Uint8Array()));
    expect(Object.keys(dict)).toEqual(['__proto__']);
    expect(Object.getOwnPropertyDescriptor(dict, '__proto__')!.value.shape).toEqual([0, 3]);
  });

  test('64-bit types are refused, or narrowed on request', () => {
    const of = (dtype: string, array: { buffer: ArrayBufferLike }) =>
      file({ x: { dtype, shape: [2], data_offsets: [0, 16] } }, new Uint8Array(array.buffer));
    const integers = of('I64', BigInt64Array.of(-5n, 2n ** 31n - 1n));
    expect(() => decodeSafetensors(integers)).toThrow(/"x" has dtype I64.*\n.*narrow64: true.*int32/);
    const narrow64 = true;
    const narrow = (bytes: Uint8Array) => decodeSafetensors(bytes, { narrow64 })['x']!;
    expect([...(hostOf(narrow(integers)) as Int32Array)]).toEqual([-5, 2 ** 31 - 1]);
    expect(narrow(integers).dtype).toBe('int32');
    expect([...(hostOf(narrow(of('F64', Float64Array.of(0.1, -1e300)))) as Float32Array)]).toEqual([
      Math.fround(0.1),
      Number.NEGATIVE_INFINITY,
    ]);
    expect(narrow(of('U64', BigUint64Array.of(2n ** 32n - 1n, 0n))).dtype).toBe('uint32');
    expect(() => narrow(of('I64', BigInt64Array.of(0n, 2n ** 31n)))).toThrow(/element 1 is 2147483648/);
    expect(() => narrow(of('U64', BigUint64Array.of(2n ** 32n, 0n)))).toThrow(FormatError);
  });
});

test('a state of an optimiser, which holds tensors, is told apart from tensors', async () => {
  const state = { tensors: { '0.exp_avg': zeros([2]) }, lrs: [0.1] };
  await expect(encodeSafetensors(state as never)).rejects.toMatchObject({
    message: expect.stringContaining("'tensors' is not a tensor"),
    fix: expect.stringContaining('optimizer.stateDict().tensors'),
  });
  await expect(encodeSafetensors({ count: 3 } as never)).rejects.toMatchObject({
    fix: 'pass a record of tensors, such as model.stateDict()',
  });
});

test("a file of PyTorch's loads: its names, and the 64-bit count of batch norm", async () => {
  const names = ['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var'];
  const shapes = [[2, 1, 1, 1], [2], [2], [2], [2], [2]];
  const header = Object.fromEntries(
    names.map((name, i) => [name, { dtype: 'F32', shape: shapes[i], data_offsets: [8 * i, 8 * i + 8] }]),
  );
  const count = { dtype: 'I64', shape: [], data_offsets: [48, 56] };
  const floats = Float32Array.from({ length: 12 }, (_, i) => i);
  const data = Uint8Array.of(
    ...new Uint8Array(floats.buffer),
    ...new Uint8Array(BigInt64Array.of(469n).buffer),
  );
  const bytes = file({ ...header, '1.num_batches_tracked': count, __metadata__: { format: 'pt' } }, data);
  const norm = new BatchNorm2d(2);
  const net = new Sequential(new Conv2d(1, 2, 1), norm);
  net.loadStateDict(decodeSafetensors(bytes, { narrow64: true }));
  expect(await norm.batchesTracked!.item()).toBe(469);
  expect(await norm.runningVariance!.array()).toEqual([10, 11]);
});

describe('corrupt files', () => {
  const offsets = (a: [number, number], b: [number, number]) => ({
    a: { ...good.a, data_offsets: a },
    b: { ...good.b, data_offsets: b },
  });
  const cases: [string, Uint8Array, RegExp][] = [
    ['no bytes', new Uint8Array(), /0 bytes are too few/],
    ['seven bytes', new Uint8Array(7), /7 bytes are too few/],
    ['a header longer than the file', length(file(good, body), 5000n), /header of 5000 bytes does not fit/],
    ['a header above the limit', length(file(good, body), 100_000_001n), /above the limit/],
    ['a header of 2^63 bytes', length(file(good, body), 2n ** 63n), /above the limit/],
    ['a header that is no JSON', file('{"a":', body), /not JSON/],
    ['a header that is no UTF-8', raw(Uint8Array.of(0x7b, 0xff, 0x7d), body), /not JSON/],
    ['a header that is a list', file('[]', body), /not a JSON object/],
    ['a header that is null', file('null', body), /not a JSON object/],
    [
      'a name twice',
      file(`{"a":${JSON.stringify(good.a)},"a":${JSON.stringify(good.a)}}`, body),
      /key "a" twice/,
    ],
    ['a name twice, escaped', file('{"a":0,"\\u0061":0}', body), /key "a" twice/],
    [
      'a field twice',
      file('{"a":{"dtype":"U8","dtype":"I8","shape":[19],"data_offsets":[0,19]}}', body),
      /"dtype" twice/,
    ],
    ['no description', file({ a: 3 }, body), /"a" has no description/],
    ['no dtype', file({ a: { shape: [19], data_offsets: [0, 19] } }, body), /"a" has no dtype/],
    ['an unknown dtype', file({ a: { ...good.a, dtype: 'F33' } }, body), /"a" has the unknown dtype "F33"/],
    ['the dtype "constructor"', file({ a: { ...good.a, dtype: 'constructor' } }, body), /unknown dtype/],
    [
      'an unsupported dtype',
      file({ a: { dtype: 'I8', shape: [19], data_offsets: [0, 19] } }, body),
      /"a" has dtype I8/,
    ],
    ['no shape', file({ a: { dtype: 'U8', data_offsets: [0, 19] } }, body), /"a": the shape/],
    ['a negative extent', file({ a: { ...good.a, shape: [-2, -2] } }, body), /"a": the shape \[-2,-2\]/],
    ['a fractional extent', file({ a: { ...good.a, shape: [0.5, 8] } }, body), /"a": the shape/],
    ['an extent beyond 2^53', file({ a: { ...good.a, shape: [1e300] } }, body), /"a": the shape/],
    ['a product beyond 2^53', file({ a: { ...good.a, shape: [2 ** 50, 2 ** 50] } }, body), /"a": F32/],
    ['one offset', file({ a: { ...good.a, data_offsets: [0] } }, body), /"a": data_offsets \[0\]/],
    [
      'offsets that are texts',
      file({ a: { ...good.a, data_offsets: ['0', '16'] } }, body),
      /"a": data_offsets/,
    ],
    [
      'an end before the begin',
      file({ a: { ...good.a, data_offsets: [16, 0] } }, body),
      /takes 16 bytes.*are -16/,
    ],
    [
      'a shape that does not fill the offsets',
      file({ a: { ...good.a, shape: [5] } }, body),
      /takes 20 bytes/,
    ],
    ['an overlap', file(offsets([0, 16], [15, 18]), body), /"b" begins at byte 15, inside/],
    ['the same place twice', file({ a: good.a, c: good.a, b: good.b }, body), /begins at byte 0, inside/],
    ['a gap', file(offsets([0, 16], [17, 20]), Uint8Array.of(...body, 0)), /bytes 16 to 17 are of no tensor/],
    [
      'a gap at the start',
      file({ a: { ...good.a, data_offsets: [3, 19] } }, body),
      /bytes 0 to 3 are of no tensor/,
    ],
    ['bytes after the end', file(good, Uint8Array.of(...body, 0, 0)), /2 bytes after the last/],
    [
      'an end behind the file',
      file(good, body.subarray(0, 18)),
      /"b" ends at byte 19 of the data, of which there are 18/,
    ],
    ['metadata that is no table', file({ ...good, __metadata__: [] }, body), /metadata/],
    ['metadata that is no text', file({ ...good, __metadata__: { a: 1 } }, body), /metadata/],
    [
      'a bool of 2',
      file({ a: { dtype: 'BOOL', shape: [1], data_offsets: [0, 1] } }, Uint8Array.of(2)),
      /element 0 is 2/,
    ],
  ];

  test.each(cases)('%s', (_, bytes, message) => {
    const decode = () => decodeSafetensors(bytes, { source: 'model.safetensors' });
    expect(decode).toThrow(FormatError);
    expect(decode).toThrow(message);
    expect(decode).toThrow(/^model\.safetensors: /);
  });

  test('every cut of a good file', () => {
    const bytes = file(good, body);
    for (let end = 0; end < bytes.length; end++) {
      expect(() => decodeSafetensors(bytes.subarray(0, end))).toThrow(FormatError);
    }
  });

  test('every flipped bit of the header is an error, or leaves a file that makes sense', () => {
    const original = file(good, body);
    for (let bit = 0; bit < 8 * (original.length - body.length); bit++) {
      const bytes = original.slice();
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      let dict: Record<string, Tensor> = {};
      try {
        dict = decodeSafetensors(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        continue;
      }
      expect(
        Object.values(dict).reduce((sum, { size, dtype }) => sum + size * (dtype === 'uint8' ? 1 : 4), 0),
      ).toBe(19);
    }
  });
});

/** The same file with another length of its header. */
function length(bytes: Uint8Array, value: bigint): Uint8Array {
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

function raw(header: Uint8Array, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + header.length + data.length);
  bytes[0] = header.length;
  bytes.set(header, 8);
  bytes.set(data, 8 + header.length);
  return bytes;
}
