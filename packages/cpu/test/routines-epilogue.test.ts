/** Epilogues on routines: the result must be that of the sums in f32, then the expression, then the conversion. */
import {
  type BufferParam,
  type ContractionAnchor,
  type ConvAnchor,
  type DType,
  dtypeInfo,
  type Epilogue,
  ExpressionBuilder,
  fromBfloat16Bits,
  fromFloat16Bits,
} from '@tutti/core/backend';
import { convAnchor, dotAnchor, generator } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { forwardProgram } from '../src/routines/conv-forward.ts';
import { reduceProgram } from '../src/routines/conv-reduce.ts';
import { routine } from '../src/routines/index.ts';
import { bytesOf, convReference, dotReference, executeAllWays, randomFloats } from './routines-harness.ts';

const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

/** relu(sum * scale + bias[d]) + residual, where d is one of the dimensions of the space. */
function withEpilogue(
  anchor: ContractionAnchor,
  space: readonly number[],
  biasAt: number,
  dtype: DType,
): ContractionAnchor {
  const e = new ExpressionBuilder();
  const variables = space.map((extent, i) => ({ name: `d${i}`, extent }));
  let flat = e.int(0);
  for (const [i, variable] of variables.entries()) {
    flat = e.alu('add', 'i32', e.alu('mul', 'i32', flat, e.int(space[i]!)), e.index(variable));
  }
  const scaled = e.alu('mul', 'f32', e.accumulator('f32', 0), e.scalar('f32', 0));
  const biased = e.alu('add', 'f32', scaled, e.load('f32', 3, e.index(variables[biasAt]!)));
  const relu = e.alu('max', 'f32', biased, e.const('f32', 0));
  let value = e.alu('add', 'f32', relu, e.load('f32', 4, flat));
  if (dtypeInfo[dtype].scalar === 'i32') value = e.alu('cast', 'i32', value);
  const epilogue: Epilogue = { space: variables, value };
  const param = (length: number): BufferParam => ({ dtype: 'float32', length, access: 'read' });
  const buffers = [
    ...anchor.buffers.slice(0, 2),
    { ...anchor.buffers[2]!, dtype },
    param(space[biasAt]!),
    param(product(space)),
  ];
  return { ...anchor, buffers, scalars: ['f32'], epilogue };
}

const read = (bytes: Uint8Array, dtype: DType, i: number): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (dtype === 'float32') return view.getFloat32(i * 4, true);
  if (dtype === 'int32') return view.getInt32(i * 4, true);
  const bits = view.getUint16(i * 2, true);
  return dtype === 'float16' ? fromFloat16Bits(bits) : fromBfloat16Bits(bits);
};

function verify(
  plain: ContractionAnchor,
  space: readonly number[],
  biasAt: number,
  dtype: DType,
  make = routine,
): void {
  const anchor = withEpilogue(plain, space, biasAt, dtype);
  const random = generator(9);
  const operands = anchor.buffers.map((buffer) => randomFloats(buffer.length, random));
  const out = new Uint8Array(anchor.buffers[2]!.length * dtypeInfo[dtype].bytes);
  const buffers = operands.map((data, i) => (i === 2 ? out : bytesOf(data)));
  const scale = 1.5;
  const got = executeAllWays(make(anchor)!, buffers, [scale]);
  const want = (
    anchor.kind === 'dot'
      ? dotReference(anchor, operands[0]!, operands[1]!)
      : convReference(anchor, operands[0]!, operands[1]!)
  ).sums;
  const inner = product(space.slice(biasAt + 1));
  const relative = { float32: 1e-5, int32: 1e-5, float16: 2 ** -10, bfloat16: 2 ** -7 }[dtype as 'float32'];
  for (let i = 0; i < want.length; i++) {
    const bias = operands[3]![Math.floor(i / inner) % space[biasAt]!]!;
    const value = Math.max(want[i]! * scale + bias, 0) + operands[4]![i]!;
    const x = read(got, dtype, i);
    if (dtype === 'int32') expect(Math.abs(x - value)).toBeLessThan(1 + 1e-4);
    else if (!(Math.abs(x - value) <= relative * (4 + Math.abs(value))))
      expect.fail(`element ${i} is ${x}, not ${value}`);
  }
}

const dot = (m: number, n: number, k: number, batch = 1, transposed = false): ContractionAnchor =>
  dotAnchor(m, n, k, { batch: [batch], layouts: ['rows', transposed ? 'columns' : 'rows'] });

const conv = (
  [batch, groups, inChannels, outChannels]: readonly [number, number, number, number],
  size: number,
  kernel: number,
  pad: number,
  dilation = 1,
): ConvAnchor =>
  convAnchor({
    ...{ batch, groups, inChannels, outChannels },
    inSize: [size, size],
    kernelSize: [kernel, kernel],
    padLow: [pad, pad],
    inputDilation: [dilation, dilation],
  });

describe.each(['float32', 'bfloat16', 'float16', 'int32'] as const)('an epilogue to %s', (dtype) => {
  it('follows products', () => {
    verify(dot(17, 29, 11), [1, 17, 29], 2, dtype);
    verify(dot(70, 150, 400), [70, 150], 1, dtype);
    verify(dot(150, 130, 64, 2), [300, 130], 1, dtype);
    verify(dot(8, 20, 9000), [8, 20], 0, dtype);
    verify(dot(1, 300, 40, 1, true), [1, 300], 1, dtype);
    verify(dot(3, 50, 40, 2, true), [2, 3, 50], 1, dtype);
    verify(dot(50, 1, 40, 2), [2, 50, 1], 1, dtype);
    verify(dot(5, 7, 0), [5, 7], 1, dtype);
    verify(dot(2, 3, 40000, 1, true), [2, 3], 1, dtype);
  });

  it('follows convolutions', () => {
    for (const anchor of [
      conv([2, 1, 5, 6], 9, 3, 0),
      conv([2, 1, 5, 6], 9, 3, 1),
      conv([2, 3, 2, 3], 8, 1, 0),
      conv([2, 4, 1, 1], 21, 3, 1),
      conv([3, 2, 2, 5], 8, 7, 0),
      conv([2, 1, 3, 4], 5, 3, 1, 2),
    ]) {
      const space = [anchor.batch, anchor.groups * anchor.outChannels, product(anchor.outSize)];
      verify(anchor, space, 1, dtype);
      verify(anchor, space, 1, dtype, (a) => forwardProgram(a as typeof anchor));
      verify(anchor, space, 1, dtype, (a) => reduceProgram(a as typeof anchor));
    }
  });
});
