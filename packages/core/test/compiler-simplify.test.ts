/** Rules of simplification: each takes work away and changes no bit of a result. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Op, topological } from '../src/compiler/op.ts';
import { uniformValue } from '../src/compiler/simplify.ts';
import type { BinaryPrimitive, UnaryPrimitive } from '../src/ops/primitives.ts';
import { apply, configure, constant, fromHost, type Tensor } from './all.ts';
import { simplified } from './compiler-support.ts';
import { texts, useInterpreter } from './ops-support.ts';

beforeAll(async () => {
  configure({ verify: true });
  await useInterpreter();
});

const special = [
  0,
  -0,
  1,
  -1,
  0.1,
  -2.5,
  3e38,
  -3e38,
  1e-45,
  -1e-40,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  7,
  16777217,
];
const values = (): Tensor => fromHost(Float32Array.from(special), [special.length], 'float32');
const integers = (): Tensor => fromHost(Int32Array.of(0, 1, -1, 2 ** 31 - 1, -(2 ** 31)), [5], 'int32');
const spread = (value: number, like: Tensor): Tensor =>
  apply('expand', [apply('reshape', [constant(value, like.dtype)], { shape: [1] })], { shape: like.shape });
const binary = (op: BinaryPrimitive, a: Tensor, b: Tensor): Tensor => apply(op, [a, b], {});
const unary = (op: UnaryPrimitive, x: Tensor): Tensor => apply(op, [x], {});

/** What the device computes when the constant is data that nothing is known about. */
const data = (value: number, like: Tensor): Tensor =>
  fromHost(
    (like.dtype === 'float32' ? new Float32Array(like.size) : new Int32Array(like.size)).fill(value),
    like.shape,
    like.dtype,
  );

const count = (op: Op, name: string): number => topological([op]).filter((one) => one.op === name).length;

describe('arithmetic with constants', () => {
  const constants = [0, -0, 1, -1, 2, 3, 0.5, Number.NaN, Number.POSITIVE_INFINITY];
  for (const op of ['add', 'sub', 'mul', 'div', 'pow'] as const) {
    for (const value of constants) {
      it(`x ${op} ${Object.is(value, -0) ? '-0' : value} is exact`, async () => {
        const x = values();
        const exact = op !== 'pow' || ![2, 3].includes(value);
        const expected = await texts(binary(op, x, data(value, x)));
        const actual = await texts(binary(op, x, spread(value, x)));
        if (exact) expect(actual).toEqual(expected);
        // A square by one rounding, a cube by two: as near as pow is.
        else
          for (const [i, text] of actual.entries())
            if (text !== expected[i]) expect(Number(text) / Number(expected[i])).toBeCloseTo(1, 6);
        if (op === 'pow') return;
        const [left, right] = [
          await texts(binary(op, spread(value, x), x)),
          await texts(binary(op, data(value, x), x)),
        ];
        expect(left).toEqual(right);
      });
    }
  }

  it('goes where it changes nothing', () => {
    const x = values();
    const input = simplified(x);
    const gone: Tensor[] = [
      binary('mul', x, spread(1, x)),
      binary('mul', spread(1, x), x),
      binary('div', x, spread(1, x)),
      binary('sub', x, spread(0, x)),
      binary('add', x, spread(-0, x)),
      binary('add', spread(-0, x), x),
      binary('pow', x, spread(1, x)),
      unary('neg', unary('neg', x)),
      apply('cast', [x], { dtype: 'float32' }),
      apply('detach', [x], {}),
      apply('alias', [x], {}),
    ];
    for (const y of gone) expect(simplified(y).op).toBe(input.op);
    const [stays, left] = [binary('add', x, spread(0, x)), binary('sub', x, spread(-0, x))];
    expect([simplified(stays).op, simplified(left).op]).toEqual(['add', 'sub']); // -0 + 0 is 0
  });

  it('is exact for integers, and takes zeros away', async () => {
    const x = integers();
    for (const [op, value] of [
      ['add', 0],
      ['sub', 0],
      ['mul', 1],
    ] as const) {
      expect(await texts(binary(op, integers(), spread(value, x)))).toEqual(await texts(integers()));
      expect(simplified(binary(op, integers(), spread(value, x))).op).toBe('input');
    }
    expect(await texts(unary('neg', unary('neg', integers())))).toEqual(await texts(integers()));
  });

  it('folds what IEEE defines, with operands as the device holds them', async () => {
    const x = values();
    for (const a of [0.1, -0.2, 3e38, 1e-30, Number.NaN, -0]) {
      for (const op of ['add', 'sub', 'mul', 'div'] as const) {
        const folded = binary(op, spread(a, x), spread(0.7, x));
        expect(uniformValue(simplified(folded))).not.toBeUndefined();
        expect(await texts(folded)).toEqual(await texts(binary(op, data(a, x), data(0.7, x))));
      }
      for (const op of ['neg', 'abs', 'sqrt', 'floor', 'ceil'] as const) {
        expect(await texts(unary(op, spread(a, x)))).toEqual(await texts(unary(op, data(a, x))));
      }
    }
    expect(uniformValue(simplified(unary('exp', spread(1, x))))).toBeUndefined();
  });

  it('chooses a branch that is known', () => {
    const x = values();
    const where = (condition: number): Tensor =>
      apply('where', [apply('cast', [spread(condition, x)], { dtype: 'bool' }), x, spread(5, x)], {});
    expect(simplified(where(1)).op).toBe('where'); // a cast is not folded
    const known = (value: number): Tensor =>
      apply(
        'where',
        [
          apply('expand', [apply('reshape', [constant(value, 'bool')], { shape: [1] })], { shape: x.shape }),
          x,
          spread(5, x),
        ],
        {},
      );
    expect(simplified(known(1)).op).toBe('input');
    expect(uniformValue(simplified(known(0)))).toBe(5);
  });
});

describe('equal subexpressions', () => {
  it('are computed once', () => {
    const x = values();
    const twice = binary('mul', unary('exp', x), unary('exp', x));
    expect(count(simplified(twice), 'exp')).toBe(1);
  });

  it('stay apart behind barriers', () => {
    const x = values();
    const barrier = (id: number): Tensor => unary('exp', apply('barrier', [x, x], { id }));
    expect(count(simplified(binary('mul', barrier(0), barrier(1))), 'exp')).toBe(2);
    expect(count(simplified(binary('mul', barrier(0), barrier(0))), 'exp')).toBe(1);
  });
});

describe('movement', () => {
  const matrix = (): Tensor =>
    fromHost(
      Float32Array.from({ length: 12 }, (_, i) => i),
      [3, 4],
      'float32',
    );
  const reshape = (x: Tensor, shape: number[]): Tensor => apply('reshape', [x], { shape });
  const permute = (x: Tensor, axes: number[]): Tensor => apply('permute', [x], { axes });

  it('composes', () => {
    expect(simplified(reshape(reshape(matrix(), [2, 6]), [3, 4])).op).toBe('input');
    expect(simplified(permute(permute(matrix(), [1, 0]), [1, 0])).op).toBe('input');
    expect(count(simplified(reshape(reshape(matrix(), [2, 6]), [12])), 'reshape')).toBe(1);
    const grown = apply(
      'expand',
      [apply('expand', [reshape(matrix(), [1, 1, 3, 4])], { shape: [2, 1, 3, 4] })],
      { shape: [2, 5, 3, 4] },
    );
    expect(count(simplified(grown), 'expand')).toBe(1);
  });

  it('of axes of extent 1 is a reshape', () => {
    expect(simplified(permute(reshape(matrix(), [3, 1, 4]), [1, 0, 2])).op).toBe('reshape');
    expect(simplified(permute(reshape(matrix(), [3, 1, 4]), [2, 1, 0])).op).toBe('permute');
  });

  it('that moves nothing goes', () => {
    const x = matrix();
    const none = { low: [0, 0], high: [0, 0], interior: [0, 0], value: 1 };
    const gone: Tensor[] = [
      apply('expand', [x], { shape: [3, 4] }),
      apply('slice', [x], { start: [0, 0], size: [3, 4], step: [1, 1] }),
      apply('pad', [x], none),
      apply('flip', [x], { axes: [] }),
      permute(x, [0, 1]),
      reshape(x, [3, 4]),
    ];
    for (const y of gone) expect(simplified(y).op).toBe('input');
    expect(simplified(apply('flip', [reshape(x, [12, 1])], { axes: [1] })).op).toBe('reshape');
  });
});

describe('reductions', () => {
  const cube = (): Tensor =>
    fromHost(
      Float32Array.from({ length: 6 }, (_, i) => i),
      [2, 1, 3],
      'float32',
    );

  it('over extents of 1 go', async () => {
    for (const op of ['reduceSum', 'reduceProd', 'reduceMax', 'reduceMin'] as const) {
      expect(simplified(apply(op, [cube()], { axes: [1] })).op).toBe('input');
      expect(
        (simplified(apply(op, [cube()], { axes: [0, 1] })).attributes as { axes: number[] }).axes,
      ).toEqual([0]);
      expect(await texts(apply(op, [cube()], { axes: [1] }))).toEqual(await texts(cube()));
    }
    expect(uniformValue(simplified(apply('argMax', [cube()], { axis: 1 })))).toBe(0);
  });

  it('of nothing are what they start from', () => {
    const nothing = fromHost(new Float32Array(0), [2, 0], 'float32');
    expect(uniformValue(simplified(apply('reduceSum', [nothing], { axes: [1] })))).toBe(0);
    expect(uniformValue(simplified(apply('reduceProd', [nothing], { axes: [1] })))).toBe(1);
    expect(
      uniformValue(simplified(apply('dot', [nothing, fromHost(new Float32Array(0), [0, 3], 'float32')], {}))),
    ).toBe(0);
  });

  it('and whatever makes no elements needs no work', () => {
    const x = fromHost(new Float32Array(3), [3, 1], 'float32');
    const none = apply('slice', [unary('exp', x)], { start: [0, 0], size: [0, 1], step: [1, 1] });
    expect(count(simplified(unary('sin', none)), 'exp')).toBe(0);
    const index = fromHost(new Int32Array(0), [0, 1], 'int32');
    expect(simplified(apply('scatter', [x, index, none], { axis: 0, mode: 'add' })).op).toBe('input');
  });
});
