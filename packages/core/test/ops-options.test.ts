/** Options that do not exist are refused by every operation that has some, before anything is done. */
import { runInNewContext } from 'node:vm';
import { beforeAll, describe, expect, it } from 'vitest';
import { closestName } from '../src/backend/suggest.ts';
import * as t from './all.ts';
import { useGraphOnlyDevice } from './autograd-support.ts';

beforeAll(useGraphOnlyDevice);

const { ones, tensor } = t;
const x = (): t.Tensor => ones([2, 3]);
const image = (): t.Tensor => ones([1, 2, 4, 4]);
const index = (): t.Tensor => tensor([0, 1], { dtype: 'int32' });
const statistics = (): { mean: t.Tensor; variance: t.Tensor } => ({ mean: ones([3]), variance: ones([3]) });

/** Every function with options: how it is called with some, and an option that it has. */
const functions: Readonly<Record<string, readonly [call: (options: never) => unknown, known: string]>> = {
  tensor: [(o) => tensor([1], o), 'requiresGrad'],
  full: [(o) => t.full([2], 1, o), 'dtype'],
  zeros: [(o) => t.zeros([2], o), 'dtype'],
  ones: [(o) => ones([2], o), 'dtype'],
  fullLike: [(o) => t.fullLike(x(), 1, o), 'device'],
  zerosLike: [(o) => t.zerosLike(x(), o), 'dtype'],
  onesLike: [(o) => t.onesLike(x(), o), 'dtype'],
  arange: [(o) => t.arange(0, 3, 1, o), 'dtype'],
  linspace: [(o) => t.linspace(0, 1, 3, o), 'dtype'],
  eye: [(o) => t.eye(2, 2, o), 'dtype'],
  rand: [(o) => t.rand([2], o), 'generator'],
  randn: [(o) => t.randn([2], o), 'generator'],
  randint: [(o) => t.randint(0, 2, [2], o), 'generator'],
  bernoulli: [(o) => t.bernoulli([2], 0.5, o), 'generator'],
  variable: [(o) => t.variable(x(), o), 'name'],
  sum: [(o) => x().sum(1, o), 'keepDim'],
  mean: [(o) => x().mean(1, o), 'keepDim'],
  prod: [(o) => x().prod(1, o), 'keepDim'],
  max: [(o) => x().max(1, o), 'keepDim'],
  min: [(o) => x().min(1, o), 'keepDim'],
  variance: [(o) => x().var(1, o), 'correction'],
  std: [(o) => x().std(1, o), 'correction'],
  argMax: [(o) => x().argMax(1, o), 'keepDim'],
  argMin: [(o) => x().argMin(undefined, o), 'keepDim'],
  any: [(o) => x().any(1, o), 'keepDim'],
  all: [(o) => x().all(1, o), 'keepDim'],
  logSumExp: [(o) => x().logSumExp(1, o), 'keepDim'],
  norm: [(o) => x().norm(1, o), 'p'],
  pad: [
    (o) =>
      x().pad(
        [
          [1, 0],
          [0, 0],
        ],
        o,
      ),
    'value',
  ],
  oneHot: [(o) => index().oneHot(3, o), 'dtype'],
  gelu: [(o) => x().gelu(o), 'approximate'],
  dropout: [(o) => x().dropout(0.5, o), 'training'],
  scaledDotProductAttention: [(o) => t.scaledDotProductAttention(x(), x(), x(), o), 'causal'],
  conv1d: [(o) => ones([1, 2, 4]).conv1d(ones([3, 2, 3]), o), 'stride'],
  conv2d: [(o) => image().conv2d(ones([3, 2, 3, 3]), o), 'padding'],
  convTranspose2d: [(o) => image().convTranspose2d(ones([2, 3, 3, 3]), o), 'outputPadding'],
  maxPool2d: [(o) => image().maxPool2d(2, o), 'stride'],
  avgPool2d: [(o) => image().avgPool2d(2, o), 'countIncludePad'],
  layerNorm: [(o) => x().layerNorm(1, o), 'eps'],
  batchNorm: [(o) => x().batchNorm({ ...statistics(), ...(o as object) }), 'weight'],
  mseLoss: [(o) => x().mseLoss(x(), o), 'reduction'],
  l1Loss: [(o) => x().l1Loss(x(), o), 'reduction'],
  huberLoss: [(o) => x().huberLoss(x(), o), 'delta'],
  binaryCrossEntropyWithLogits: [(o) => x().binaryCrossEntropyWithLogits(x(), o), 'reduction'],
  nllLoss: [(o) => x().nllLoss(index(), o), 'ignoreIndex'],
  crossEntropy: [(o) => x().crossEntropy(index(), o), 'labelSmoothing'],
  backward: [(o) => t.variable(x()).sum().backward(undefined, o), 'retainGraph'],
  grad: [(o) => t.grad((w: t.Tensor) => w.sum(), 0, o), 'hasAux'],
  valueAndGrad: [(o) => t.valueAndGrad((w: t.Tensor) => w.sum(), 0, o), 'hasAux'],
};

const errorOf = (run: () => unknown): t.TuttiError => {
  try {
    run();
  } catch (error) {
    return error as t.TuttiError;
  }
  throw new RangeError('it did not throw');
};

describe.each(Object.entries(functions))('%s', (name, [call, known]) => {
  it('takes no options, and those that it has', () => {
    call(undefined as never);
    call({} as never);
    call({ [known]: undefined } as never);
  });

  it('refuses an option that it does not have, and says which was meant', () => {
    const wrong = known.length > 3 ? known.replace(/[A-Z]/, '_$&').toUpperCase() : 'unheardOf';
    const error = errorOf(() => call({ [wrong]: 1 } as never));
    expect(error).toBeInstanceOf(t.ArgumentError);
    expect(error).toMatchObject({ code: 'TUTTI_ARGUMENT', op: name, received: wrong });
    expect(error.message).toContain(`${name}: there is no option "${wrong}"`);
    expect(error.fix).toContain(known.length > 3 ? `did you mean ${known}?` : `${name} takes the options`);
  });
});

describe('what is no object', () => {
  const cases: readonly [string, () => unknown, RegExp][] = [
    [
      'true for keepDim',
      () => x().sum(1, true as never),
      /received true\n.*did you mean \{ keepDim: true \}\?/,
    ],
    [
      'an array for a shape',
      () => tensor(new Float32Array(6), [2, 3] as never),
      /did you mean \{ shape: \[2, 3\] \}\?/,
    ],
    ['a string for a dtype', () => ones([2], 'int32' as never), /did you mean \{ dtype: "int32" \}\?/],
    [
      'a string for a reduction',
      () => x().mseLoss(x(), 'sum' as never),
      /did you mean \{ reduction: "sum" \}\?/,
    ],
    ['a number for a stride', () => image().maxPool2d(2, 2 as never), /did you mean \{ stride: 2 \}\?/],
    [
      'a tensor for a bias',
      () => image().conv2d(ones([3, 2, 3, 3]), ones([3]) as never),
      /received a Tensor\n.*\{ bias: \.\.\. \}/,
    ],
    [
      'a generator',
      () => t.rand([2], new t.Generator(1) as never),
      /received a Generator\n.*\{ generator: \.\.\. \}/,
    ],
    ['null', () => x().sum(1, null as never), /received null\n.*write \{ keepDim: \.\.\. \}/],
    ['a map', () => x().sum(1, new Map() as never), /received a Map/],
    ['a function', () => x().sum(1, (() => 1) as never), /received a function/],
    [
      'nothing where there must be something',
      () => x().batchNorm(undefined as never),
      /received undefined\n.*\{ mean/,
    ],
  ];
  it.each(cases)('%s', (_, run, message) => {
    const error = errorOf(run);
    expect(error).toBeInstanceOf(t.ArgumentError);
    expect(error.message).toMatch(message);
    expect(error.op).toBeTruthy();
  });
});

describe('what is an object', () => {
  it('may come from a class, or have a prototype of its own, or none', () => {
    class Settings {
      keepDim = true;
      describe(): string {
        return 'a method is no option';
      }
    }
    const inherited = Object.create({ keepDim: true }) as t.ReduceOptions;
    const bare = Object.assign(Object.create(null) as object, { keepDim: true });
    for (const options of [new Settings(), inherited, bare])
      expect(x().sum(1, options).shape).toEqual([2, 1]);
    expect(() => x().sum(1, Object.assign(new Settings(), { keepDims: 1 }))).toThrow(/no option "keepDims"/);
  });

  it('may come from another realm', () => {
    const foreign = runInNewContext('[{ keepDim: true }, {}, { keepdims: true }]') as t.ReduceOptions[];
    expect(x().sum(1, foreign[0]).shape).toEqual([2, 1]);
    expect(x().sum(1, foreign[1]).shape).toEqual([2]);
    expect(() => x().sum(1, foreign[2])).toThrow(/did you mean keepDim\?/);
  });
});

it.each([
  ['keepdim', 'keepDim'],
  ['keep_dims', 'keepDim'],
  ['learningRate', 'lr'],
  ['learning_rate', 'lr'],
  ['is_causal', 'causal'],
  ['attnMask', 'mask'],
  ['params', 'parameters'],
  ['epsilon', 'eps'],
  ['dytpe', 'dtype'],
  ['x', undefined],
  ['', undefined],
  ['unheardOf', undefined],
])('a name like %s is %s', (received, meant) => {
  const known = ['keepDim', 'lr', 'causal', 'mask', 'parameters', 'eps', 'dtype'];
  expect(closestName(received, known)).toBe(meant);
});
