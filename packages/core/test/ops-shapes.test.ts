import { beforeAll, describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { useGraphOnlyDevice } from './autograd-support.ts';

beforeAll(useGraphOnlyDevice);

const { ones, zeros } = t;
const index = (...shape: number[]): t.Tensor => zeros(shape, { dtype: 'int32' });

type Case = readonly [call: string, build: () => t.Tensor, shape: readonly number[]];

function check(cases: readonly Case[]): void {
  it.each(cases)('%s', (_, build, shape) => {
    expect(build().shape).toEqual(shape);
  });
}

describe('broadcasting', () => {
  check([
    ['[3] + [2, 3]', () => ones([3]).add(ones([2, 3])), [2, 3]],
    ['[2, 1] * [3]', () => ones([2, 1]).mul(ones([3])), [2, 3]],
    ['[] - [4]', () => ones([]).sub(ones([4])), [4]],
    ['[0, 1] + [3]', () => ones([0, 1]).add(ones([3])), [0, 3]],
    [
      'where over three',
      () => t.where(ones([2, 1, 1], { dtype: 'bool' }), ones([3, 1]), ones([4])),
      [2, 3, 4],
    ],
    ['clamp by a tensor', () => ones([2, 3]).clamp(zeros([3]), 1), [2, 3]],
  ]);
});

describe('reductions', () => {
  check([
    ['all axes', () => ones([2, 3]).sum(), []],
    ['no axes', () => ones([2, 3]).sum([]), [2, 3]],
    ['one axis', () => ones([2, 3, 4]).mean(-2), [2, 4]],
    ['several', () => ones([2, 3, 4]).max([0, -1]), [3]],
    ['keepDim', () => ones([2, 3, 4]).var([0, 2], { keepDim: true }), [1, 3, 1]],
    ['argMax of all', () => ones([2, 3]).argMax(), []],
    ['argMax of all, kept', () => ones([2, 3]).argMin(undefined, { keepDim: true }), [1, 1]],
    ['an empty axis', () => zeros([0, 3]).sum(0), [3]],
    ['any of nothing', () => zeros([2, 0]).any(1), [2]],
    ['max beside an empty axis', () => zeros([0, 3]).max(1), [0]],
    ['logSumExp of nothing', () => zeros([2, 0]).logSumExp(1), [2]],
    ['norm', () => ones([2, 3]).norm(1, { p: 3 }), [2]],
  ]);
});

describe('movement', () => {
  check([
    ['reshape with -1', () => ones([2, 6]).reshape([-1, 3]), [4, 3]],
    ['reshape of nothing', () => zeros([0, 6]).reshape([3, 0]), [3, 0]],
    ['flatten', () => ones([2, 3, 4, 5]).flatten(1, -2), [2, 12, 5]],
    ['flatten a scalar', () => ones([]).flatten(), [1]],
    ['transpose', () => ones([2, 3, 4]).transpose(), [2, 4, 3]],
    ['transpose two', () => ones([2, 3, 4]).transpose(0, -1), [4, 3, 2]],
    ['permute', () => ones([2, 3, 4]).permute([-1, 0, 1]), [4, 2, 3]],
    ['expand', () => ones([3, 1]).expand([2, -1, 4]), [2, 3, 4]],
    ['broadcastTo', () => ones([1]).broadcastTo([2, 0]), [2, 0]],
    ['squeeze all', () => ones([1, 2, 1]).squeeze(), [2]],
    ['squeeze one', () => ones([1, 2, 1]).squeeze(-1), [1, 2]],
    ['squeeze an axis that is not 1', () => ones([1, 2]).squeeze(1), [1, 2]],
    ['unsqueeze at the end', () => ones([2]).unsqueeze(-1), [2, 1]],
    [
      'pad',
      () =>
        ones([2, 3]).pad([
          [1, 0],
          [0, 2],
        ]),
      [3, 5],
    ],
    ['slice a position', () => ones([4, 5]).slice(-1), [5]],
    ['slice with steps', () => ones([10, 7]).slice([1, -1, 3], [null, null, -2]), [3, 4]],
    ['slice clamps', () => ones([4]).slice([2, 100]), [2]],
    ['slice of nothing', () => ones([4]).slice([3, 1]), [0]],
    ['slice backwards past the start', () => ones([4]).slice([-100, null, -1]), [0]],
    ['slice the middle', () => ones([2, 3, 4]).slice(null, 1), [2, 4]],
    ['unfold', () => ones([2, 9]).unfold(1, 3, 2, 2), [2, 3, 3]],
    ['tile, more repeats than axes', () => ones([2]).tile([3, 2]), [3, 4]],
    ['tile, fewer', () => ones([2, 3]).tile(2), [2, 6]],
    ['concat', () => t.concat([ones([2, 1]), zeros([2, 0]), ones([2, 3])], -1), [2, 4]],
    ['stack', () => t.stack([ones([2]), ones([2])], -1), [2, 2]],
  ]);

  it('split and chunk', () => {
    expect(
      ones([6])
        .split(3)
        .map((x) => x.shape),
    ).toEqual([[2], [2], [2]]);
    expect(
      ones([2, 6])
        .split([1, 0, 5], 1)
        .map((x) => x.shape),
    ).toEqual([
      [2, 1],
      [2, 0],
      [2, 5],
    ]);
    expect(
      ones([7])
        .chunk(3)
        .map((x) => x.shape),
    ).toEqual([[3], [3], [1]]);
    expect(
      ones([2])
        .chunk(5)
        .map((x) => x.shape),
    ).toEqual([[1], [1]]);
    expect(
      zeros([0])
        .chunk(3)
        .map((x) => x.shape),
    ).toEqual([[0]]);
  });
});

describe('products', () => {
  check([
    ['vectors', () => ones([3]).matmul(ones([3])), []],
    ['matrix and vector', () => ones([2, 3]).matmul(ones([3])), [2]],
    ['vector and matrices', () => ones([3]).matmul(ones([5, 3, 4])), [5, 4]],
    ['batches broadcast', () => ones([5, 1, 2, 3]).matmul(ones([4, 3, 6])), [5, 4, 2, 6]],
    ['a batch with one matrix', () => ones([5, 2, 3]).matmul(ones([1, 3, 4])), [5, 2, 4]],
    ['one matrix with a batch', () => ones([2, 3]).matmul(ones([5, 3, 4])), [5, 2, 4]],
    ['nothing in between', () => zeros([2, 0]).matmul(zeros([0, 3])), [2, 3]],
    ['outer', () => ones([2]).outer(ones([3])), [2, 3]],
    ['linear', () => ones([5, 2, 3]).linear(ones([4, 3]), ones([4])), [5, 2, 4]],
    ['linear of a vector', () => ones([3]).linear(ones([4, 3])), [4]],
  ]);

  it('a batch with one matrix on the right is one big product', () => {
    const product = ones([5, 7, 2, 3]).matmul(ones([3, 4]));
    const dot = product.node.inputs[0]!;
    expect(dot.op).toBe('dot');
    expect(dot.shape).toEqual([70, 4]);
  });
});

describe('convolution and pooling', () => {
  check([
    ['conv2d', () => ones([2, 3, 8, 9]).conv2d(ones([4, 3, 3, 2])), [2, 4, 6, 8]],
    [
      'stride, padding, dilation',
      () => ones([2, 3, 8, 9]).conv2d(ones([4, 3, 3, 3]), { stride: 2, padding: [1, 2], dilation: [1, 2] }),
      [2, 4, 4, 5],
    ],
    [
      'same with an even kernel',
      () => ones([1, 1, 5, 6]).conv2d(ones([1, 1, 2, 4]), { padding: 'same' }),
      [1, 1, 5, 6],
    ],
    [
      'groups',
      () => ones([1, 6, 4, 4]).conv2d(ones([9, 2, 1, 1]), { groups: 3, bias: ones([9]) }),
      [1, 9, 4, 4],
    ],
    ['an empty batch', () => zeros([0, 3, 8, 8]).conv2d(ones([4, 3, 3, 3])), [0, 4, 6, 6]],
    ['conv1d', () => ones([2, 3, 10]).conv1d(ones([4, 3, 3]), { padding: 1, stride: 3 }), [2, 4, 4]],
    [
      'convTranspose2d',
      () =>
        ones([2, 4, 5, 5]).convTranspose2d(ones([4, 3, 3, 3]), { stride: 2, padding: 1, outputPadding: 1 }),
      [2, 3, 10, 10],
    ],
    [
      'convTranspose2d in groups',
      () => ones([1, 4, 2, 2]).convTranspose2d(ones([4, 3, 2, 2]), { groups: 2, dilation: 2 }),
      [1, 6, 4, 4],
    ],
    ['maxPool2d', () => ones([2, 3, 8, 9]).maxPool2d(2), [2, 3, 4, 4]],
    [
      'maxPool2d, overlapping',
      () => ones([2, 3, 8, 8]).maxPool2d(3, { stride: 2, padding: 1 }),
      [2, 3, 4, 4],
    ],
    ['avgPool2d', () => ones([2, 3, 8, 8]).avgPool2d([8, 4]), [2, 3, 1, 2]],
  ]);

  it('windows that tile the plane need no unfolding', () => {
    const ops = (x: t.Tensor): string[] => {
      const { inputs } = x.node;
      return [x.node.op, ...(inputs[0] ? ops(new t.Tensor(inputs[0])) : [])];
    };
    expect(ops(ones([1, 1, 4, 4]).maxPool2d(2))).not.toContain('unfold');
    expect(ops(ones([1, 1, 5, 4]).maxPool2d(2))).toContain('unfold');
  });
});

describe('indexing and the rest', () => {
  check([
    ['gather', () => ones([2, 5]).gather(index(2, 3), 1), [2, 3]],
    ['take along an axis', () => ones([2, 5, 3]).take(index(4, 6), 1), [2, 4, 6, 3]],
    ['take from the flat tensor', () => ones([2, 5]).take(index(3)), [3]],
    ['take nothing', () => zeros([0, 5]).take(index(0), 0), [0, 5]],
    ['oneHot', () => index(2, 3).oneHot(4), [2, 3, 4]],
    ['scatterAdd', () => zeros([5, 2]).scatterAdd(index(3, 2), ones([3, 2]), 0), [5, 2]],
    ['embedding', () => t.embedding(ones([7, 4]), index(2, 3)), [2, 3, 4]],
    ['softmax', () => ones([2, 3]).softmax(0), [2, 3]],
    ['softmax of nothing', () => zeros([2, 0]).softmax(), [2, 0]],
    ['layerNorm', () => ones([2, 3, 4]).layerNorm([3, 4], { weight: ones([3, 4]) }), [2, 3, 4]],
    ['batchNorm', () => ones([2, 3, 4]).batchNorm({ mean: zeros([3]), variance: ones([3]) }), [2, 3, 4]],
    ['crossEntropy', () => ones([2, 3]).crossEntropy(index(2)), []],
    [
      'crossEntropy, not reduced',
      () => ones([2, 3, 4]).crossEntropy(index(2, 4), { reduction: 'none' }),
      [2, 4],
    ],
    [
      'crossEntropy of probabilities',
      () => ones([2, 3]).crossEntropy(ones([2, 3]), { reduction: 'none' }),
      [2],
    ],
    ['crossEntropy of one sample', () => ones([3]).crossEntropy(index()), []],
    [
      'nllLoss over the last axis',
      () => ones([2, 4, 3]).nllLoss(index(2, 4), { axis: -1, reduction: 'none' }),
      [2, 4],
    ],
    [
      'attention',
      () =>
        t.scaledDotProductAttention(ones([2, 1, 5, 4]), ones([3, 6, 4]), ones([3, 6, 7]), { causal: true }),
      [2, 3, 5, 7],
    ],
    ['dropout', () => ones([2, 3]).dropout(0.1), [2, 3]],
    ['rand', () => t.rand([2, 0]), [2, 0]],
    ['randn', () => t.randn([]), []],
  ]);
});
