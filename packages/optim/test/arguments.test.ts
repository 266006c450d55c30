import { ArgumentError, DTypeError, ShapeError, tensor, type Variable, variable, zeros } from '@tutti/core';
import { Adam, AdamW, clipGradNorm, clipGradValue, SGD } from '@tutti/optim';
import { describe, expect, test } from 'vitest';
import { distance } from './reference.ts';
import { onCpu } from './support.ts';

onCpu();

/** Something with parameters that is not one. */
class Model {
  parameters = (): Variable[] => [p()];
}
const model = new Model();
const p = (): Variable => variable(tensor([1, 2]));

describe('arguments', () => {
  const bad: [string, () => unknown, RegExp][] = [
    ['no parameters', () => new SGD([]), /no parameters/],
    ['something else', () => new SGD(p() as never), /no parameters/],
    ['a tensor', () => new SGD([tensor(1)] as never), /not a variable|without parameters/],
    ['an empty group', () => new SGD([{ parameters: [] }]), /group without parameters/],
    ['a group that is none', () => new Adam([{ lr: 3 }] as never), /group without parameters/],
    [
      'a parameter twice',
      () => {
        const twice = p();
        return new SGD([{ parameters: [twice] }, { parameters: [twice] }]);
      },
      /given twice/,
    ],
    ['a negative rate', () => new SGD([p()], { lr: -1 }), /SGD: lr is -1/],
    ['an infinite rate', () => new Adam([p()], { lr: Number.POSITIVE_INFINITY }), /lr is Infinity/],
    ['a rate that is NaN', () => new AdamW([p()], { lr: Number.NaN }), /AdamW: lr is NaN/],
    ['a negative rate of a group', () => new SGD([{ parameters: [p()], lr: -2 }]), /lr is -2/],
    ['a negative momentum', () => new SGD([p()], { momentum: -0.1 }), /momentum/],
    ['a negative weight decay', () => new Adam([p()], { weightDecay: -1 }), /weightDecay/],
    ['Nesterov without momentum', () => new SGD([p()], { nesterov: true }), /nesterov/],
    [
      'Nesterov with dampening',
      () => new SGD([p()], { nesterov: true, momentum: 1, dampening: 0.1 }),
      /nesterov/,
    ],
    ['a beta of 1', () => new Adam([p()], { betas: [0.9, 1] }), /betas is \[0\.9,1\]/],
    ['a negative beta', () => new AdamW([p()], { betas: [-0.1, 0.9] }), /betas/],
    ['one beta', () => new Adam([p()], { betas: [0.9] as never }), /betas/],
    ['a module', () => new Adam(model as never), /Adam: no parameters, but an? \w+\n.*model\.parameters\(\)/],
    [
      'a list of modules',
      () => new SGD([model] as never),
      /not a variable: an? \w+\n.*model\.parameters\(\)/,
    ],
    ['a function', () => new SGD(model.parameters as never), /a function\n.*call it: model\.parameters\(\)/],
    ['a promise', () => new SGD(Promise.resolve([p()]) as never), /a promise\n.*await it first/],
    ['a variable by itself', () => new SGD(p() as never), /but a Variable\n.*\[variable\]/],
    [
      'names and parameters',
      () => new SGD([['w', p()]] as never),
      /an array among the parameters\n.*without names/,
    ],
    [
      'an unknown setting',
      () => new SGD([p()], { learningRate: 0.1 } as never),
      /no option "learningRate"\n.*did you mean lr\?/,
    ],
    [
      "another library's spelling",
      () => new Adam([p()], { weight_decay: 1 } as never),
      /did you mean weightDecay\?/,
    ],
    [
      'a setting of another optimiser',
      () => new Adam([p()], { momentum: 1 } as never),
      /Adam takes the options lr, betas, eps, weightDecay/,
    ],
    [
      'a rate that is not in an object',
      () => new SGD([p()], 0.1 as never),
      /received 0\.1\n.*did you mean \{ lr: 0\.1 \}\?/,
    ],
    [
      'an unknown setting of a group',
      () => new SGD([{ parameters: [p()], Lr: 1 }] as never),
      /a group of SGD: .*"Lr"\n.*did you mean lr\?/,
    ],
    ['a group under another name', () => new SGD([{ params: [p()] }] as never), /did you mean parameters\?/],
    [
      'an unknown option of clipping',
      () => clipGradNorm([p()], 1, { order: 1 } as never),
      /clipGradNorm takes the option p/,
    ],
    [
      'clipping a module',
      () => clipGradNorm(model as never, 1),
      /clipGradNorm: no parameters, .*model\.parameters\(\)/s,
    ],
    [
      'clipping values of a module',
      () => clipGradValue([model] as never, 1),
      /clipGradValue: .*model\.parameters\(\)/s,
    ],
    ['a negative eps', () => new Adam([p()], { eps: -1e-8 }), /eps/],
  ];
  test.each(bad)('%s', (_, make, message) => {
    expect(make).toThrow(ArgumentError);
    expect(make).toThrow(message);
  });

  test('a rate set later', () => {
    const optimizer = new SGD([p()]);
    expect(() => {
      optimizer.lr = -1;
    }).toThrow(ArgumentError);
    expect(optimizer.lr).toBe(1e-3);
  });

  test('a parameter that is not float32, and a gradient of another shape', () => {
    expect(() => new SGD([variable(tensor([1], { dtype: 'int32' }))])).toThrow(DTypeError);
    const parameter = p();
    parameter.grad = zeros([3]);
    expect(() => new SGD([parameter]).step()).toThrow(ShapeError);
  });

  test('a state that does not fit lists what is wrong and changes nothing', async () => {
    const optimizer = new Adam([p(), p()], { lr: 0.5 });
    const { tensors } = optimizer.stateDict();
    const { '0.step': _, ...rest } = tensors;
    const load = () =>
      optimizer.loadStateDict({
        tensors: { ...rest, '1.exp_avg': zeros([3]), extra: zeros([]) },
        lrs: [1, 2],
      });
    expect(load).toThrow(
      /0\.step is missing; 1\.exp_avg is \[3\], not \[2\]; extra is unexpected; 2 learning rates/,
    );
    expect(load).toThrow(expect.objectContaining({ code: 'TUTTI_STATE_DICT' }));
    expect(optimizer.lr).toBe(0.5);
  });

  test("names of the state are PyTorch's", () => {
    expect(Object.keys(new Adam([p()]).stateDict().tensors)).toEqual(['0.step', '0.exp_avg', '0.exp_avg_sq']);
    expect(Object.keys(new SGD([p(), p()], { momentum: 0.9 }).stateDict().tensors)).toEqual([
      '0.momentum_buffer',
      '1.momentum_buffer',
    ]);
    expect(new SGD([p()]).stateDict().tensors).toEqual({});
  });
});

describe('clipping', () => {
  const withGradients = (...gradients: number[][]): Variable[] =>
    gradients.map((values) => {
      const parameter = variable(zeros([values.length]));
      parameter.grad = tensor(values);
      return parameter;
    });
  const gradients = async (parameters: readonly Variable[]): Promise<number[]> =>
    (await Promise.all(parameters.map(async ({ grad }) => [...(await grad!.data())]))).flat();

  test('the norm of all gradients together is limited', async () => {
    const parameters = [...withGradients([3, 0], [4]), p()];
    const norm = clipGradNorm(parameters, 1);
    expect(await norm.item()).toBe(5);
    expect(distance(await gradients(parameters.slice(0, 2)), [0.6, 0, 0.8])).toBeLessThan(1e-6);
    expect(parameters[2]!.grad).toBeUndefined();
  });

  test('small gradients stay as they are', async () => {
    const parameters = withGradients([3, 0], [4]);
    expect(await clipGradNorm(parameters, 10).item()).toBe(5);
    expect(await gradients(parameters)).toEqual([3, 0, 4]);
  });

  test('the largest magnitude, and other norms', async () => {
    const parameters = withGradients([3, -6], [4]);
    expect(await clipGradNorm(parameters, 3, { p: Number.POSITIVE_INFINITY }).item()).toBe(6);
    expect(distance(await gradients(parameters), [1.5, -3, 2])).toBeLessThan(1e-6);
    expect(await clipGradNorm(withGradients([1, -2], [3]), 3, { p: 1 }).item()).toBe(6);
  });

  test('NaN and infinity show', async () => {
    const nan = withGradients([1, Number.NaN], [2]);
    expect(await clipGradNorm(nan, 1).item()).toBeNaN();
    expect(await gradients(nan)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    const infinite = withGradients([1, Number.POSITIVE_INFINITY]);
    expect(await clipGradNorm(infinite, 1).item()).toBe(Number.POSITIVE_INFINITY);
    expect(await gradients(infinite)).toEqual([0, Number.NaN]);
  });

  test('no gradients have the norm 0', async () => {
    expect(await clipGradNorm([p()], 1).item()).toBe(0);
  });

  test('values are limited one by one', async () => {
    const parameters = withGradients([3, -0.5, Number.NaN], [-4]);
    clipGradValue(parameters, 1);
    expect(await gradients(parameters)).toEqual([1, -0.5, Number.NaN, -1]);
  });

  test('bad limits', () => {
    expect(() => clipGradNorm([p()], 0)).toThrow(ArgumentError);
    expect(() => clipGradNorm(withGradients([1]), 1, { p: 0 })).toThrow(ArgumentError);
    expect(() => clipGradValue([p()], Number.NaN)).toThrow(ArgumentError);
  });
});
