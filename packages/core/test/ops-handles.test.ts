import { beforeAll, expect, it } from 'vitest';
import { context } from '../src/tensor/context.ts';
import * as t from './all.ts';
import { parameter, useGraphOnlyDevice } from './autograd-support.ts';

beforeAll(useGraphOnlyDevice);

/** Handles that `build` leaves behind. */
function handlesOf(build: () => unknown): Set<t.Tensor> {
  const outer = context.scope;
  const made = new Set<t.Tensor>();
  context.scope = made;
  try {
    build();
  } finally {
    context.scope = outer;
  }
  return made;
}

const x = (): t.Tensor => parameter([2, 3]);
const labels = (): t.Tensor => t.tensor([0, 1], { dtype: 'int32' });

const operations: readonly (readonly [string, (x: t.Tensor, labels: t.Tensor) => t.Tensor])[] = [
  ['add', (a) => a.add(1)],
  ['remainder', (a) => a.remainder(2)],
  ['pow', (a) => a.pow(3)],
  ['where', (a) => t.where(true, a, 0)],
  ['clamp', (a) => a.clamp(0, 1)],
  ['sigmoid', (a) => a.sigmoid()],
  ['gelu', (a) => a.gelu()],
  ['std', (a) => a.std(1)],
  ['logSumExp', (a) => a.logSumExp()],
  ['softmax', (a) => a.softmax()],
  ['layerNorm', (a) => a.layerNorm(1)],
  ['concat', (a) => t.concat([a, a, a])],
  ['slice', (a) => a.slice(0, [null, null, -1])],
  ['linear', (a) => a.linear(a)],
  ['crossEntropy', (a, b) => a.crossEntropy(b, { labelSmoothing: 0.1, ignoreIndex: 7 })],
  ['take', (a, b) => a.take(b, 0)],
  ['dropout', (a) => a.dropout(0.3)],
  ['eye', () => t.eye(3)],
  ['arange', () => t.arange(5)],
  ['randn', () => t.randn([3])],
];

it.each(operations)('%s leaves one handle', (_, build) => {
  const [a, b] = [x(), labels()];
  t.defaultGenerator();
  expect(handlesOf(() => build(a, b)).size).toBe(1);
});

it('split leaves one handle for each part', () => {
  const a = x();
  expect(handlesOf(() => a.split([1, 2], 1)).size).toBe(2);
});

it('an operation that fails leaves none', () => {
  const a = x();
  expect(handlesOf(() => expect(() => a.add(1).mul(a).crossEntropy(a.cast('int32'))).toThrow()).size).toBe(3); // those of its own operands
});

it('an operation with nothing to do gives a handle of its own', () => {
  const a = t.ones([2, 3]);
  const same = [
    a.cast('float32'),
    a.reshape([2, 3]),
    a.slice(),
    a.dropout(0),
    a.squeeze(),
    a.sum([]),
    a.expand([2, 3]),
    a.permute([0, 1]),
  ];
  for (const each of same) {
    expect(each).not.toBe(a);
    expect(each.node).toBe(a.node);
    each.dispose();
  }
  expect(a.disposed).toBe(false);
});

it('a gradient rule outlives the handles of its operands', () => {
  const a = x();
  const hidden = a.mul(2);
  const y = hidden.sigmoid();
  const loss = y.sum();
  hidden.dispose();
  y.dispose();
  loss.backward();
  expect(a.grad?.shape).toEqual([2, 3]);
});
