/** Values of what the transforms of autograd give, by the oracle. Their structure is tested in core. */
import { checkpoint, customVjp, grad, noGrad, type Tensor, valueAndGrad, variable, vjp } from '@tutti/core';
import { apply, sizeOf } from '@tutti/core/graph';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkDerivatives, f32, gradients, mul, projected, random, sum, values } from './autograd-check.ts';
import { useGraphOnlyDevice } from './device.ts';

beforeAll(useGraphOnlyDevice);

const add = (a: Tensor, b: Tensor): Tensor => apply('add', [a, b], {});
const exp = (x: Tensor): Tensor => apply('exp', [x], {});
const sin = (x: Tensor): Tensor => apply('sin', [x], {});
const tanh = (x: Tensor): Tensor => apply('tanh', [x], {});
const cube = (x: Tensor): Tensor => sum(mul(mul(x, x), x));

describe('backward', () => {
  it('adds up over calls, in float32', () => {
    const x = variable(f32([1, 2]));
    sum(mul(x, x)).backward();
    sum(x).backward();
    expect(values(x.grad!)).toEqual([3, 5]);
  });

  it('weights by the seed', () => {
    const x = variable(f32([1, 2]));
    mul(x, x).backward(f32([10, 100]));
    expect(values(x.grad!)).toEqual([20, 400]);
  });

  it('differentiates its own result with createGraph', () => {
    const x = variable(f32([1, 2]));
    cube(x).backward(undefined, { createGraph: true });
    const first = x.grad!;
    expect(values(first)).toEqual([3, 12]);
    x.grad = undefined;
    sum(mul(first, first)).backward(); // d (3 x^2)^2 / dx = 36 x^3
    expect(values(x.grad!)).toEqual([36, 288]);
  });

  it('sums 2^20 equal paths', () => {
    const x = variable(f32([1]));
    let y: Tensor = x;
    for (let i = 0; i < 20; i++) y = add(y, y);
    y.backward();
    expect(values(x.grad!)).toEqual([2 ** 20]);
  });
});

describe('grad and vjp', () => {
  it('nest: derivatives of the third order', () => {
    const first = grad(cube);
    const second = grad((x: Tensor) => sum(first(x)));
    const third = grad((x: Tensor) => sum(second(x)));
    const x = f32([2, -1]);
    expect([first, second, third].map((f) => values(f(x)))).toEqual([
      [12, 3],
      [12, -6],
      [6, 6],
    ]);
  });

  it('keep apart what has one name inside and outside', () => {
    // d/dx (x · d/dy (x + y)) at y = 1 is 1, not 2.
    const f = (x: Tensor): Tensor => mul(x, grad((y: Tensor) => add(x, y))(f32([1], [])));
    expect(values(grad(f)(f32([5], [])))).toEqual([1]);
    // The same tensor, watched by both.
    const g = (x: Tensor): Tensor => mul(x, grad((y: Tensor) => mul(y, y))(x));
    expect(values(grad(g)(f32([3], [])))).toEqual([12]);
  });

  it('is zero for an argument that the result does not depend on', () => {
    const [da, db] = grad((a: Tensor, _b: Tensor) => sum(a), [0, 1])(f32([1, 2]), f32([3]));
    expect([values(da), values(db)]).toEqual([[1, 1], [0]]);
  });

  it('give value and gradient of one evaluation', () => {
    const [value, g] = valueAndGrad((p: { w: Tensor; b: Tensor[] }) => sum(add(mul(p.w, p.w), p.b[0]!)))({
      w: f32([3, 4]),
      b: [f32([1, 1])],
    });
    expect([values(value), values(g.w), values(g.b[0]!)]).toEqual([[27], [6, 8], [1, 1]]);
  });

  it('give forward derivatives by pulling twice', () => {
    const pushed = (f: (x: Tensor) => Tensor, x: Tensor, direction: Tensor): Tensor => {
      const [y, pull] = vjp(f, x);
      const [, pullAgain] = vjp((g: Tensor) => pull(g)[0], f32(new Float32Array(sizeOf(y.shape)), y.shape));
      return pullAgain(direction)[0];
    };
    expect(values(pushed((x) => mul(mul(x, x), x), f32([2, 3]), f32([1, 10])))).toEqual([12, 270]);
  });

  it('reach variables through the gradient of an argument', () => {
    const w = variable(f32([2, 3]));
    const penalty = sum(grad((x: Tensor) => sum(mul(mul(w, w), mul(x, x))))(f32([1, 1]))); // sum of 2 w^2 x
    penalty.backward();
    expect(values(w.grad!)).toEqual([8, 12]);
  });
});

describe('customVjp', () => {
  const sigmoid = customVjp(
    (x: Tensor): [Tensor, Tensor] => {
      const half = mul(x, f32(new Float32Array(x.size).fill(0.5), x.shape));
      const y = mul(
        add(tanh(half), f32(new Float32Array(x.size).fill(1), x.shape)),
        f32(new Float32Array(x.size).fill(0.5), x.shape),
      );
      return [y, y];
    },
    (y, gradient) => mul(gradient, apply('sub', [y, mul(y, y)], {})),
  );

  it('has the first and second derivatives that its rule implies', () => {
    checkDerivatives((x) => sigmoid(x), [random(5, [4], -2, 2)]);
    checkDerivatives((x) => mul(exp(x), sigmoid(sin(x))), [random(6, [2, 2])]);
  });

  it('follows the rule and not the forward function', () => {
    const tripled = customVjp(
      (x: Tensor) => exp(x),
      (_, gradient) => add(gradient, add(gradient, gradient)),
    );
    expect(gradients((x) => sum(mul(tripled(x), x)), [f32([0])]).map(values)).toEqual([[1]]);
    expect(gradients((x) => sum(tripled(mul(x, x))), [f32([2])]).map(values)).toEqual([[12]]);
  });
});

describe('checkpoint', () => {
  const block = (x: Tensor): Tensor => mul(tanh(mul(exp(x), sin(x))), x);

  it('has the derivatives of the function itself, first and second', () => {
    checkDerivatives((x) => checkpoint(block)(x), [random(8, [3])]);
    checkDerivatives(
      (x) => checkpoint((t: Tensor) => checkpoint(block)(checkpoint(block)(t)))(exp(x)),
      [random(9, [3])],
    );
    const both = checkpoint((a: Tensor, list: Tensor[]) => ({ y: mul(block(a), list[0]!), z: [mul(a, a)] }));
    checkDerivatives((a, b) => add(both(a, [b]).y, both(a, [b]).z[0]!), [random(10, [3]), random(11, [3])]);
  });

  it('draws no new random numbers', () => {
    let draws = 0;
    const noisy = (x: Tensor): Tensor => {
      const key = apply('cast', [f32([++draws, 7])], { dtype: 'uint32' });
      const bits = apply('cast', [apply('randomBits', [key], { shape: x.shape })], { dtype: 'float32' });
      return mul(exp(x), mul(bits, f32(new Float32Array(x.size).fill(2 ** -32), x.shape)));
    };
    const x = random(12, [4]);
    const y = checkpoint(noisy);
    const result = vjp((t: Tensor) => y(t), x);
    expect(values(result[1](f32([1, 1, 1, 1]))[0])).toEqual(values(result[0])); // d exp(x) c / dx = exp(x) c
    expect(draws).toBe(1);
  });

  it('leaves constant what the function makes constant', () => {
    const half = checkpoint((x: Tensor) =>
      mul(
        x,
        noGrad(() => exp(x)),
      ),
    );
    const x = f32([1, 2]);
    expect(values(grad((t: Tensor) => sum(half(t)))(x))).toEqual(values(exp(x)));
  });

  it('gives variables that the function uses their gradients', () => {
    const [w, x] = [variable(f32([0.5, -1])), random(13, [2])];
    const f = (t: Tensor): Tensor => tanh(mul(exp(w), t));
    projected(checkpoint(f)(x), 1).backward();
    const found = values(w.grad!);
    w.grad = undefined;
    projected(f(x), 1).backward();
    expect(found).toEqual(values(w.grad!));
  });
});
