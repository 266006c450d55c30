import {
  ArgumentError,
  Generator,
  IndexError,
  jit,
  manualSeed,
  randn,
  ShapeError,
  type Tensor,
  tensor,
  where,
} from '@tutti/core';
import {
  AvgPool2d,
  BatchNorm1d,
  BatchNorm2d,
  BCEWithLogitsLoss,
  Conv1d,
  Conv2d,
  ConvTranspose2d,
  CrossEntropyLoss,
  ELU,
  Embedding,
  Flatten,
  GELU,
  HuberLoss,
  Identity,
  L1Loss,
  LayerNorm,
  LeakyReLU,
  Linear,
  LogSoftmax,
  MaxPool2d,
  MSELoss,
  MultiHeadAttention,
  type MultiHeadAttentionOptions,
  NLLLoss,
  ReLU,
  Sequential,
  Sigmoid,
  SiLU,
  Softmax,
  Softplus,
  Tanh,
} from '@tutti/nn';
import { describe, expect, test } from 'vitest';
import { attention, distance, linear, type Matrix, matrix } from './reference.ts';
import { onCpu } from './support.ts';

onCpu();

/** A few float32 roundings on sums of this length. */
const close = 2e-6;
const flat = (x: Matrix): number[] => x.flat();
const numbers = async (x: Tensor): Promise<number[]> => [...(await x.data())];

describe('shapes', () => {
  const x = () => randn([2, 4, 8, 8]);
  const cases: [string, () => Tensor, number[]][] = [
    ['Conv2d', () => new Conv2d(4, 6, 3).call(x()), [2, 6, 6, 6]],
    [
      'Conv2d, strided and padded',
      () => new Conv2d(4, 6, [3, 5], { stride: 2, padding: [1, 2] }).call(x()),
      [2, 6, 4, 4],
    ],
    ['Conv2d, same', () => new Conv2d(4, 6, 3, { padding: 'same', bias: false }).call(x()), [2, 6, 8, 8]],
    ['Conv2d, groups', () => new Conv2d(4, 8, 3, { groups: 4 }).call(x()), [2, 8, 6, 6]],
    ['Conv1d', () => new Conv1d(4, 3, 3, { dilation: 2 }).call(randn([2, 4, 9])), [2, 3, 5]],
    ['ConvTranspose2d', () => new ConvTranspose2d(4, 3, 2, { stride: 2 }).call(x()), [2, 3, 16, 16]],
    ['MaxPool2d', () => new MaxPool2d(2).call(x()), [2, 4, 4, 4]],
    ['AvgPool2d', () => new AvgPool2d(3, { stride: 1, padding: 1 }).call(x()), [2, 4, 8, 8]],
    ['Flatten', () => new Flatten().call(x()), [2, 256]],
    ['Identity', () => new Identity().call(x()), [2, 4, 8, 8]],
    ['Linear', () => new Linear(8, 3).call(x()), [2, 4, 8, 3]],
    [
      'Sequential',
      () => new Sequential(new Conv2d(4, 2, 8), new Flatten(), new Linear(2, 5)).call(x()),
      [2, 5],
    ],
  ];
  test.each(cases)('%s', async (_, make, shape) => {
    const y = make();
    expect(y.shape).toEqual(shape);
    expect((await y.data()).every(Number.isFinite)).toBe(true);
  });
});

describe('activations', () => {
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  const points = [-3, -0.5, 0, 0.25, 2];
  const functions: [string, { call(x: Tensor): Tensor }, (x: number) => number][] = [
    ['ReLU', new ReLU(), (x) => Math.max(x, 0)],
    ['LeakyReLU', new LeakyReLU(0.2), (x) => (x > 0 ? x : 0.2 * x)],
    ['ELU', new ELU(1.5), (x) => (x > 0 ? x : 1.5 * Math.expm1(x))],
    [
      'GELU, tanh',
      new GELU({ approximate: 'tanh' }),
      (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    ],
    ['SiLU', new SiLU(), (x) => x * sigmoid(x)],
    ['Sigmoid', new Sigmoid(), sigmoid],
    ['Softplus', new Softplus(), (x) => Math.log1p(Math.exp(x))],
    ['Tanh', new Tanh(), Math.tanh],
  ];
  test.each(functions)('%s', async (_, layer, formula) => {
    expect(distance(await numbers(layer.call(tensor(points))), points.map(formula))).toBeLessThan(close);
  });

  test('GELU at known points', async () => {
    const expected = [-0.04550026, -0.15426877, 0, 0.1496766, 1.95449974];
    expect(distance(await numbers(new GELU().call(tensor([-2, -0.5, 0, 0.25, 2]))), expected)).toBeLessThan(
      close,
    );
  });

  test('Softmax and LogSoftmax', async () => {
    const powers = points.map(Math.exp);
    const total = powers.reduce((sum, power) => sum + power);
    const shares = powers.map((power) => power / total);
    const column = tensor(points.map((x) => [x]));
    expect(distance(await numbers(new Softmax().call(tensor(points))), shares)).toBeLessThan(close);
    expect(distance(await numbers(new Softmax(0).call(column)), shares)).toBeLessThan(close);
    expect(distance(await numbers(new LogSoftmax(0).call(column)), shares.map(Math.log))).toBeLessThan(close);
  });
});

describe('losses', () => {
  const logits = [
    [2, -1, 0.5],
    [0, 3, 1],
  ];
  const labels = () => tensor([0, 2], { dtype: 'int32' });
  const logProbability = (row: number[], label: number): number =>
    row[label]! - Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
  const losses = [-logProbability(logits[0]!, 0), -logProbability(logits[1]!, 2)];

  test('of classes', async () => {
    const mean = (losses[0]! + losses[1]!) / 2;
    expect(await new CrossEntropyLoss().call(tensor(logits), labels()).item()).toBeCloseTo(mean, 6);
    const none = new CrossEntropyLoss({ reduction: 'none' }).call(tensor(logits), labels());
    expect(distance(await numbers(none), losses)).toBeLessThan(close);
    const logs = new LogSoftmax(1).call(tensor(logits));
    expect(await new NLLLoss({ reduction: 'sum' }).call(logs, labels()).item()).toBeCloseTo(2 * mean, 5);
    const outside = new CrossEntropyLoss().call(
      tensor(logits),
      tensor([0, 2], { dtype: 'int32' }).add(1).add(0),
    );
    await expect(outside.item()).rejects.toBeInstanceOf(IndexError);
  });

  test('of numbers', async () => {
    const [x, y] = [tensor([1, 2, -3]), tensor([1.5, 2, 1])];
    expect(await new MSELoss().call(x, y).item()).toBeCloseTo((0.25 + 16) / 3, 5);
    expect(await new L1Loss({ reduction: 'sum' }).call(x, y).item()).toBeCloseTo(4.5, 5);
    expect(await new HuberLoss({ delta: 2 }).call(x, y).item()).toBeCloseTo((0.125 + 2 * 3) / 3, 5);
    const bce = (z: number, t: number): number => Math.log1p(Math.exp(z)) - t * z;
    const expected = (bce(1, 1) + bce(2, 0) + bce(-3, 0.5)) / 3;
    expect(await new BCEWithLogitsLoss().call(x, tensor([1, 0, 0.5])).item()).toBeCloseTo(expected, 6);
  });
});

describe('LayerNorm', () => {
  test('normalises the last axes', async () => {
    const x = matrix(3, 5, (i, j) => Math.sin(3 * i + 7 * j) * (i + 1) + i);
    const layer = new LayerNorm(5);
    layer.weight!.assign(tensor([1, 2, 3, 4, 5]));
    layer.bias!.assign(tensor([0, 0, 1, 0, -1]));
    const expected = x.flatMap((row) => {
      const mean = row.reduce((sum, value) => sum + value) / 5;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 5;
      return row.map(
        (value, j) => ((value - mean) / Math.sqrt(variance + 1e-5)) * (j + 1) + [0, 0, 1, 0, -1][j]!,
      );
    });
    expect(distance(await numbers(layer.call(tensor(x))), expected)).toBeLessThan(close);
    expect(Object.keys(new LayerNorm([4, 5], { bias: false }).stateDict())).toEqual(['weight']);
    expect(new LayerNorm([3, 5], { affine: false }).parameters()).toEqual([]);
  });
});

describe('BatchNorm', () => {
  const channels = 3;
  /** Batch t, as (N, C, L): value of sample n, channel c, position i. */
  const value = (t: number, n: number, c: number, i: number): number =>
    Math.sin(t * 5 + n * 3 + c * 7 + i * 11) * (c + 1) + t;
  const batch = (t: number): number[][][] =>
    Array.from({ length: 4 }, (_, n) => matrix(channels, 6, (c, i) => value(t, n, c, i)));
  const perChannel = (x: number[][][]): number[][] =>
    Array.from({ length: channels }, (_, c) => x.flatMap((sample) => sample[c]!));
  const statistics = (values: number[], correction: number): [number, number] => {
    const mean = values.reduce((sum, each) => sum + each) / values.length;
    return [mean, values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (values.length - correction)];
  };

  test.each([
    ['eagerly', (layer: BatchNorm1d) => async (x: Tensor) => layer.call(x)],
    ['jitted', (layer: BatchNorm1d) => jit((x: Tensor) => layer.call(x))],
  ])('output and running statistics over three batches, %s', async (_, prepare) => {
    const layer = new BatchNorm1d(channels);
    layer.weight!.assign(tensor([1, 2, 0.5]));
    layer.bias!.assign(tensor([0, 1, -1]));
    const run = prepare(layer);
    const running = Array.from({ length: channels }, () => [0, 1] as [number, number]);
    for (let t = 0; t < 3; t++) {
      const x = batch(t);
      const y = await run(tensor(x));
      const expected = x.flatMap((sample) =>
        sample.flatMap((row, c) => {
          const [mean, variance] = statistics(perChannel(x)[c]!, 0);
          return row.map(
            (each) => ((each - mean) / Math.sqrt(variance + 1e-5)) * [1, 2, 0.5][c]! + [0, 1, -1][c]!,
          );
        }),
      );
      expect(distance(await numbers(y), expected)).toBeLessThan(close);
      for (const [c, values] of perChannel(x).entries()) {
        const [mean, variance] = statistics(values, 1);
        running[c] = [0.9 * running[c]![0] + 0.1 * mean, 0.9 * running[c]![1] + 0.1 * variance];
      }
    }
    expect(
      distance(
        await numbers(layer.runningMean!),
        running.map(([mean]) => mean),
      ),
    ).toBeLessThan(close);
    expect(
      distance(
        await numbers(layer.runningVariance!),
        running.map(([, variance]) => variance),
      ),
    ).toBeLessThan(close);
    expect(await layer.batchesTracked!.item()).toBe(3);

    layer.eval();
    const x = batch(9);
    const expected = x.flatMap((sample) =>
      sample.flatMap((row, c) => {
        const [mean, variance] = running[c]!;
        return row.map(
          (each) => ((each - mean) / Math.sqrt(variance + 1e-5)) * [1, 2, 0.5][c]! + [0, 1, -1][c]!,
        );
      }),
    );
    expect(distance(await numbers(layer.call(tensor(x))), expected)).toBeLessThan(close);
    expect(await layer.batchesTracked!.item()).toBe(3);
  });

  test('momentum null averages all batches', async () => {
    const layer = new BatchNorm1d(channels, { momentum: null });
    for (let t = 0; t < 3; t++) await layer.call(tensor(batch(t))).data();
    const means = Array.from({ length: channels }, (_, c) => {
      const each = [0, 1, 2].map((t) => statistics(perChannel(batch(t))[c]!, 0)[0]);
      return (each[0]! + each[1]! + each[2]!) / 3;
    });
    expect(distance(await numbers(layer.runningMean!), means)).toBeLessThan(close);
  });

  test('no gradient reaches the running statistics, and they hold no graph', async () => {
    const layer = new BatchNorm2d(2);
    const x = randn([3, 2, 4, 4]);
    layer.call(x).square().sum().backward();
    expect(layer.weight!.grad).toBeDefined();
    expect(layer.runningMean!.grad).toBeUndefined();
    expect(layer.runningMean!.requiresGrad).toBe(false);
  });

  test('without running statistics the batch counts in eval too', async () => {
    const layer = new BatchNorm1d(channels, { trackRunningStats: false, affine: false }).eval();
    expect(Object.keys(layer.stateDict())).toEqual([]);
    const y = await numbers(layer.call(tensor(batch(0))).mean([0, 2]));
    for (const mean of y) expect(Math.abs(mean)).toBeLessThan(close);
  });

  test('bad input', () => {
    expect(() => new BatchNorm2d(2).call(randn([2, 2]))).toThrow(ShapeError);
    expect(() => new BatchNorm2d(3).call(randn([2, 2, 4, 4]))).toThrow(ShapeError);
    expect(() => new BatchNorm1d(2).call(randn([1, 2]))).toThrow(/one value per channel/);
    expect(new BatchNorm1d(2).eval().call(randn([1, 2])).shape).toEqual([1, 2]);
    expect(() => new BatchNorm2d(2, { momentum: 2 })).toThrow(ArgumentError);
  });
});

describe('Embedding', () => {
  test('takes rows; a padding row is 0 and gets no gradient', async () => {
    const layer = new Embedding(4, 2, { paddingIndex: 1 });
    expect((await layer.weight.data()).slice(2, 4)).toEqual(new Float32Array(2));
    layer.weight.assign(
      tensor([
        [1, 2],
        [3, 4],
        [5, 6],
        [7, 8],
      ]),
    );
    const y = layer.call(tensor([[3, 1, 0]], { dtype: 'int32' }));
    expect(await y.array()).toEqual([
      [
        [7, 8],
        [3, 4],
        [1, 2],
      ],
    ]);
    y.sum().backward();
    expect(await layer.weight.grad!.array()).toEqual([
      [1, 1],
      [0, 0],
      [0, 0],
      [1, 1],
    ]);
    expect(() => new Embedding(4, 2, { paddingIndex: 4 })).toThrow(ArgumentError);
  });
});

describe('MultiHeadAttention', () => {
  const [heads, features, length, sources] = [2, 6, 4, 5];
  const sequence = (count: number, seed: number): Matrix =>
    matrix(count, features, (i, j) => Math.sin(seed + i * 5 + j * 3));
  const weights = {
    inWeight: matrix(3 * features, features, (i, j) => Math.cos(i * 7 + j * 2) / 2),
    inBias: Array.from({ length: 3 * features }, (_, i) => Math.sin(i)),
    outWeight: matrix(features, features, (i, j) => Math.sin(i * 3 - j)),
    outBias: Array.from({ length: features }, (_, i) => i / 10),
  };
  const make = (options: MultiHeadAttentionOptions = {}): MultiHeadAttention => {
    const layer = new MultiHeadAttention(features, heads, options);
    layer.loadStateDict({
      in_proj_weight: tensor(weights.inWeight),
      in_proj_bias: tensor(weights.inBias),
      'out_proj.weight': tensor(weights.outWeight),
      'out_proj.bias': tensor(weights.outBias),
    });
    return layer;
  };
  const x = [sequence(length, 1), sequence(length, 2)];
  const other = [sequence(sources, 3), sequence(sources, 4)];
  const values = [sequence(sources, 5), sequence(sources, 6)];
  const accuracy = 5e-6;

  test('self-attention', async () => {
    const expected = x.flatMap((each) => flat(attention(each, each, each, heads, weights)));
    expect(distance(await numbers(make().call(tensor(x))), expected)).toBeLessThan(accuracy);
  });

  test('attention to other sequences', async () => {
    const expected = x.flatMap((each, n) => flat(attention(each, other[n]!, values[n]!, heads, weights)));
    const y = make().call(tensor(x), tensor(other), tensor(values));
    expect(distance(await numbers(y), expected)).toBeLessThan(accuracy);
  });

  test.each([0, 1e-9])('causal, with masks of both kinds, dropout %f', async (dropout) => {
    const allowed = matrix(length, length, (i, j) => ((i * 2 + j) % 3 === 0 && i !== j ? 0 : 1));
    const forbid = (i: number, j: number, score: number): number =>
      j <= i && allowed[i]![j] ? score : Number.NEGATIVE_INFINITY;
    const expected = x.flatMap((each) =>
      flat(attention(each, each, each, heads, weights, (_, i, j, s) => forbid(i, j, s))),
    );
    const layer = make({ dropout });
    const isAllowed = tensor(allowed).ne(0);
    const boolean = layer.call(tensor(x), undefined, undefined, { causal: true, mask: isAllowed });
    expect(distance(await numbers(boolean), expected)).toBeLessThan(accuracy);
    const added = where(isAllowed, tensor(0), Number.NEGATIVE_INFINITY);
    const float = layer.call(tensor(x), undefined, undefined, { causal: true, mask: added });
    expect(distance(await numbers(float), expected)).toBeLessThan(accuracy);
  });

  test('a mask for each sequence of the batch', async () => {
    const lengths = [3, 5];
    const expected = x.flatMap((each, n) =>
      flat(
        attention(each, other[n]!, values[n]!, heads, weights, (_, __, j, s) =>
          j < lengths[n]! ? s : Number.NEGATIVE_INFINITY,
        ),
      ),
    );
    const mask = tensor(lengths.map((count) => [[Array.from({ length: sources }, (_, j) => j < count)]]));
    const y = make().call(tensor(x), tensor(other), tensor(values), { mask });
    expect(distance(await numbers(y), expected)).toBeLessThan(accuracy);
  });

  test('length first', async () => {
    const layer = make({ batchFirst: false });
    const y = layer.call(tensor(x).transpose(0, 1)).transpose(0, 1);
    expect(distance(await numbers(y), await numbers(make().call(tensor(x))))).toBeLessThan(accuracy);
  });

  test('dropout drops in training alone, and keeps the mean', async () => {
    const layer = make({ dropout: 0.5, generator: new Generator(3) });
    const expected = await numbers(make().call(tensor(x)));
    expect(distance(await numbers(layer.call(tensor(x))), expected)).toBeGreaterThan(0.01);
    expect(distance(await numbers(layer.eval().call(tensor(x))), expected)).toBeLessThan(accuracy);
  });

  test('gradients reach all parameters; bad arguments', async () => {
    const layer = make();
    layer.call(tensor(x)).square().sum().backward();
    for (const parameter of layer.parameters()) {
      const gradient = await parameter.grad!.data();
      expect(gradient.every(Number.isFinite) && gradient.some((each) => each !== 0)).toBe(true);
    }
    expect(() => new MultiHeadAttention(6, 4)).toThrow(ArgumentError);
    expect(() => layer.call(randn([2, 3, 5]))).toThrow(ShapeError);
    expect(() => layer.call(randn([3, 6]))).toThrow(ShapeError);
    expect(new MultiHeadAttention(6, 2, { bias: false }).parameters().length).toBe(2);
  });
});

describe('seeds', () => {
  test('manualSeed and a generator fix the first values', async () => {
    const first = async (make: () => Linear): Promise<number[]> => numbers(make().weight);
    manualSeed(5);
    const a = await first(() => new Linear(3, 4));
    const b = await first(() => new Linear(3, 4));
    manualSeed(5);
    expect(await first(() => new Linear(3, 4))).toEqual(a);
    expect(b).not.toEqual(a);
    const seeded = () => new Linear(3, 4, { generator: new Generator(9) });
    expect(await first(seeded)).toEqual(await first(seeded));
  });

  test('linear, in double precision', async () => {
    const layer = new Linear(3, 2);
    const [weight, bias] = [await layer.weight.array(), await layer.bias!.array()] as [Matrix, number[]];
    const x = matrix(4, 3, (i, j) => i - j / 3);
    expect(distance(await numbers(layer.call(tensor(x))), flat(linear(x, weight, bias)))).toBeLessThan(close);
  });

  test('bad sizes', () => {
    expect(() => new Linear(0, 2)).toThrow(ArgumentError);
    expect(() => new Linear(2, 1.5)).toThrow(ArgumentError);
    expect(() => new Conv2d(3, 4, 3, { groups: 2 })).toThrow(/multiples of groups/);
    expect(() => new Conv2d(3, 4, 0)).toThrow(ArgumentError);
  });
});
