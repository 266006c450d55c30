import { beforeAll, describe, expect, it } from 'vitest';
import {
  add,
  type DType,
  DTypeError,
  div,
  dtypes,
  mul,
  type Operand,
  ones,
  pow,
  sub,
  type Tensor,
  where,
  zeros,
} from './all.ts';
import { useGraphOnlyDevice } from './autograd-support.ts';

beforeAll(useGraphOnlyDevice);

const of = (dtype: DType): Tensor => zeros([2], { dtype });

describe('two tensors meet in a common dtype', () => {
  const table: [DType, DType, DType][] = [
    ['bool', 'uint8', 'uint8'],
    ['bool', 'int32', 'int32'],
    ['bool', 'float16', 'float16'],
    ['uint8', 'int32', 'int32'],
    ['uint8', 'uint32', 'uint32'],
    ['int32', 'float32', 'float32'],
    ['int32', 'bfloat16', 'bfloat16'],
    ['float16', 'float32', 'float32'],
    ['float16', 'bfloat16', 'float32'],
  ];
  it.each(table)('%s + %s is %s, either way round', (a, b, expected) => {
    expect(add(of(a), of(b)).dtype).toBe(expected);
    expect(add(of(b), of(a)).dtype).toBe(expected);
    expect(where(of('bool'), of(a), of(b)).dtype).toBe(expected);
  });

  it.each(dtypes)('%s with itself stays', (dtype) => {
    expect(add(of(dtype), of(dtype)).dtype).toBe(dtype);
  });

  it('int32 with uint32 is an error', () => {
    expect(() => mul(of('int32'), of('uint32'))).toThrow(DTypeError);
  });
});

describe('numbers and booleans are weakly typed', () => {
  const table: [DType, Operand, DType][] = [
    ['float32', 2, 'float32'],
    ['float16', 2.5, 'float16'],
    ['bfloat16', Number.NaN, 'bfloat16'],
    ['int32', 2, 'int32'],
    ['int32', 2.5, 'float32'],
    ['int32', Number.POSITIVE_INFINITY, 'float32'],
    ['uint8', 3, 'uint8'],
    ['uint8', true, 'uint8'],
    ['bool', true, 'bool'],
    ['bool', 2, 'int32'],
    ['bool', 0.5, 'float32'],
  ];
  it.each(table)('%s + %s is %s', (dtype, value, expected) => {
    expect(add(of(dtype), value).dtype).toBe(expected);
    expect(add(value, of(dtype)).dtype).toBe(expected);
  });

  it('a number that an integer dtype cannot hold is an error', () => {
    expect(() => add(of('uint8'), 300)).toThrow(/300 does not fit uint8/);
    expect(() => add(of('uint32'), -1)).toThrow(/-1 does not fit uint32/);
  });

  it('alone they are float32, or bool', () => {
    expect(where(of('bool'), 1, 0).dtype).toBe('float32');
    expect(where(of('bool'), true, false).dtype).toBe('bool');
  });
});

describe('dtypes of results', () => {
  it('true division of integers and bool gives float32', () => {
    for (const dtype of ['int32', 'uint32', 'uint8', 'bool'] as const)
      expect(div(of(dtype), of(dtype)).dtype).toBe('float32');
    expect(div(of('float16'), 2).dtype).toBe('float16');
  });

  it('functions of floats make float32 of integers and keep 16-bit floats', () => {
    for (const name of ['exp', 'sqrt', 'sigmoid', 'gelu', 'tanh', 'logSigmoid', 'log2'] as const) {
      expect(of('int32')[name]().dtype).toBe('float32');
      expect(of('bool')[name]().dtype).toBe('float32');
      expect(of('float16')[name]().dtype).toBe('float16');
    }
  });

  it('comparisons are bool for every dtype', () => {
    for (const dtype of dtypes) expect(of(dtype).lt(of(dtype)).dtype).toBe('bool');
  });

  it('sums of bool and uint8 are int32, means of integers float32', () => {
    expect(of('bool').sum().dtype).toBe('int32');
    expect(of('uint8').prod().dtype).toBe('int32');
    expect(of('uint32').sum().dtype).toBe('uint32');
    expect(of('float16').sum().dtype).toBe('float16');
    expect(of('int32').mean().dtype).toBe('float32');
    expect(of('bfloat16').mean().dtype).toBe('bfloat16');
    expect(of('float16').argMax(0).dtype).toBe('int32');
    expect(of('float16').max().dtype).toBe('float16');
  });

  it('products of small integers are int32', () => {
    const matrix = (dtype: DType): Tensor => ones([2, 2], { dtype });
    expect(matrix('uint8').matmul(matrix('bool')).dtype).toBe('int32');
    expect(matrix('float16').matmul(matrix('float16')).dtype).toBe('float16');
  });

  it('what bool has no arithmetic for says what to use', () => {
    expect(() => sub(of('bool'), of('bool'))).toThrow(/logicalXor/);
    expect(() => of('bool').neg()).toThrow(/logicalNot/);
    expect(() => pow(of('bool'), of('bool'))).toThrow(DTypeError);
  });
});
