import { beforeAll, describe, expect, it } from 'vitest';
import { noGrad } from '../src/autograd/index.ts';
import { GradientError } from '../src/backend/index.ts';
import {
  apply,
  context,
  GraphNode,
  type TraceObserver,
  type Variable,
  variable,
} from '../src/tensor/index.ts';
import {
  add,
  exp,
  f32,
  i32,
  inScope,
  leaf,
  mul,
  nodesUnder,
  one,
  opsUnder,
  parameter,
  sum,
  useGraphOnlyDevice,
} from './autograd-support.ts';

beforeAll(useGraphOnlyDevice);

describe('backward', () => {
  it('gives every leaf below a gradient of its shape and dtype', () => {
    const [w, x, other] = [parameter([2, 3]), leaf([2, 3]), parameter([4])];
    sum(mul(w, exp(x))).backward();
    for (const t of [w, x]) {
      expect(t.grad!.shape).toEqual([2, 3]);
      expect(t.grad!.dtype).toBe('float32');
      expect(t.grad!.requiresGrad).toBe(false);
    }
    expect(other.grad).toBeUndefined();
  });

  it('adds to the gradient that is there', () => {
    const w = parameter([2]);
    sum(exp(w)).backward();
    const first = w.grad!;
    sum(w).backward();
    expect(w.grad!.node.op).toBe('add');
    expect(w.grad!.node.inputs).toContain(first.node);
    expect(w.grad!.node.constant).toBe(true);
  });

  it("takes a seed of the tensor's shape", () => {
    const w = parameter([2]);
    const seed = f32([2]);
    exp(w).backward(seed);
    expect(w.grad!.node.inputs).toContain(seed.node);
    expect(seed.disposed).toBe(false);
  });

  it('of a leaf itself is the seed', () => {
    const w = parameter([1]);
    w.backward();
    expect(opsUnder(w.grad!)).toEqual(['reshape', 'const']);
  });

  it('builds no gradient for inputs that need none', () => {
    const [x, w] = [f32([1, 2, 4]), parameter([3, 2, 2])];
    const attributes = {
      stride: [1],
      padLow: [0],
      padHigh: [0],
      inputDilation: [1],
      kernelDilation: [1],
      groups: 1,
    };
    sum(apply('conv', [x, w], attributes)).backward();
    expect(opsUnder(w.grad!).filter((op) => op === 'conv')).toHaveLength(1);
    expect(opsUnder(w.grad!)).not.toContain('flip');
  });

  it('sums over all paths to a shared node, and visits it once', () => {
    const w = parameter([2]);
    const shared = exp(w);
    sum(add(mul(shared, shared), shared)).backward();
    const mulsByShared = nodesUnder(w.grad!).filter(
      (node) => node.op === 'mul' && node.inputs[1] === shared.node,
    );
    expect(mulsByShared).toHaveLength(3); // the product's two gradients and the exponential's one
  });

  it('stops at detach and at what was made under noGrad', () => {
    const [w, v] = [parameter([2]), parameter([2])];
    sum(mul(w, exp(v).detach())).backward();
    expect(w.grad).toBeDefined();
    expect(v.grad).toBeUndefined();
    expect(exp(w).detach().requiresGrad).toBe(false);
  });

  it('goes to the first operand of a barrier alone', () => {
    const [w, v] = [parameter([2]), parameter([2])];
    sum(apply('barrier', [exp(w), exp(v)], { id: 0 })).backward();
    expect(w.grad).toBeDefined();
    expect(v.grad).toBeUndefined();
  });

  it('gives zeros through a derivative that is zero, and nothing through a comparison', () => {
    const [w, v] = [parameter([2]), parameter([2])];
    const rounded = apply('round', [w], {});
    const compared = apply('cast', [apply('lt', [v, w], {})], { dtype: 'float32' });
    sum(add(rounded, compared)).backward();
    expect(opsUnder(w.grad!)).toEqual(['expand', 'reshape', 'const']);
    expect(v.grad).toBeUndefined();
  });

  it('reaches a leaf that has been collected without harm', () => {
    const w = parameter([2]);
    const loss = sum(exp(w));
    w.node.leaf = { deref: () => undefined } as WeakRef<Variable>;
    expect(() => loss.backward()).not.toThrow();
  });

  it('of a variable that was assigned meanwhile is that of the value that was used', () => {
    const w = parameter([2]);
    const loss = sum(exp(w));
    const used = w.node;
    w.assign(f32([2]));
    loss.backward();
    expect(nodesUnder(w.grad!)).toContain(used);
  });

  it('goes down 100,000 nodes', () => {
    const w = parameter([]);
    let y = exp(w);
    for (let i = 0; i < 100_000; i++) y = add(y, one());
    y.backward();
    expect(w.grad!.shape).toEqual([]);
    let shared = exp(w);
    for (let i = 0; i < 300; i++) shared = add(shared, shared); // 2^300 paths
    expect(() => shared.backward()).not.toThrow();
  });

  it('leaves no handle in the scope but what it returned, and outlives it', () => {
    const w = parameter([2]);
    const handles = inScope(() => {
      const loss = sum(exp(w));
      const before = context.scope!.size;
      loss.backward(one());
      return context.scope!.size - before;
    });
    expect(handles).toBe(1); // the seed that was made here
    expect(w.grad!.disposed).toBe(false);
    inScope(() => sum(w).backward());
    expect(w.grad!.disposed).toBe(false);
  });
});

describe('kept values', () => {
  it('are let go after the pass, but for leaves', () => {
    const w = parameter([2]);
    const y = exp(w);
    const loss = sum(mul(y, apply('cast', [apply('lt', [y, w], {})], { dtype: 'float32' })));
    expect(y.node.keep).toBe(true);
    loss.backward();
    for (const node of nodesUnder(loss)) expect(node.keep).toBe(node === w.node);
    for (const node of nodesUnder(w.grad!)) expect(node.keep).toBe(node === w.node);
  });

  it('stay with retainGraph, and with createGraph', () => {
    const w = parameter([2]);
    const y = exp(w);
    const loss = sum(mul(y, y));
    loss.backward(undefined, { retainGraph: true });
    expect(y.node.keep).toBe(true);
    loss.backward(undefined, { createGraph: true });
    expect(y.node.keep).toBe(true);
    expect(w.grad!.requiresGrad).toBe(true);
    loss.backward();
    expect(y.node.keep).toBe(false);
  });
});

describe('what backward refuses', () => {
  it.each([
    [
      'more than one element without a seed',
      () => exp(parameter([2])).backward(),
      /shape \[2\] is not a scalar/,
    ],
    ['a seed of another shape', () => exp(parameter([2])).backward(f32([3])), /gradient is Tensor\(\[3\]/],
    ['a seed of another dtype', () => exp(parameter([2])).backward(i32([2])), /int32/],
    ['a seed that is no tensor', () => exp(parameter([2])).backward(1 as never), /gradient is 1/],
    ['a tensor without history', () => sum(f32([2])).backward(), /needs a gradient/],
    [
      'a variable that wants none',
      () => variable(f32([]), { requiresGrad: false }).backward(),
      /needs a gradient/,
    ],
    [
      'an integer',
      () => apply('cast', [parameter([])], { dtype: 'int32' }).backward(),
      /int32, \w+\) has no derivative: a cast gives whole numbers, int32/,
    ],
    [
      'a path that a comparison ends',
      () => {
        const w = parameter([]);
        apply('cast', [apply('lt', [w, w], {})], { dtype: 'float32' }).backward();
      },
      /no gradient flows .* to a leaf: a comparison \(lt\) gives truth values/,
    ],
    [
      'a position, in another shape',
      () => apply('reshape', [apply('argMax', [parameter([2, 3])], { axis: 0 })], { shape: [3] }).backward(),
      /has no derivative: argMax gives positions/,
    ],
    [
      'a position as a float',
      () => apply('cast', [apply('argMin', [parameter([3])], { axis: 0 })], { dtype: 'float32' }).backward(),
      /to a leaf: argMin gives positions/,
    ],
    [
      'what was detached',
      () => sum(apply('detach', [exp(parameter([2]))], {})).backward(),
      /detach\(\) stops it/,
    ],
    [
      'what was computed without gradients',
      () => sum(noGrad(() => exp(parameter([2])))).backward(),
      /exp was computed inside of noGrad/,
    ],
    [
      'options in place of the gradient',
      () => sum(parameter([2])).backward({ retainGraph: true } as never),
      /backward\(undefined, \{/,
    ],
  ])('%s', (_, run, message) => {
    expect(run).toThrow(GradientError);
    expect(run).toThrow(message);
  });
});

describe('inside a trace', () => {
  it('gives the gradient of a stand-in node to its variable', () => {
    const w = parameter([2]);
    const standIn = new GraphNode('data', [], { shape: [2], dtype: 'float32' }, w.device, {
      tracked: true,
      constant: false,
    });
    standIn.retain();
    standIn.leaf = new WeakRef(w);
    const told: unknown[] = [];
    const trace: TraceObserver = {
      read: () => standIn,
      assign: () => {},
      setGrad: (x) => told.push(x),
      refuse: (what) => {
        throw new GradientError(what);
      },
    };
    context.trace = trace;
    try {
      sum(exp(w)).backward();
      expect(nodesUnder(w.grad!)).toContain(standIn);
    } finally {
      context.trace = undefined;
    }
    expect(told).toEqual([w]);
  });
});
