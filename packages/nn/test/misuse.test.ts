import { ArgumentError, ones, relu, type Tensor, TuttiError, tensor } from '@tutti/core';
import * as nn from '@tutti/nn';
import { describe, expect, test } from 'vitest';
import { onCpu } from './support.ts';

onCpu();

/** Everything that takes options: how, and an option that it has. */
const takers: Readonly<Record<string, readonly [make: (options: never) => unknown, known: string]>> = {
  Linear: [(o) => new nn.Linear(2, 3, o), 'bias'],
  Conv1d: [(o) => new nn.Conv1d(2, 3, 1, o), 'padding'],
  Conv2d: [(o) => new nn.Conv2d(2, 3, 1, o), 'dilation'],
  ConvTranspose2d: [(o) => new nn.ConvTranspose2d(2, 3, 1, o), 'outputPadding'],
  BatchNorm1d: [(o) => new nn.BatchNorm1d(2, o), 'momentum'],
  BatchNorm2d: [(o) => new nn.BatchNorm2d(2, o), 'trackRunningStats'],
  LayerNorm: [(o) => new nn.LayerNorm(2, o), 'affine'],
  MultiHeadAttention: [(o) => new nn.MultiHeadAttention(4, 2, o), 'batchFirst'],
  Dropout: [(o) => new nn.Dropout(0.5, o), 'generator'],
  Embedding: [(o) => new nn.Embedding(3, 2, o), 'paddingIndex'],
  GELU: [(o) => new nn.GELU(o), 'approximate'],
  MaxPool2d: [(o) => new nn.MaxPool2d(2, o), 'stride'],
  AvgPool2d: [(o) => new nn.AvgPool2d(2, o), 'countIncludePad'],
  CrossEntropyLoss: [(o) => new nn.CrossEntropyLoss(o), 'labelSmoothing'],
  NLLLoss: [(o) => new nn.NLLLoss(o), 'ignoreIndex'],
  MSELoss: [(o) => new nn.MSELoss(o), 'reduction'],
  L1Loss: [(o) => new nn.L1Loss(o), 'reduction'],
  HuberLoss: [(o) => new nn.HuberLoss(o), 'delta'],
  BCEWithLogitsLoss: [(o) => new nn.BCEWithLogitsLoss(o), 'reduction'],
  loadStateDict: [(o) => new nn.ReLU().loadStateDict({}, o), 'strict'],
  constant: [(o) => nn.init.constant([2], 1, o), 'device'],
  uniform: [(o) => nn.init.uniform([2], 0, 1, o), 'generator'],
  normal: [(o) => nn.init.normal([2], 0, 1, o), 'generator'],
  truncNormal: [(o) => nn.init.truncNormal([2], o), 'deviation'],
  kaimingUniform: [(o) => nn.init.kaimingUniform([2, 2], o), 'nonlinearity'],
  kaimingNormal: [(o) => nn.init.kaimingNormal([2, 2], o), 'nonlinearity'],
  xavierUniform: [(o) => nn.init.xavierUniform([2, 2], o), 'gain'],
  xavierNormal: [(o) => nn.init.xavierNormal([2, 2], o), 'gain'],
};

const errorOf = (run: () => unknown): TuttiError => {
  try {
    run();
  } catch (error) {
    if (TuttiError.isInstance(error)) return error;
    throw error;
  }
  throw new RangeError('it did not throw');
};

describe('options that do not exist', () => {
  test.each(Object.entries(takers))('of %s', (name, [make, known]) => {
    for (const options of [undefined, {}]) make(options as never);
    const wrong = known.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).concat('s');
    expect(errorOf(() => make({ [wrong]: 1 } as never))).toMatchObject({
      code: 'TUTTI_ARGUMENT',
      op: name,
      received: wrong,
      fix: expect.stringContaining(`did you mean ${known}?`),
    });
    expect(errorOf(() => make(7 as never)).message).toMatch(
      new RegExp(`^${name}: expected an object of options, received 7`),
    );
  });

  test('of a call of attention', () => {
    const x = ones([1, 2, 4]);
    const call = (options: object): Tensor => new nn.MultiHeadAttention(4, 2).call(x, x, x, options);
    expect(call({ causal: true }).shape).toEqual([1, 2, 4]);
    expect(() => call({ isCausal: true })).toThrow(/did you mean causal\?/);
  });

  test('of reading safetensors, before the bytes are looked at', async () => {
    const options = { narow64: true } as never;
    expect(() => nn.decodeSafetensors(new Uint8Array(0), options)).toThrow(/did you mean narrow64\?/);
    await expect(nn.loadSafetensors('nowhere', options)).rejects.toThrow(/did you mean narrow64\?/);
  });
});

describe('a module', () => {
  test('without forward says what is missing', () => {
    class Incomplete extends (nn.Module as unknown as new () => object) {}
    const error = errorOf(() => (new Incomplete() as nn.Module).call(ones([1])));
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toMatch(/Incomplete: this module has no forward\(\)\n.*forward\(x\)/);
  });

  test('given a promise says that it is one', () => {
    const model = new nn.Sequential(new nn.Linear(2, 2), new nn.ReLU());
    expect(() => model.call(Promise.resolve(ones([1, 2])) as never)).toThrow(
      /linear: .*a promise\n.*await it first/,
    );
  });

  test('of layers refuses what is no layer', () => {
    const layer = new nn.Linear(2, 2);
    for (const wrong of [relu, undefined, Promise.resolve(layer)]) {
      expect(() => new nn.Sequential(wrong as never)).toThrow(/Sequential: layer 0 is .*\n.*new ReLU\(\)/);
      expect(() => new nn.Sequential(layer, wrong as never)).toThrow(/Sequential: layer 1 is/);
      expect(() => new nn.Sequential({ first: layer, act: wrong as never })).toThrow(
        /Sequential: layer act is/,
      );
    }
    expect(new nn.Sequential([layer] as never).namedParameters()[0]![0]).toBe('0.weight');
  });

  test('refuses what is no state dict', () => {
    const model = new nn.Linear(2, 2);
    expect(() => model.loadStateDict(Promise.resolve({}) as never)).toThrow(/a promise\n.*await it first/);
    expect(() => model.loadStateDict('model.safetensors' as never)).toThrow(/expected tensors by name/);
  });

  test('whose loss gets labels that are floats says how to cast them', () => {
    const loss = new nn.CrossEntropyLoss();
    expect(() => loss.call(ones([2, 3]), tensor([0, 1]))).toThrow(/float32 for the labels.*cast\('int32'\)/s);
  });
});
