/** Attention: when a device's routine is asked for, what it is told, and what it is taken apart into. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Anchor, AttentionAnchor, AttentionGradientAnchor, Program } from '../src/backend/index.ts';
import { interpreterBackend } from '../src/testing/index.ts';
import * as t from './all.ts';
import { scheduled } from './compiler-support.ts';

beforeAll(() => t.registerBackend(interpreterBackend({ name: 'interpreter', priority: 1 })));
afterAll(() => t.unregisterBackend('interpreter'));

const program: Program = { name: 'attention', source: () => 'attention' };

/** The attention that a device with a routine for it, and for nothing else, is asked for. */
function asked(tensors: readonly t.Tensor[], takes: (anchor: AttentionAnchor) => boolean = () => true) {
  const found: AttentionAnchor[] = [];
  const groups = scheduled(tensors, {
    routine: (anchor: Anchor) => {
      if (anchor.kind !== 'attention') return undefined;
      found.push(anchor);
      return takes(anchor) ? program : undefined;
    },
  });
  return { found, kinds: groups.map(({ lowered }) => lowered.kernel.kind) };
}

/** As `asked`, of a device that has routines for attention and its gradient. */
function askedForGradients(tensors: readonly t.Tensor[], takes: (anchor: Anchor) => boolean = () => true) {
  const groups = scheduled(tensors, {
    routine: (anchor: Anchor) => {
      const known = anchor.kind === 'attention' || anchor.kind === 'attentionGradient';
      return known && takes(anchor) ? program : undefined;
    },
  });
  const kernels = groups.map(({ lowered }) => lowered.kernel);
  return {
    kinds: kernels.map(({ kind }) => kind),
    gradients: kernels.filter(
      (kernel): kernel is AttentionGradientAnchor => kernel.kind === 'attentionGradient',
    ),
    largest: Math.max(...kernels.flatMap(({ buffers }) => buffers.map(({ length }) => length))),
  };
}

const data = (...shape: number[]): t.Tensor =>
  t.fromHost(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5), shape, 'float32');

describe('attention with a routine', () => {
  it('is one step, and its operands are views: heads beside each other, a mask for all of them', () => {
    const [batch, heads, length, width] = [2, 3, 5, 4];
    const split = (x: t.Tensor): t.Tensor => x.reshape([batch, length, heads, width]).permute([0, 2, 1, 3]);
    const projected = data(batch, length, heads * width);
    const mask = t.fromHost(new Uint8Array(length ** 2).fill(1), [length, length], 'bool');
    const y = t.scaledDotProductAttention(split(projected), split(projected), split(projected), { mask });
    const { found, kinds } = asked([y]);
    expect(kinds.filter((kind) => kind === 'attention')).toHaveLength(1);
    const row = heads * width;
    const operand = { dtype: 'float32', offset: 0, batch: [length * row, width], row, column: 1 };
    expect(found.at(-1)).toMatchObject({
      ...{ batch: [batch, heads], queries: length, keys: length, width, valueWidth: width },
      ...{ scale: 0.5, causal: false, query: operand, key: operand, value: operand },
      mask: { dtype: 'bool', batch: [0, 0], row: length, column: 1 },
    });
    expect(found.at(-1)!.buffers.map(({ access }) => access)).toEqual([
      'read',
      'read',
      'read',
      'read',
      'write',
    ]);
  });

  it('takes the epilogue in, after the result', () => {
    const q = data(6, 4);
    const { found, kinds } = asked([t.scaledDotProductAttention(q, q, q, { causal: true }).add(data(6, 4))]);
    expect(kinds).toEqual(['attention']);
    expect(found.at(-1)!.causal).toBe(true);
    expect(found.at(-1)!.buffers).toHaveLength(5);
    expect(found.at(-1)!.buffers[3]!.access).toBe('write');
  });

  it('is taken apart where the gradient wants the weights, which are computed once', () => {
    const q = t.tensor(
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      { requiresGrad: true },
    );
    const y = t.scaledDotProductAttention(q, q, q);
    y.sum().backward();
    const { found, kinds } = asked([y, q.grad!]);
    expect(found).toEqual([]);
    expect(kinds).not.toContain('attention');
    const alone = asked([q.grad!]).kinds.length;
    expect(kinds.length).toBeLessThanOrEqual(alone + 1);
  });
});

describe('the gradient of attention with a routine', () => {
  const [queries, keys] = [30, 40];
  const own = (...shape: number[]): t.Tensor =>
    t.tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5), { shape, requiresGrad: true });
  const operands = () => [own(queries, 4), own(keys, 4), own(keys, 6)] as const;
  const weights = () => data(queries, 6);

  it('is one step for all operands, and no value is as large as the weights', () => {
    const [q, k, v] = operands();
    const y = t.scaledDotProductAttention(q, k, v, { causal: true });
    y.mul(weights()).sum().backward();
    const { kinds, gradients, largest } = askedForGradients([y, q.grad!, k.grad!, v.grad!]);
    expect(kinds.filter((kind) => kind === 'attention')).toHaveLength(1);
    expect(gradients).toHaveLength(1);
    const row = (columns: number) => ({ dtype: 'float32', offset: 0, batch: [], row: columns, column: 1 });
    expect(gradients[0]).toMatchObject({
      ...{ of: ['query', 'key', 'value'], batch: [], queries, keys, width: 4, valueWidth: 6 },
      ...{ scale: 0.5, causal: true, query: row(4), key: row(4), value: row(6), gradient: row(6) },
    });
    const elements = queries * 4 + keys * 4 + keys * 6;
    expect(gradients[0]!.buffers.map(({ length }) => length).at(-1)).toBe(elements);
    expect(largest).toBeLessThan(queries * keys);
  });

  it('is asked for what is wanted, and takes an epilogue in', () => {
    const [q, k, v] = operands();
    t.scaledDotProductAttention(q, k, v).mul(weights()).sum().backward();
    const { kinds, gradients } = askedForGradients([k.grad!.add(data(keys, 4))]);
    expect(kinds).toEqual(['attentionGradient']);
    expect(gradients[0]).toMatchObject({ of: ['key'], buffers: { length: 6 } });
    expect(gradients[0]!.epilogue).toBeDefined();
  });

  it.each([
    ['a mask to add wants a gradient', true, () => true],
    ['there is none', false, (anchor: Anchor) => anchor.kind === 'attention'],
  ])('is taken apart where %s, and attention with it', (_, masked, takes) => {
    const [q, k, v] = operands();
    const mask = own(queries, keys);
    const y = t.scaledDotProductAttention(q, k, v, masked ? { mask } : {});
    y.mul(weights()).sum().backward();
    const tensors = [y, q.grad!, k.grad!, v.grad!, ...(masked ? [mask.grad!] : [])];
    const { kinds } = askedForGradients(tensors, takes);
    expect(kinds).not.toContain('attentionGradient');
    expect(kinds).not.toContain('attention');
  });
});

describe('attention without a routine', () => {
  it('is what its formula is made of', () => {
    const q = data(2, 6, 4);
    const weights = q.matmul(q.transpose()).mul(0.5).softmax();
    const kinds = asked([t.scaledDotProductAttention(q, q, q)], () => false).kinds;
    expect(kinds).toEqual(asked([weights.matmul(q)]).kinds);
  });
});

describe('attention of nothing', () => {
  it.each([
    ['no keys', [3, 2], [0, 2], [0, 4], [3, 4], 0],
    ['queries without elements: the mean of the values', [3, 0], [2, 0], [2, 4], [3, 4], 0.5],
    ['no queries', [0, 2], [3, 2], [3, 4], [0, 4], 0],
    ['values without elements', [3, 2], [3, 2], [3, 0], [3, 0], 0],
  ])('%s', async (_, q, k, v, shape, value) => {
    const y = t.scaledDotProductAttention(data(...q), data(...k), data(...v));
    expect(y.shape).toEqual(shape);
    expect(Array.from(await y.data())).toEqual(new Array(shape[0]! * shape[1]!).fill(value));
  });
});
