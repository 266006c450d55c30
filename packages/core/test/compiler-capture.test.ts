/** Which graphs share a plan. */
import { beforeAll, describe, expect, it } from 'vitest';
import { IndexError } from '../src/backend/index.ts';
import { attributeKey } from '../src/compiler/op.ts';
import { sourcesOf } from '../src/compiler/reach.ts';
import { add, apply, checkData, constant, mul, relu, type Tensor, tensor } from './all.ts';
import { f32, parameter, useGraphOnlyDevice } from './autograd-support.ts';
import { type CaptureForm, capture } from './compiler-support.ts';

beforeAll(useGraphOnlyDevice);

const key = (x: Tensor | Tensor[], form?: CaptureForm): string => capture([x].flat(), form).key;
const pad = (x: Tensor, value: number): Tensor =>
  apply('pad', [x], { low: [1], high: [0], interior: [0], value });

describe('a captured graph', () => {
  it('has the same key as another of the same structure', () => {
    const make = () => relu(add(mul(f32([3, 4]), f32([3, 4])), 0.25));
    expect(key(make())).toBe(key(make()));
  });

  it('has another key for other shapes, dtypes, operations, attributes, wiring and outputs', () => {
    const [a, b] = [f32([3]), f32([3])];
    const ab = mul(a, b);
    const variants: (Tensor | Tensor[])[] = [
      ab,
      mul(f32([4]), f32([4])),
      mul(tensor([1, 2, 3], { dtype: 'int32' }), tensor([1, 2, 3], { dtype: 'int32' })),
      add(a, b),
      mul(a, a),
      [ab, a],
      [a, ab],
      [ab, add(a, b)],
      pad(a, 0),
      pad(a, 1),
      pad(a, -0),
      pad(a, Number.NaN),
      pad(a, Number.POSITIVE_INFINITY),
      pad(a, Number.NEGATIVE_INFINITY),
      mul(a, 2),
      mul(a, 3),
      mul(a, 0.3),
    ];
    expect(new Set(variants.map((x) => key(x))).size).toBe(variants.length);
  });

  it('tells operand order apart', () => {
    const [a, b] = [f32([3]), f32([3])];
    const sub = (x: Tensor, y: Tensor): Tensor => apply('sub', [x, y], {});
    expect(key([add(a, b), sub(a, b)])).not.toBe(key([add(a, b), sub(b, a)]));
  });

  it('takes constants that may change as parameters, rounded as the device holds them', () => {
    const rate = (value: number): Tensor => mul(f32([3]), value);
    expect(key(rate(0.1))).toBe(key(rate(0.07)));
    expect(capture([rate(0.1)]).scalars).toEqual([Math.fround(0.1)]);
    expect(key(rate(0.1), { lift: false })).not.toBe(key(rate(0.07), { lift: false }));
  });

  it('keeps constants that simplification looks for in the structure', () => {
    for (const value of [0, 1, -1, 2, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(capture([mul(f32([3]), value)]).scalars, String(value)).toEqual([]);
    }
    expect(key(mul(f32([3]), 0))).not.toBe(key(mul(f32([3]), -0)));
  });

  it('does not take integers as parameters: kernels have float parameters only', () => {
    expect(
      capture([mul(tensor([1, 2], { dtype: 'int32' }), constant(77, 'int32').expand([2]))]).scalars,
    ).toEqual([]);
  });

  it('knows which values a gradient may ask for', () => {
    const tracked = mul(parameter([3]), 2);
    const plain = mul(f32([3]), 2);
    expect(key(tracked, { keep: true })).not.toBe(key(plain, { keep: true }));
    expect(key(tracked)).toBe(key(plain));
  });

  it('brings the flags of data checks along, each once', () => {
    const flag = apply('lt', [constant(1, 'float32'), constant(2, 'float32')], {});
    const checked = checkData(mul(f32([3]), 3), flag, () => new IndexError('bad'));
    const same = mul(f32([3]), 4);
    same.node.setCheck(checked.node.check!);
    const { outputs, checks, checked: nodes } = capture([add(checked, 1), mul(checked, same)]);
    expect(checks).toEqual([checked.node.check]);
    expect([...nodes]).toEqual([
      [checked.node, 0],
      [same.node, 0],
    ]);
    expect(outputs.slice(2)).toEqual([flag.node]);
  });
});

describe('what a value is computed from', () => {
  it('is found for each output', () => {
    const [a, b, c] = [f32([2]), f32([2]), f32([2])];
    const ab = mul(a, b);
    const outputs = [add(ab, 1), add(b, c), mul(c, 2), ab];
    const graph = capture(outputs);
    const sources = [a.node, b.node, c.node, ab.node];
    expect(
      sourcesOf(
        graph,
        sources,
        outputs.map((x) => x.node),
      ),
    ).toEqual([[0, 1, 3], [1, 2], [2], [0, 1, 3]]);
    expect(
      sourcesOf(
        graph,
        [],
        outputs.map((x) => x.node),
      ),
    ).toEqual([[], [], [], []]);
  });

  it('is found among many sources', () => {
    const leaves = Array.from({ length: 70 }, () => f32([2]));
    const total = leaves.reduce((x, y) => add(x, y));
    const graph = capture([total, leaves[65]!.mul(2)]);
    const [all, one] = sourcesOf(
      graph,
      leaves.map((x) => x.node),
      graph.outputs,
    );
    expect(all).toEqual([...leaves.keys()]);
    expect(one).toEqual([65]);
  });
});

describe('attributes as text', () => {
  it('tell special numbers apart', () => {
    const texts = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, null].map(
      (value) => attributeKey({ value }),
    );
    expect(new Set(texts).size).toBe(texts.length);
    expect(attributeKey({ axes: [0, 1] })).not.toBe(attributeKey({ axes: [1, 0] }));
  });
});
