import { ArgumentError, linear, type Tensor, tensor, type Variable, variable, zeros } from '@tutti/core';
import {
  BatchNorm2d,
  buffer,
  Conv2d,
  Dropout,
  Embedding,
  Identity,
  LayerNorm,
  Linear,
  Module,
  MultiHeadAttention,
  ReLU,
  Sequential,
  type StateDict,
  StateDictError,
} from '@tutti/nn';
import { describe, expect, test } from 'vitest';
import { onCpu } from './support.ts';

onCpu();

class Block extends Module {
  norm = new LayerNorm(4);
  act = new ReLU();
  forward(x: Tensor): Tensor {
    return this.act.call(this.norm.call(x));
  }
}

class Net extends Module {
  scale = variable(tensor(2));
  conv1 = new Conv2d(1, 2, 3);
  bn1 = new BatchNorm2d(2);
  blocks = [new Block(), new Block()];
  heads: Record<string, Module> = { left: new Linear(4, 1), right: new Linear(4, 1, { bias: false }) };
  steps = buffer(variable(zeros([], { dtype: 'int32' })));
  constant = tensor([1, 2]);
  note = 'not state';
  #hidden = new Linear(2, 2);
  forward(x: Tensor): Tensor {
    return this.#hidden.call(x);
  }
}

describe('names', () => {
  test('parameters come in the order of the fields, named by their path', () => {
    expect(new Net().namedParameters().map(([name]) => name)).toEqual([
      'scale',
      'conv1.weight',
      'conv1.bias',
      'bn1.weight',
      'bn1.bias',
      'blocks.0.norm.weight',
      'blocks.0.norm.bias',
      'blocks.1.norm.weight',
      'blocks.1.norm.bias',
      'heads.left.weight',
      'heads.left.bias',
      'heads.right.weight',
    ]);
  });

  test('buffers are apart, and in the state dict', () => {
    const net = new Net();
    const buffers = ['bn1.running_mean', 'bn1.running_var', 'bn1.num_batches_tracked', 'steps'];
    expect(net.namedBuffers().map(([name]) => name)).toEqual(buffers);
    const names = Object.keys(net.stateDict());
    expect(names.length).toBe(16);
    expect(names).toEqual(expect.arrayContaining(buffers));
    expect(names.indexOf('bn1.running_mean')).toBe(names.indexOf('bn1.bias') + 1);
  });

  test("PyTorch's names", () => {
    const names = (module: Module<never, unknown>) => Object.keys(module.stateDict());
    expect(names(new MultiHeadAttention(4, 2))).toEqual([
      'in_proj_weight',
      'in_proj_bias',
      'out_proj.weight',
      'out_proj.bias',
    ]);
    expect(names(new Sequential(new Linear(1, 1), new ReLU(), new Linear(1, 1)))).toEqual([
      '0.weight',
      '0.bias',
      '2.weight',
      '2.bias',
    ]);
    expect(names(new Sequential({ a: new Linear(1, 1, { bias: false }), b: new Embedding(2, 2) }))).toEqual([
      'a.weight',
      'b.weight',
    ]);
    expect(names(new Sequential(new Sequential(new Linear(1, 1, { bias: false }))))).toEqual(['0.0.weight']);
  });

  test('modules come with their names, this one first', () => {
    const net = new Sequential(new Identity(), new Sequential(new ReLU()));
    expect(net.namedModules().map(([name]) => name)).toEqual(['', '0', '1', '1.0']);
  });

  test('a shared parameter is one parameter with two names in the state dict', () => {
    class Tied extends Module {
      embedding = new Embedding(5, 3);
      out = { weight: this.embedding.weight };
      forward(x: Tensor): Tensor {
        return linear(this.embedding.call(x), this.out.weight);
      }
    }
    const tied = new Tied();
    expect(tied.namedParameters().map(([name]) => name)).toEqual(['embedding.weight']);
    expect(Object.keys(tied.stateDict())).toEqual(['embedding.weight', 'out.weight']);
  });

  test('a module inside of itself is an error, not an endless walk', () => {
    class Loop extends Module {
      child: { parent?: Module } = {};
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    const loop = new Loop();
    loop.child.parent = loop;
    expect(() => loop.parameters()).toThrow(ArgumentError);
    expect(() => loop.parameters()).toThrow(/'child\.parent' contains itself/);
  });
});

describe('modes and gradients', () => {
  test('train and eval reach every module', () => {
    const net = new Net();
    net.eval();
    expect(net.modules().map(({ training }) => training)).not.toContain(true);
    expect(
      net
        .train()
        .modules()
        .map(({ training }) => training),
    ).not.toContain(false);
  });

  test('dropout drops in training and is the identity in eval', async () => {
    const dropout = new Dropout(0.5);
    const x = tensor(new Float32Array(1000).fill(1));
    expect(dropout.eval().call(x)).toBeDefined();
    expect(await dropout.call(x).data()).toEqual(new Float32Array(1000).fill(1));
    const dropped = await dropout.train().call(x).data();
    expect(new Set(dropped)).toEqual(new Set([0, 2]));
    expect(() => new Dropout(1.5)).toThrow(ArgumentError);
  });

  test('zeroGrad drops gradients', () => {
    const layer = new Linear(2, 1);
    layer
      .call(tensor([[1, 2]]))
      .sum()
      .backward();
    const { grad } = layer.weight;
    expect(grad!.shape).toEqual([1, 2]);
    layer.zeroGrad();
    expect(layer.parameters().every((parameter: Variable) => parameter.grad === undefined)).toBe(true);
    expect(grad!.disposed).toBe(true);
  });

  test('dispose gives everything back', () => {
    const net = new Sequential(new Linear(2, 2), new BatchNorm2d(2));
    const all = [...net.parameters(), ...net.buffers()];
    net.dispose();
    expect(all.every(({ disposed }) => disposed)).toBe(true);
  });
});

describe('state dict', () => {
  const make = () => new Sequential(new Linear(3, 2), new BatchNorm2d(2));

  test('a round trip gives equal values, and the dict stays what it was', async () => {
    const [a, b] = [make(), make()];
    const dict = a.stateDict();
    const before = await dict['0.weight']!.data();
    expect(b.loadStateDict(dict)).toEqual({ missing: [], unexpected: [] });
    expect(await (b.layers as Linear[])[0]!.weight.data()).toEqual(before);
    a.parameters()[0]!.assign(zeros([2, 3]));
    expect(await a.parameters()[0]!.data()).toEqual(new Float32Array(6));
    expect(await dict['0.weight']!.data()).toEqual(before);
  });

  test('floats of other widths are cast, and integers of other widths too', async () => {
    const net = make();
    const dict: StateDict = { ...net.stateDict(), '0.bias': tensor([1.5, 2], { dtype: 'float16' }) };
    dict['1.num_batches_tracked'] = tensor(7, { dtype: 'uint32' });
    net.loadStateDict(dict);
    expect(await (net.layers as Linear[])[0]!.bias!.array()).toEqual([1.5, 2]);
    expect(await net.buffers()[2]!.item()).toBe(7);
  });

  test('missing, unexpected and mismatched names are all listed, and nothing is loaded', async () => {
    const net = make();
    const before = await net.parameters()[0]!.data();
    const { '0.bias': _, ...rest } = net.stateDict();
    const dict: StateDict = { ...rest, '0.weight': zeros([2, 3]), extra: zeros([1]), '1.weight': zeros([3]) };
    dict['1.running_mean'] = zeros([2], { dtype: 'int32' });
    let error: unknown;
    try {
      net.loadStateDict(dict);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(StateDictError);
    const { code, problems, message } = error as StateDictError;
    expect(code).toBe('TUTTI_STATE_DICT');
    expect(problems).toEqual({
      missing: ['0.bias'],
      unexpected: ['extra'],
      mismatched: ['1.weight: float32 [3] for float32 [2]', '1.running_mean: int32 [2] for float32 [2]'],
    });
    expect(message).toMatch(/missing: 0\.bias\n.*unexpected: extra\n.*mismatched: 1\.weight/);
    expect(await net.parameters()[0]!.data()).toEqual(before);
  });

  test('without strict the names that both have are loaded, but a wrong shape is still an error', async () => {
    const net = make();
    const report = net.loadStateDict({ '0.bias': tensor([3, 4]), extra: zeros([1]) }, { strict: false });
    expect(report.unexpected).toEqual(['extra']);
    expect(report.missing).toContain('0.weight');
    expect(await (net.layers as Linear[])[0]!.bias!.array()).toEqual([3, 4]);
    expect(() => net.loadStateDict({ '0.bias': zeros([3]) }, { strict: false })).toThrow(StateDictError);
  });

  test('names of the object prototype are missing, not found', () => {
    class Odd extends Module {
      constructor_ = variable(zeros([1]));
      protected override stateName(): string {
        return 'constructor';
      }
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    expect(() => new Odd().loadStateDict({})).toThrow(/missing: constructor/);
  });

  test('to(device) makes new variables with the same values', async () => {
    const net = make();
    const [old] = net.parameters();
    const before = await old!.data();
    await net.to('cpu');
    expect(old!.disposed).toBe(true);
    expect(await net.parameters()[0]!.data()).toEqual(before);
    expect(net.namedBuffers().map(([name]) => name)).toContain('1.running_var');
    expect(net.buffers()[2]!.dtype).toBe('int32');
  });
});
