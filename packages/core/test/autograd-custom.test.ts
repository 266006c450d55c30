import { beforeAll, describe, expect, it } from 'vitest';
import { checkpoint, customVjp, grad, noGrad } from '../src/autograd/index.ts';
import { ArgumentError, GradientError } from '../src/backend/index.ts';
import { apply, context, type GraphNode, type Tensor } from '../src/tensor/index.ts';
import {
  exp,
  f32,
  inScope,
  leaf,
  mul,
  nodesUnder,
  opsUnder,
  parameter,
  sum,
  useGraphOnlyDevice,
} from './autograd-support.ts';

beforeAll(useGraphOnlyDevice);

const round = (x: Tensor): Tensor => apply('round', [x], {});

describe('customVjp', () => {
  it('uses the rule that it is given', () => {
    const straightThrough = customVjp(
      (x: Tensor) => round(x),
      (_saved, gradient) => gradient,
    );
    const w = parameter([3]);
    const y = straightThrough(w);
    expect(y.node.op).toBe('custom');
    sum(y).backward();
    expect(opsUnder(w.grad!)).not.toContain('round');
  });

  it('finds saved values again after every handle has been disposed', () => {
    const w = parameter([2]);
    const square = customVjp(
      (x: Tensor): [Tensor, { parts: Tensor[]; note: string }] => [
        mul(x, x),
        { parts: [exp(x), x], note: 'kept' },
      ],
      ({ parts, note }, gradient) => {
        expect(note).toBe('kept');
        expect(gradient.shape).toEqual([2]);
        return mul(mul(parts[1]!, parts[0]!), gradient);
      },
    );
    let loss: Tensor | undefined;
    inScope(() => {
      const x = exp(w);
      loss = sum(square(x));
      context.scope!.delete(loss);
    });
    loss!.backward();
    expect(w.grad!.shape).toEqual([2]);
  });

  it('passes other arguments along, and takes a gradient for each', () => {
    const power = customVjp(
      (x: Tensor, n: number, y: Tensor) => (n === 2 ? mul(x, y) : x),
      ([x, n, y], gradient) => {
        expect(n).toBe(2);
        return [mul(y, gradient), undefined, mul(x, gradient)];
      },
    );
    const [a, b] = [parameter([2]), parameter([2])];
    sum(power(a, 2, b)).backward();
    expect([a.grad!.shape, b.grad!.shape]).toEqual([[2], [2]]);
  });

  it('keeps what is saved until the pass, and nothing else of the forward function', () => {
    let inside: GraphNode | undefined;
    let saved: GraphNode | undefined;
    const f = customVjp(
      (x: Tensor): [Tensor, Tensor] => {
        const between = exp(x);
        inside = between.node;
        const kept = mul(between, between);
        saved = kept.node;
        return [exp(kept), kept];
      },
      (kept, gradient) => mul(kept, gradient),
    );
    const loss = sum(f(parameter([2])));
    expect([inside!.keep, saved!.keep]).toEqual([false, true]);
    loss.backward();
    expect(saved!.keep).toBe(false);
  });

  it('gives tensors to a rule that looks at gradients, and leaves them to it', () => {
    const seen: Tensor[] = [];
    const watch = customVjp(
      (x: Tensor) => x,
      (_, gradient) => {
        seen.push(gradient);
        return gradient;
      },
    );
    sum(watch(exp(parameter([2])))).backward();
    expect(seen[0]!.disposed).toBe(false);
  });

  it('has no gradient for what the function uses beside its arguments', () => {
    const [x, w] = [parameter([2]), parameter([2])];
    const f = customVjp(
      (t: Tensor): [Tensor, Tensor] => [mul(t, w), w],
      (_, gradient) => gradient,
    );
    sum(f(x)).backward();
    expect(x.grad).toBeDefined();
    expect(w.grad).toBeUndefined();
  });

  it('adds no node where no gradient is wanted', () => {
    const f = customVjp(
      (x: Tensor) => exp(x),
      (_, gradient) => gradient,
    );
    expect(f(f32([2])).node.op).toBe('exp');
    expect(noGrad(() => f(parameter([2]))).node.op).toBe('exp');
  });

  it('refuses a gradient of another shape, and a result that is no tensor', () => {
    const wrong = customVjp(
      (x: Tensor) => exp(x),
      () => f32([3]),
    );
    expect(() => sum(wrong(parameter([2]))).backward()).toThrow(GradientError);
    const superfluous = customVjp(
      (x: Tensor, _n: number) => exp(x),
      (_, g) => [g, g],
    );
    expect(() => sum(superfluous(parameter([2]), 1)).backward()).toThrow(/argument 1/);
    expect(() => customVjp((() => 3) as never, () => undefined)()).toThrow(ArgumentError);
    expect(context.gradEnabled).toBe(true);
    expect(context.scope).toBeUndefined();
  });
});

describe('checkpoint', () => {
  const block = (x: Tensor): Tensor => exp(mul(exp(x), exp(x)));

  it('keeps nothing of the function, and computes it again behind barriers that wait for the gradient', () => {
    const x = leaf([2]);
    const y = checkpoint(block)(x);
    const forward = nodesUnder(y).filter((node) => node.op === 'exp' || node.op === 'mul');
    expect(forward.every((node) => !node.keep)).toBe(true);
    const seed = f32([2]);
    y.backward(seed);
    const under = nodesUnder(x.grad!);
    for (const node of forward) expect(under).not.toContain(node);
    const barriers = under.filter((node) => node.op === 'barrier');
    expect(barriers).toHaveLength(1);
    expect(barriers[0]!.inputs).toEqual([x.node, seed.node]);
    expect(under.filter((node) => node.op === 'exp')).toHaveLength(3);
    expect(under.some((node) => node.keep && !node.leaf)).toBe(false);
  });

  it('numbers barriers alike in equal passes, and differently in one', () => {
    const ids = (): number[] => {
      const x = leaf([2]);
      const twice = checkpoint(block)(checkpoint(block)(exp(x)));
      sum(twice).backward();
      return nodesUnder(x.grad!).flatMap((node) =>
        node.op === 'barrier' ? [(node as GraphNode<'barrier'>).attributes.id] : [],
      );
    };
    const first = ids();
    expect(new Set(first).size).toBe(2);
    expect(ids()).toEqual(first);
  });

  it('brings variables and outer tensors that the function uses their gradients', () => {
    const [w, v, x] = [parameter([2]), parameter([2]), f32([2])];
    const outer = exp(v);
    let calls = 0;
    const y = checkpoint((t: Tensor) => {
      calls++;
      return { a: mul(exp(mul(t, w)), outer), b: [exp(t)] };
    })(x);
    expect(y.b[0]!.node.op).toBe('exp'); // nothing there wants a gradient
    sum(y.a).backward();
    expect([w.grad!.shape, v.grad!.shape, calls]).toEqual([[2], [2], 1]);
  });

  it('does not copy what was made without gradients into something with them', () => {
    const [w, x] = [parameter([2]), leaf([2])];
    sum(
      checkpoint((t: Tensor) =>
        mul(
          t,
          noGrad(() => exp(w)),
        ),
      )(x),
    ).backward();
    expect(x.grad).toBeDefined();
    expect(w.grad).toBeUndefined();
  });

  it('works inside itself, and gives back an argument as it is', () => {
    const x = leaf([2]);
    sum(checkpoint((t: Tensor) => mul(checkpoint(block)(t), t))(x)).backward();
    expect(x.grad!.shape).toEqual([2]);
    expect(checkpoint((t: Tensor) => t)(x)).toBe(x);
    expect(noGrad(() => checkpoint(block)(x)).node.op).toBe('exp');
    expect(grad((t: Tensor) => sum(checkpoint(block)(t)))(x).shape).toEqual([2]);
  });

  it('inside another recomputes its own part and no more', () => {
    const [x, scale] = [leaf([2]), f32([2])];
    const scaled = (t: Tensor): Tensor => block(mul(t, scale)); // three exponentials
    const outer = checkpoint((t: Tensor) => checkpoint(scaled)(checkpoint(scaled)(t)));
    const seed = f32([2]);
    outer(exp(x)).backward(seed);
    // One to reach the outer function, and the first part again on the way to the second, and each part for itself.
    expect(opsUnder(x.grad!).filter((op) => op === 'exp')).toHaveLength(1 + 3 + 3 + 3);
  });

  it('survives the disposal of every handle', () => {
    const x = leaf([2]);
    let y: Tensor | undefined;
    inScope(() => {
      y = checkpoint(block)(exp(x));
      context.scope!.delete(y);
    });
    sum(y!).backward();
    expect(x.grad!.shape).toEqual([2]);
  });
});
