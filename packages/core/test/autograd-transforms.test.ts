import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { detach, enableGrad, grad, noGrad, valueAndGrad, vjp } from '../src/autograd/index.ts';
import { ArgumentError, GradientError } from '../src/backend/index.ts';
import { apply, context, type Tensor, type Variable } from '../src/tensor/index.ts';
import {
  add,
  exp,
  f32,
  i32,
  inScope,
  mul,
  nodesUnder,
  one,
  parameter,
  sum,
  useGraphOnlyDevice,
} from './autograd-support.ts';

beforeAll(useGraphOnlyDevice);

describe('noGrad and enableGrad', () => {
  it('switch recording, nest, and restore it after an error', () => {
    const w = parameter([2]);
    noGrad(() => {
      expect(exp(w).requiresGrad).toBe(false);
      expect(exp(w).node.constant).toBe(true);
      enableGrad(() => expect(exp(w).requiresGrad).toBe(true));
      expect(exp(w).requiresGrad).toBe(false);
    });
    expect(() => noGrad(() => sum(w).backward(f32([3])))).toThrow(GradientError);
    expect(context.gradEnabled).toBe(true);
    expect(noGrad(() => 5)).toBe(5);
  });

  it('last until the promise of an async function settles', async () => {
    const result = noGrad(async () => {
      await Promise.resolve();
      return context.gradEnabled;
    });
    expect(context.gradEnabled).toBe(false);
    expect(await result).toBe(false);
    expect(context.gradEnabled).toBe(true);
    const failed = noGrad(() => Promise.reject(new GradientError('no')));
    await expect(failed).rejects.toThrow('no');
    expect(context.gradEnabled).toBe(true);
  });

  it('may close in any order', async () => {
    const gates: (() => void)[] = [];
    const waiting = () => new Promise<void>((resolve) => gates.push(resolve));
    const first = noGrad(waiting);
    const second = enableGrad(waiting);
    const third = noGrad(waiting);
    expect(context.gradEnabled).toBe(false);
    gates[1]!();
    await second;
    expect(context.gradEnabled).toBe(false);
    gates[0]!();
    await first;
    expect(context.gradEnabled).toBe(false);
    gates[2]!();
    await third;
    expect(context.gradEnabled).toBe(true);
  });
});

describe('grad', () => {
  it('keeps nothing for later when nothing else can be differentiated', () => {
    const x = f32([3]);
    const inside: Tensor[] = [];
    const [value, g] = valueAndGrad((t: Tensor) => {
      inside.push(exp(t));
      return sum(mul(inside[0]!, t));
    })(x);
    expect(value.requiresGrad).toBe(false);
    expect(g.requiresGrad).toBe(false);
    expect(inside[0]!.node.keep).toBe(false);
    for (const node of nodesUnder(g)) expect(node.keep).toBe(false);
  });

  it('stays differentiable with respect to variables that the function uses, but not inside noGrad', () => {
    const [x, w] = [f32([3]), parameter([3])];
    const f = valueAndGrad((t: Tensor) => sum(mul(exp(t), w)));
    const [value, g] = f(x);
    expect(value.requiresGrad).toBe(true);
    sum(mul(g, g)).backward();
    expect(w.grad!.shape).toEqual([3]);
    const [plain, plainGradient] = noGrad(() => f(x));
    expect(plain.requiresGrad).toBe(false);
    expect(plainGradient.requiresGrad).toBe(false);
    const [, gradientOfVariable] = noGrad(() => valueAndGrad((t: Variable | Tensor) => sum(exp(t)))(w));
    expect(gradientOfVariable.requiresGrad).toBe(false);
  });

  it('takes trees of tensors and leaves other values alone', () => {
    const tree = {
      layers: [
        { w: f32([2]), b: f32([]) },
        { w: f32([3]), b: f32([]) },
      ],
      name: 'net',
      rate: 0.5,
    };
    const g = grad((p: typeof tree, x: Tensor) => {
      expect(p.name).toBe('net');
      return add(mul(sum(p.layers[0]!.w), p.layers[0]!.b), x);
    })(tree, f32([]));
    expectTypeOf(g.layers[0]!.w).toEqualTypeOf<Tensor>();
    expectTypeOf(g.name).toEqualTypeOf<undefined>();
    expect(g.layers[0]!.w.shape).toEqual([2]);
    expect(g.layers[1]!.w.shape).toEqual([3]);
    expect(g.name).toBeUndefined();
    expect(Object.keys(g)).toEqual(['layers', 'name', 'rate']);
  });

  it('takes several argument positions', () => {
    const f = (a: Tensor, n: number, b: Tensor): Tensor => (n > 0 ? sum(mul(a, b)) : sum(a));
    const [da, db] = grad(f, [0, 2])(f32([2]), 1, f32([2]));
    expectTypeOf(da).toEqualTypeOf<Tensor>();
    expect([da.shape, db.shape]).toEqual([[2], [2]]);
    expect(grad(f, 2)(f32([2]), 0, f32([2])).shape).toEqual([2]);
  });

  it('hands auxiliary results through', () => {
    const f = (x: Tensor): [Tensor, { y: Tensor; note: string }] => [
      sum(exp(x)),
      { y: exp(x), note: 'hello' },
    ];
    const [g, aux] = grad(f, 0, { hasAux: true })(f32([2]));
    expect(g.shape).toEqual([2]);
    expect(aux.note).toBe('hello');
    expect(aux.y.requiresGrad).toBe(false);
    const [[value, again], gradient] = valueAndGrad(f, 0, { hasAux: true })(f32([2]));
    expect([value.shape, again.y.shape, gradient.shape]).toEqual([[], [2], [2]]);
  });

  it('is with respect to the argument alone, also when a variable is passed', () => {
    const w = parameter([2]);
    grad((x: Tensor) => sum(mul(x, w)))(w);
    expect(w.grad).toBeUndefined();
  });

  it.each([
    [
      'more than one element',
      () => grad((x: Tensor) => exp(x))(f32([2])),
      GradientError,
      /returned Tensor\(\[2\]/,
    ],
    ['no tensor', () => grad((() => 3) as never)(f32([2]) as never), GradientError, /returned 3/],
    [
      'a promise',
      () => grad((async (x: Tensor) => sum(x)) as never)(f32([2]) as never),
      ArgumentError,
      /promise/,
    ],
    ['an integer argument', () => grad((x: Tensor) => sum(x))(i32([2])), GradientError, /int32/],
    [
      'an argument that is no tensor',
      () => grad((x: number) => sum(f32([x])))(2),
      GradientError,
      /argument 0 of 1/,
    ],
    [
      'an argument that is not there',
      () => grad((x: Tensor) => sum(x), 3 as never)(f32([2])),
      GradientError,
      /argument 3 of 1/,
    ],
  ])('refuses %s', (_, run, type, message) => {
    expect(run).toThrow(type);
    expect(run).toThrow(message);
    expect(context.gradEnabled).toBe(true);
  });

  it('leaves only results in the scope', () => {
    inScope(() => {
      const x = f32([2]);
      const made: Tensor[] = [];
      const before = context.scope!.size;
      const g = grad((t: Tensor) => {
        made.push(t, exp(t));
        return apply('reduceSum', [made[1]!], { axes: [0] });
      })(x);
      const extra = [...context.scope!].slice(before).filter((t) => !made.includes(t) && t !== g);
      expect(extra.every((t) => ['reduceSum', 'const', 'reshape'].includes(t.node.op))).toBe(true);
    });
  });
});

describe('vjp', () => {
  it('pulls gradients back, more than once, to every float tensor', () => {
    const index = i32([2]);
    const [y, pull] = vjp(
      (a: Tensor, b: { c: Tensor }, i: Tensor) => apply('gather', [mul(a, b.c), i], { axis: 0 }),
      f32([3]),
      { c: f32([3]) },
      index,
    );
    expect(y.shape).toEqual([2]);
    expect(y.requiresGrad).toBe(false);
    for (let time = 0; time < 2; time++) {
      const [da, db, di] = pull(f32([2]));
      expect([da.shape, db.c.shape, di]).toEqual([[3], [3], undefined]);
    }
  });

  it('takes results that are trees', () => {
    const [value, pull] = vjp((x: Tensor) => ({ a: exp(x), b: [sum(x)] }), f32([2]));
    expect(value.b[0]!.shape).toEqual([]);
    expect(pull({ a: f32([2]), b: [one()] })[0].shape).toEqual([2]);
    expect(() => pull({ a: f32([2]), b: [] })).toThrow(/1 gradients for 2 results/);
    expect(() => pull({ a: f32([3]), b: [one()] })).toThrow(GradientError);
    expect(() => pull()).toThrow(GradientError);
  });

  it('works when the handles it gave have been disposed', () => {
    const [x, w] = [f32([2]), parameter([2])];
    const pull = inScope(() => vjp((t: Tensor) => exp(mul(t, w)), x)[1]);
    x.dispose();
    expect(pull(f32([2]))[0].shape).toEqual([2]);
  });
});

describe('detach', () => {
  it('ends the history and keeps shape and dtype', () => {
    const x = detach(exp(parameter([2, 3])));
    expect([x.shape, x.dtype, x.requiresGrad]).toEqual([[2, 3], 'float32', false]);
  });
});
