/** What routines get for operands of 16-bit floats: what is stored, and no copy of it in float32. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { DType, Program } from '../src/backend/index.ts';
import * as t from './all.ts';
import { useGraphOnlyDevice } from './autograd-support.ts';
import { scheduled } from './compiler-support.ts';

beforeAll(useGraphOnlyDevice);

const program: Program = { name: 'any', source: () => 'any' };

/** What a tensor is computed with where routines take everything, and the dtypes of the last one's buffers. */
function asked(x: t.Tensor): { readonly dtypes: DType[]; readonly kinds: string[] } {
  const kernels = scheduled([x], { routine: () => program }).map(({ lowered }) => lowered.kernel);
  return {
    dtypes: kernels.at(-1)!.buffers.map(({ dtype }) => dtype),
    kinds: kernels.map(({ kind }) => kind),
  };
}

const data = (dtype: 'float16' | 'bfloat16', ...shape: number[]): t.Tensor =>
  t.fromHost(new Uint16Array(shape.reduce((a, b) => a * b, 1)), shape, dtype);
const wide = (...shape: number[]): t.Tensor =>
  t.fromHost(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape, 'float32');

describe.each(['float16', 'bfloat16'] as const)('an operand of %s', (dtype) => {
  it('of a matrix product is the stored one, transposed or not', () => {
    const y = t.matmul(data(dtype, 6, 8), t.transpose(data(dtype, 5, 8)));
    expect(asked(y)).toEqual({ dtypes: [dtype, dtype, dtype], kinds: ['dot'] });
  });

  it('may stand beside one of float32', () => {
    const y = t.matmul(data(dtype, 6, 8), wide(8, 5));
    expect(asked(y)).toEqual({ dtypes: [dtype, 'float32', 'float32'], kinds: ['dot'] });
  });

  it('of a convolution is the stored one', () => {
    const y = t.conv2d(data(dtype, 2, 3, 9, 9), data(dtype, 4, 3, 3, 3));
    expect(asked(y)).toEqual({ dtypes: [dtype, dtype, dtype], kinds: ['conv'] });
  });

  it('of attention is the stored one', () => {
    const q = data(dtype, 6, 8);
    const y = t.scaledDotProductAttention(q, q, q, { mask: data(dtype, 6, 6) });
    const anchor = asked(y);
    expect(anchor.kinds).toEqual(['attention']);
    expect(anchor.dtypes).toEqual([dtype, dtype, dtype, dtype, dtype]);
  });

  it('that has to be computed is stored in 16 bits', () => {
    const y = t.matmul(t.exp(data(dtype, 6, 8)), data(dtype, 8, 5));
    const { dtypes, kinds } = asked(y);
    expect(kinds).toEqual(['kernel', 'dot']);
    expect(dtypes).toEqual([dtype, dtype, dtype]);
  });

  it('is widened where strides cannot say where its elements are', () => {
    const y = t.matmul(t.flip(data(dtype, 6, 8), 1), data(dtype, 8, 5));
    expect(asked(y).dtypes).toEqual(['float32', dtype, dtype]);
  });
});
