import { type Shape, type Tensor, vjp } from '@tutti/core';
import { apply, constant, type Primitive, primitives } from '@tutti/core/graph';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkDerivatives, f32, gradients, i32, mul, random, sum, values } from './autograd-check.ts';
import { useGraphOnlyDevice } from './device.ts';

beforeAll(useGraphOnlyDevice);

interface GradientCase {
  readonly name: string;
  /** Shape, and the range of values, of each operand that gets a gradient. */
  readonly operands: readonly (readonly [shape: Shape, low?: number, high?: number])[];
  readonly build: (...xs: Tensor[]) => Tensor;
}

const of = (
  name: string,
  operands: GradientCase['operands'],
  build: GradientCase['build'],
): GradientCase => ({ name, operands, build });

const unary = (
  op: 'neg' | 'abs' | 'sqrt' | 'rsqrt' | 'exp' | 'log' | 'log1p' | 'expm1' | 'sin' | 'cos' | 'tanh' | 'erf',
  low = -2,
  high = 2,
) => [
  of('elementwise', [[[2, 3], low, high]], (x) => apply(op, [x], {})),
  of('scalar', [[[], low, high]], (x) => apply(op, [x], {})),
];
const binary = (
  op: 'add' | 'sub' | 'mul' | 'div' | 'rem' | 'pow' | 'maximum' | 'minimum',
  a = [-2, 2],
  b = [-2, 2],
) => [
  of(
    'elementwise',
    [
      [[2, 3], a[0]!, a[1]!],
      [[2, 3], b[0]!, b[1]!],
    ],
    (x, y) => apply(op, [x, y], {}),
  ),
  of('both operands the same', [[[4], b[0]!, b[1]!]], (x) => apply(op, [x, x], {})),
];

const pad = (shape: Shape, low: number[], high: number[], interior: number[], value = 0) =>
  of(`${shape} low ${low} high ${high} interior ${interior}`, [[shape]], (x) =>
    apply('pad', [x], { low, high, interior, value }),
  );
const slice = (shape: Shape, start: number[], size: number[], step: number[]) =>
  of(`${shape} start ${start} size ${size} step ${step}`, [[shape]], (x) =>
    apply('slice', [x], { start, size, step }),
  );
const unfold = (shape: Shape, axis: number, size: number, step: number, dilation: number) =>
  of(`${shape} axis ${axis} size ${size} step ${step} dilation ${dilation}`, [[shape]], (x) =>
    apply('unfold', [x], { axis, size, step, dilation }),
  );
const reduce = (op: 'reduceSum' | 'reduceProd' | 'reduceMax' | 'reduceMin', shape: Shape, axes: number[]) =>
  of(`${shape} over ${axes}`, [[shape, -2, 2]], (x) => apply(op, [x], { axes }));
const reductions = (op: 'reduceSum' | 'reduceProd' | 'reduceMax' | 'reduceMin') => [
  reduce(op, [5], [0]),
  reduce(op, [3, 4], [0]),
  reduce(op, [2, 3, 4], [0, 2]),
  reduce(op, [2, 3], [0, 1]),
  reduce(op, [2, 1, 2], [1]),
  reduce(op, [7, 1], [0, 1]),
  reduce(op, [3], []),
];

const index = () => i32([2, 0, 2, 1, 1, 9], [3, 2]); // a duplicate in each column, one index out of range
const gatherCase = of('duplicates and an index out of range', [[[4, 2]]], (x) =>
  apply('gather', [x, index()], { axis: 0 }),
);
const scatterCase = (mode: 'set' | 'add' | 'max') =>
  of(mode, [[[4, 2]], [[3, 2]]], (base, updates) =>
    apply('scatter', [base, index(), updates], { axis: 0, mode }),
  );

const plainAttention = { scale: 0.5, causal: false };
const attentionShapes: GradientCase['operands'] = [[[3, 2]], [[4, 2]], [[4, 3]], [[3, 3]]];
const sixBySix = {
  stride: [2, 1],
  padLow: [1, 0],
  padHigh: [0, 2],
  inputDilation: [1, 2],
  kernelDilation: [1, 2],
  groups: 2,
};
const condition = () => apply('lt', [f32([1, 4, 2, 5]), f32([3, 3, 3, 3])], {});

/** What is known of the derivative of each primitive: cases, or that it has none, or that it is zero. */
const table: Readonly<Record<Primitive, readonly GradientCase[] | 'none' | 'zero'>> = {
  data: 'none',
  const: 'none',
  iota: 'none',
  randomBits: 'none',
  neg: unary('neg'),
  abs: unary('abs'),
  sign: 'zero',
  floor: 'zero',
  ceil: 'zero',
  trunc: 'zero',
  round: 'zero',
  sqrt: unary('sqrt', 0.5, 2),
  rsqrt: unary('rsqrt', 0.5, 2),
  exp: unary('exp'),
  log: unary('log', 0.5, 2),
  log1p: unary('log1p', -0.5, 2),
  expm1: unary('expm1'),
  sin: unary('sin'),
  cos: unary('cos'),
  tanh: unary('tanh'),
  erf: unary('erf'),
  not: 'none',
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  div: binary('div', [-2, 2], [0.5, 2]),
  idiv: 'none',
  rem: [
    of(
      'elementwise',
      [
        [[6], -5, 5],
        [[6], 0.5, 1.5],
      ],
      (a, b) => apply('rem', [a, b], {}),
    ),
  ],
  pow: [
    ...binary('pow', [0.5, 2], [0.5, 2]),
    ...[-1, 0, 1, 2, 3, 0.5].map((e) =>
      of(`exponent ${e}`, [[[3], 0.5, 2]], (x) => apply('pow', [x, f32([e, e, e])], {})),
    ),
    ...[-1, 0, 1, 2, 3, 0.5].map((e) =>
      of(`constant exponent ${e}`, [[[], 0.5, 2]], (x) => apply('pow', [x, constant(e, 'float32')], {})),
    ),
    of('negative base', [[[3], -2, -0.5]], (x) => apply('pow', [x, f32([-2, 3, 2])], {})),
  ],
  maximum: [of('elementwise', [[[2, 3]], [[2, 3]]], (a, b) => apply('maximum', [a, b], {}))],
  minimum: [of('elementwise', [[[2, 3]], [[2, 3]]], (a, b) => apply('minimum', [a, b], {}))],
  and: 'none',
  or: 'none',
  xor: 'none',
  shl: 'none',
  shr: 'none',
  lt: 'none',
  le: 'none',
  eq: 'none',
  ne: 'none',
  where: [
    of('both branches', [[[4]], [[4]]], (a, b) => apply('where', [condition(), a, b], {})),
    of('after nonlinear branches', [[[4]]], (x) =>
      apply('where', [condition(), apply('exp', [x], {}), apply('sin', [x], {})], {}),
    ),
  ],
  cast: [of('to its own dtype', [[[3]]], (x) => apply('cast', [x], { dtype: 'float32' }))],
  bitcast: 'none',
  reshape: [of('[2, 3] to [3, 2]', [[[2, 3]]], (x) => apply('reshape', [x], { shape: [3, 2] }))],
  permute: [of('three axes', [[[2, 3, 4]]], (x) => apply('permute', [x], { axes: [2, 0, 1] }))],
  expand: [
    of('one axis', [[[3, 1]]], (x) => apply('expand', [x], { shape: [3, 4] })),
    of('two axes', [[[1, 2, 1]]], (x) => apply('expand', [x], { shape: [3, 2, 4] })),
    of('none', [[[3]]], (x) => apply('expand', [x], { shape: [3] })),
  ],
  pad: [
    pad([4], [1], [2], [0], 5),
    pad([4], [-1], [-2], [0]),
    pad([3, 2], [2, -1], [-1, 3], [1, 0]),
    pad([4], [-3], [-2], [2]),
    pad([2], [-3], [4], [0], 1),
    pad([3], [0], [0], [2]),
    pad([1], [2], [0], [4]),
  ],
  slice: [
    slice([6], [1], [3], [2]),
    slice([4, 5], [0, 2], [2, 3], [3, 1]),
    slice([6], [0], [6], [1]),
    slice([5], [4], [1], [3]),
    slice([5], [1], [2], [3]),
  ],
  flip: [of('two axes', [[[2, 3, 2]]], (x) => apply('flip', [x], { axes: [0, 1] }))],
  unfold: [
    unfold([7], 0, 3, 1, 1),
    unfold([8], 0, 3, 2, 1),
    unfold([8], 0, 2, 2, 1),
    unfold([9], 0, 2, 3, 1),
    unfold([9], 0, 1, 4, 3),
    unfold([9], 0, 3, 2, 2),
    unfold([9], 0, 2, 4, 3),
    unfold([2, 6, 3], 1, 3, 1, 1),
    unfold([2, 6, 3], 1, 2, 2, 1),
    unfold([3, 5], 0, 3, 1, 1),
    unfold([40], 0, 17, 3, 1),
    unfold([2, 45, 2], 1, 18, 4, 2),
    unfold([20], 0, 20, 1, 1),
  ],
  reduceSum: reductions('reduceSum'),
  reduceProd: [
    ...reductions('reduceProd'),
    reduce('reduceProd', [9], [0]),
    reduce('reduceProd', [2, 3, 2], [2, 0]),
  ],
  reduceMax: reductions('reduceMax'),
  reduceMin: reductions('reduceMin'),
  argMax: 'none',
  argMin: 'none',
  gather: [gatherCase],
  scatter: [scatterCase('set'), scatterCase('add'), scatterCase('max')],
  dot: [
    of('matrices', [[[3, 4]], [[4, 2]]], (a, b) => apply('dot', [a, b], {})),
    of('batched', [[[2, 1, 3, 2]], [[2, 1, 2, 4]]], (a, b) => apply('dot', [a, b], {})),
    of('with itself', [[[3, 3]]], (a) => apply('dot', [a, a], {})),
  ],
  conv: [
    of('grouped, strided, dilated', [[[2, 4, 5, 3]], [[4, 2, 2, 2]]], (x, w) =>
      apply('conv', [x, w], sixBySix),
    ),
  ],
  attention: [
    of('itself', [[[3, 2]], [[4, 2]], [[4, 3]]], (q, k, v) => apply('attention', [q, k, v], plainAttention)),
    of('batched and causal', [[[2, 3, 2]], [[2, 3, 2]], [[2, 3, 1]]], (q, k, v) =>
      apply('attention', [q, k, v], { scale: 0.7, causal: true }),
    ),
    of('with a mask to add', [[[3, 2]], [[4, 2]], [[4, 3]], [[3, 4]]], (q, k, v, mask) =>
      apply('attention', [q, k, v, mask], plainAttention),
    ),
  ],
  attentionGradient: [
    ...(['query', 'key', 'value'] as const).map((name) =>
      of(`with respect to the ${name}`, attentionShapes, (q, k, v, g) =>
        apply('attentionGradient', [q, k, v, g], { ...plainAttention, of: [name] }),
      ),
    ),
    of('batched and causal', [[[2, 3, 2]], [[2, 3, 2]], [[2, 3, 1]], [[2, 3, 1]]], (q, k, v, g) =>
      apply('attentionGradient', [q, k, v, g], { scale: 0.7, causal: true, of: ['key'] }),
    ),
    ...(['query', 'mask'] as const).map((name) =>
      of(`with respect to the ${name}, with a mask to add`, [...attentionShapes, [[3, 4]]], (...operands) =>
        apply('attentionGradient', operands, { ...plainAttention, of: [name] }),
      ),
    ),
  ],
  detach: 'none',
  alias: [of('identity', [[[3]]], (x) => apply('alias', [x], {}))],
  barrier: [of('identity', [[[3]]], (x) => apply('barrier', [x, f32([1])], { id: 0 }))],
  custom: 'none', // its rule is the user's
};

describe('derivatives of every primitive, first and second, against differences', () => {
  for (const [op, cases] of Object.entries(table)) {
    if (typeof cases === 'string') continue;
    for (const { name, operands, build } of cases) {
      it(`${op}: ${name}`, () => {
        checkDerivatives(
          build,
          operands.map(([shape, low, high], i) => random(i + 3, shape, low, high)),
        );
      });
    }
  }

  it('a primitive of piecewise constant value has a gradient of zeros', () => {
    const zeros = Object.entries(table)
      .filter(([, cases]) => cases === 'zero')
      .map(([op]) => op as 'floor');
    expect(zeros.length).toBeGreaterThan(0);
    for (const op of zeros)
      expect(values(gradients((x) => sum(apply(op, [x], {})), [f32([0.3, -1.7])])[0]!)).toEqual([0, 0]);
  });

  it('names every primitive', () => {
    expect(Object.keys(table).sort()).toEqual(Object.keys(primitives).sort());
  });
});

const gradientOf = (build: (...xs: Tensor[]) => Tensor, ...xs: Tensor[]): number[][] =>
  gradients((...list) => sum(build(...list)), xs).map(values);

describe('conventions where a derivative does not exist', () => {
  it('abs at 0 is 0', () => {
    expect(gradientOf((x) => apply('abs', [x], {}), f32([-2, 0, 3]))).toEqual([[-1, 0, 1]]);
  });

  it('sqrt at 0 is infinite', () => {
    expect(gradientOf((x) => apply('sqrt', [x], {}), f32([0, 4]))).toEqual([[Infinity, 0.25]]);
  });

  it.each(['maximum', 'minimum'] as const)('%s shares ties', (op) => {
    const [a, b] = gradientOf((x, y) => apply(op, [x, y], {}), f32([1, 2, 5]), f32([1, 3, 4]));
    const won = op === 'maximum' ? 1 : 0;
    expect(a).toEqual([0.5, 1 - won, won]);
    expect(b).toEqual([0.5, won, 1 - won]);
  });

  it('reduceMax shares ties', () => {
    const x = f32([3, 1, 3, 3, 2, 2], [2, 3]);
    expect(gradientOf((t) => apply('reduceMax', [t], { axes: [1] }), x)).toEqual([[0.5, 0, 0.5, 1, 0, 0]]);
  });

  it('reduceProd is exact with zeros, and so is its second derivative', () => {
    const product = (x: Tensor) => sum(apply('reduceProd', [x], { axes: [0] }));
    expect(gradientOf(product, f32([2, 0, 3, 5]))).toEqual([[0, 30, 0, 0]]);
    expect(gradientOf(product, f32([2, 0, 0, 5]))).toEqual([[0, 0, 0, 0]]);
    const secondOfFirst = (x: Tensor) =>
      apply('slice', [gradients(product, [x])[0]!], { start: [1], size: [1], step: [1] });
    expect(gradientOf(secondOfFirst, f32([2, 0, 0, 5]))).toEqual([[0, 0, 10, 0]]);
  });

  it('pow at 0: the base has the gradient of the power, the exponent 0', () => {
    const [base, exponent] = gradientOf(
      (x, e) => apply('pow', [x, e], {}),
      f32([0, 0, 0, 0, 3]),
      f32([0, 1, 2, 0.5, 0]),
    );
    expect(base).toEqual([0, 1, 0, Infinity, 0]);
    expect(exponent).toEqual([0, 0, 0, 0, Math.log(3)]);
  });

  it('pow of a constant exponent 0 has gradient 0 everywhere', () => {
    const nothing = () =>
      apply('expand', [apply('reshape', [constant(0, 'float32')], { shape: [1] })], { shape: [3] });
    expect(gradientOf((x) => apply('pow', [x, nothing()], {}), f32([0, -2, 5]))).toEqual([[0, 0, 0]]);
  });

  it('pow of a negative base has no gradient to the exponent', () => {
    expect(gradientOf((x, e) => apply('pow', [x, e], {}), f32([-2]), f32([3]))).toEqual([[12], [Number.NaN]]);
  });

  it('where lets no infinity of the other branch through', () => {
    const safe = (x: Tensor) => {
      const positive = apply('lt', [f32([0, 0]), x], {});
      return apply(
        'where',
        [positive, apply('log', [apply('where', [positive, x, f32([1, 1])], {})], {}), f32([0, 0])],
        {},
      );
    };
    expect(gradientOf(safe, f32([0, 2]))).toEqual([[0, 0.5]]);
    const loud = (a: Tensor, b: Tensor) =>
      mul(apply('where', [apply('lt', [f32([0, 1]), f32([1, 0])], {}), a, b], {}), f32([Infinity, 1]));
    expect(gradientOf(loud, f32([1, 2]), f32([3, 4]))).toEqual([
      [Infinity, 0],
      [0, 1],
    ]);
  });

  it('scatter set: the last of several updates of one place gets the gradient, what it covers none', () => {
    const put = (base: Tensor, updates: Tensor) =>
      apply('scatter', [base, i32([1, 1, 5, -1]), updates], { axis: 0, mode: 'set' });
    expect(gradientOf(put, f32([1, 2, 3]), f32([4, 5, 6, 7]))).toEqual([
      [1, 0, 1],
      [0, 1, 0, 0],
    ]);
  });

  it('scatter max: all that equal the maximum share', () => {
    const put = (base: Tensor, updates: Tensor) =>
      apply('scatter', [base, i32([1, 1, 0]), updates], { axis: 0, mode: 'max' });
    expect(gradientOf(put, f32([1, 4, 3]), f32([4, 4, 0]))).toEqual([
      [1, 1 / 3, 1],
      [1 / 3, 1 / 3, 0],
    ]);
  });

  it('16-bit floats: rounding counts as the identity, the gradient has the dtype of the argument', () => {
    const half = (x: Tensor) => {
      const stored = apply('expand', [apply('cast', [x], { dtype: 'float16' })], { shape: [4] });
      return apply('mul', [apply('cast', [stored], { dtype: 'float32' }), f32([1, 2, 3, 4])], {});
    };
    expect(gradientOf(half, f32([0.1]))).toEqual([[10]]);
    const stored = apply('cast', [f32([2, 3])], { dtype: 'bfloat16' });
    const [, pull] = vjp((x: Tensor) => apply('cast', [x], { dtype: 'float32' }), stored);
    const [g] = pull(f32([1, 2]));
    expect(g.dtype).toBe('bfloat16');
    expect(values(g)).toEqual([1, 2]);
  });

  it('rem: the quotient is constant', () => {
    expect(gradientOf((a, b) => apply('rem', [a, b], {}), f32([7, -7, 1]), f32([2, 2, 4]))).toEqual([
      [1, 1, 1],
      [-3, 3, -0],
    ]);
  });
});

describe('empty tensors', () => {
  it('have empty gradients, and leave zeros elsewhere', () => {
    expect(gradientOf((x) => apply('exp', [x], {}), f32([], [0, 3]))).toEqual([[]]);
    expect(
      gradientOf((x) => apply('slice', [x], { start: [1], size: [0], step: [2] }), f32([1, 2, 3])),
    ).toEqual([[0, 0, 0]]);
    expect(
      gradientOf((x) => apply('pad', [x], { low: [1], high: [1], interior: [2], value: 0 }), f32([], [0])),
    ).toEqual([[]]);
    expect(
      gradientOf((x) => apply('unfold', [x], { axis: 0, size: 4, step: 1, dilation: 1 }), f32([1, 2, 3])),
    ).toEqual([[0, 0, 0]]);
    expect(gradientOf((x) => apply('reduceProd', [x], { axes: [0] }), f32([], [0, 2]))).toEqual([[]]);
    expect(gradientOf((a, b) => apply('dot', [a, b], {}), f32([], [2, 0]), f32([], [0, 3]))).toEqual([
      [],
      [],
    ]);
    expect(gradientOf((x) => apply('expand', [x], { shape: [0] }), f32([1]))).toEqual([[0]]);
  });
});
