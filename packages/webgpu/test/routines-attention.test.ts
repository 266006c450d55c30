/** Attention on a device, in the form for hardware, against float64. */
import type { AttentionAnchor, BufferParam, DotOperand, DType } from '@tutti/core/backend';
import { type BufferContents, bufferContents, readElement, writeElement } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { attentionRoutine } from '../src/routines/attention.ts';
import { make } from './support/device.ts';
import { hardware, runProgram, software } from './support/kernels.ts';

interface Shape {
  readonly batch?: readonly number[];
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
  readonly valueWidth: number;
  readonly causal?: boolean;
  readonly mask?: 'bool' | 'float32';
  /** The dtype of the operands. */
  readonly dtype?: DType;
  /** Heads beside each other in a row, as a layer's projection leaves them. */
  readonly interleaved?: boolean;
}

const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);
/** Numbers with few digits, which every dtype holds. */
const numberAt = (i: number): number => (((i * 2654435761) >>> 16) % 65) / 16 - 2;

interface Example {
  readonly anchor: AttentionAnchor;
  readonly contents: BufferContents[];
  readonly want: Float64Array;
}

function example(shape: Shape): Example {
  const { batch = [], queries, keys, width, valueWidth, causal = false, mask, dtype = 'float32' } = shape;
  const entries = product(batch);
  const scale = 1 / Math.sqrt(width);
  const buffers: BufferParam[] = [];
  const contents: BufferContents[] = [];
  const operand = (rows: number, columns: number, type: DType, value: (i: number) => number): DotOperand => {
    const strides: number[] = [];
    const heads = shape.interleaved ? batch.at(-1)! : 1;
    let stride = rows * columns * heads;
    for (let d = batch.length - 1; d >= 0; d--) {
      const inRow = shape.interleaved && d === batch.length - 1;
      strides[d] = inRow ? columns : stride;
      if (!inRow) stride *= batch[d]!;
    }
    const length = entries * rows * columns;
    const elements = bufferContents(type, length);
    for (let i = 0; i < length; i++) writeElement(type, elements, i, value(i + contents.length * 977));
    contents.push(elements);
    buffers.push({ dtype: type, length, access: 'read' });
    return { dtype: type, offset: 0, batch: strides, row: columns * heads, column: 1 };
  };
  const query = operand(queries, width, dtype, numberAt);
  const key = operand(keys, width, dtype, numberAt);
  const value = operand(keys, valueWidth, dtype, numberAt);
  const seen = mask && operand(queries, keys, mask, mask === 'bool' ? (i) => Number(i % 3 !== 0) : numberAt);
  buffers.push({ dtype: 'float32', length: entries * queries * valueWidth, access: 'write' });
  contents.push(bufferContents('float32', entries * queries * valueWidth));
  const anchor: AttentionAnchor = {
    kind: 'attention',
    name: 'attention',
    ...{ batch, queries, keys, width, valueWidth, scale, causal, query, key, value },
    ...(seen ? { mask: seen } : {}),
    ...{ type: 'f32', buffers, scalars: [] },
  };
  return { anchor, contents, want: reference(anchor, contents) };
}

function reference(anchor: AttentionAnchor, contents: readonly BufferContents[]): Float64Array {
  const { batch, queries, keys, width, valueWidth, scale, causal } = anchor;
  const want = new Float64Array(product(batch) * queries * valueWidth);
  const at = (buffer: number, operand: DotOperand, entry: number, row: number, column: number): number => {
    let [rest, index] = [entry, operand.offset + row * operand.row + column * operand.column];
    for (let d = batch.length - 1; d >= 0; d--) {
      index += (rest % batch[d]!) * operand.batch[d]!;
      rest = Math.floor(rest / batch[d]!);
    }
    return readElement(operand.dtype, contents[buffer]!, index);
  };
  for (let entry = 0; entry < product(batch); entry++)
    for (let i = 0; i < queries; i++) {
      const scores = Array.from({ length: keys }, (_, j) => {
        const seen = anchor.mask ? at(3, anchor.mask, entry, i, j) : 0;
        if ((causal && j > i) || (anchor.mask?.dtype === 'bool' && !seen)) return -Infinity;
        let score = 0;
        for (let e = 0; e < width; e++)
          score += at(0, anchor.query, entry, i, e) * at(1, anchor.key, entry, j, e);
        return score * scale + (anchor.mask?.dtype === 'float32' ? seen : 0);
      });
      const top = Math.max(...scores);
      const powers = scores.map((score) => Math.exp(score - top));
      const total = powers.reduce((a, b) => a + b, 0);
      for (let c = 0; c < valueWidth; c++) {
        let sum = 0;
        for (let j = 0; j < keys; j++) sum += (powers[j]! / total) * at(2, anchor.value, entry, j, c);
        want[(entry * queries + i) * valueWidth + c] = sum;
      }
    }
  return want;
}

const shapes: Record<string, Shape> = {
  'one query and one key': { queries: 1, keys: 1, width: 1, valueWidth: 1 },
  'nothing fits a vector': { batch: [3], queries: 5, keys: 7, width: 3, valueWidth: 5 },
  'whole vectors, several batch axes': { batch: [2, 3], queries: 16, keys: 24, width: 8, valueWidth: 12 },
  'more queries than a workgroup has': { batch: [2], queries: 150, keys: 33, width: 16, valueWidth: 16 },
  'more keys than a tile': { queries: 9, keys: 131, width: 4, valueWidth: 4 },
  'heads beside each other': {
    batch: [2, 4],
    queries: 10,
    keys: 10,
    width: 8,
    valueWidth: 8,
    interleaved: true,
  },
  causal: { batch: [2], queries: 20, keys: 20, width: 8, valueWidth: 8, causal: true },
  'more causal queries than keys': { queries: 20, keys: 6, width: 8, valueWidth: 8, causal: true },
  'a mask of bool': { batch: [2], queries: 11, keys: 13, width: 8, valueWidth: 4, mask: 'bool' },
  'a mask to add': { batch: [2], queries: 11, keys: 13, width: 8, valueWidth: 4, mask: 'float32' },
  'a mask and causal': { queries: 12, keys: 12, width: 4, valueWidth: 4, mask: 'bool', causal: true },
  float16: { batch: [2], queries: 9, keys: 10, width: 6, valueWidth: 8, dtype: 'float16' },
  bfloat16: { batch: [2], queries: 9, keys: 10, width: 8, valueWidth: 6, dtype: 'bfloat16' },
  'wide queries': { queries: 5, keys: 6, width: 128, valueWidth: 8 },
};

describe('attention', () => {
  it.each(Object.entries(shapes))('%s', async (_name, shape) => {
    const backend = await make();
    const { anchor, contents, want } = example(shape);
    const program = attentionRoutine(anchor, hardware);
    if (!program) expect.fail('no routine');
    const results = await runProgram(backend, anchor, program, contents);
    const got = results.at(-1)!;
    for (const [i, value] of want.entries()) {
      if (Number.isNaN(value)) expect(got[i], `element ${i}`).toBeNaN();
      else expect(Math.abs(got[i]! - value), `element ${i}: ${got[i]}, not ${value}`).toBeLessThan(1e-5);
    }
  });
});

describe('attention is taken apart', () => {
  it('when a row does not fit into registers', () => {
    const { anchor } = example({ queries: 2, keys: 2, width: 129, valueWidth: 4 });
    expect(attentionRoutine(anchor, hardware)).toBeUndefined();
  });

  it('in software', () => {
    const { anchor } = example({ queries: 2, keys: 2, width: 4, valueWidth: 4 });
    expect(attentionRoutine(anchor, software)).toBeUndefined();
  });

  it('when the epilogue leaves no room for its buffers', () => {
    const { anchor } = example({ queries: 2, keys: 2, width: 4, valueWidth: 4 });
    const extra: BufferParam = { dtype: 'float32', length: 8, access: 'read' };
    const buffers = [...anchor.buffers, ...Array.from({ length: 5 }, () => extra)];
    expect(attentionRoutine({ ...anchor, buffers }, hardware)).toBeUndefined();
  });
});
