/**
 * The gradients of `conv` over a grid of attributes. conv is linear in each operand, so with H = <g, conv(x, w)> the
 * gradients must satisfy <dH/dx, x> = <dH/dw, w> = H for random x, w and g: dH/dx does not depend on x, so that one random x
 * tests every element of it. The gradients are convolutions in turn, and the same is asked of theirs.
 */
import { grad, type Tensor } from '@tutti/core';
import { apply, convOutSize, type PrimitiveAttributes } from '@tutti/core/graph';
import { beforeAll, describe, expect, it } from 'vitest';
import { evaluateAll } from '../src/oracle/index.ts';
import { gradients, mul, random, sum } from './autograd-check.ts';
import { useGraphOnlyDevice } from './device.ts';

beforeAll(useGraphOnlyDevice);

type Attributes = PrimitiveAttributes['conv'];

const inner = (a: Tensor, b: Tensor): Tensor => sum(mul(a, b));

function expectEqual(tensors: readonly Tensor[], what: string): void {
  const [first, ...others] = evaluateAll(tensors).map((result) => result.values[0]!);
  for (const other of others) {
    if (Math.abs(other - first!) <= 1e-9 * (1 + Math.abs(first!))) continue;
    expect.fail(`${what}: ${other} instead of ${first}`);
  }
}

function check(attributes: Attributes, inSize: readonly number[], kernelSize: readonly number[]): void {
  const { groups } = attributes;
  const x = random(1, [2, groups * 2, ...inSize]);
  const w = random(2, [groups * 3, 2, ...kernelSize]);
  const g = random(3, [2, groups * 3, ...convOutSize(inSize, kernelSize, attributes)]);
  const u = random(4, x.shape);
  const v = random(5, w.shape);
  const value = (xt: Tensor, wt: Tensor, gt: Tensor): Tensor =>
    inner(gt, apply('conv', [xt, wt], attributes));
  const what = JSON.stringify({ inSize, kernelSize, ...attributes });

  const [dx, dw] = gradients((xt, wt) => value(xt, wt, g), [x, w]) as [Tensor, Tensor];
  expect(dx.shape).toEqual(x.shape);
  expect(dw.shape).toEqual(w.shape);
  expectEqual([value(x, w, g), inner(dx, x), inner(dw, w)], what);

  const throughInput = (wt: Tensor, gt: Tensor): Tensor =>
    inner(u, grad((xt: Tensor) => value(xt, wt, gt))(x));
  const [dw2, dg2] = gradients(throughInput, [w, g]) as [Tensor, Tensor];
  expectEqual([throughInput(w, g), inner(dw2, w), inner(dg2, g)], `through the input gradient, ${what}`);

  const throughKernel = (xt: Tensor, gt: Tensor): Tensor =>
    inner(v, grad((wt: Tensor) => value(xt, wt, gt))(w));
  const [dx3, dg3] = gradients(throughKernel, [x, g]) as [Tensor, Tensor];
  expectEqual([throughKernel(x, g), inner(dx3, x), inner(dg3, g)], `through the kernel gradient, ${what}`);
}

const pads = [
  [0, 0],
  [1, 1],
  [3, 0],
  [0, 2],
  [-1, 1],
  [2, -1],
  [-1, -1],
] as const;

/** Every combination along one spatial axis for which the padded input is as long as the dilated kernel, or one too short. */
function* grid(stride: number): Generator<{ attributes: Attributes; size: number; kernel: number }> {
  for (const [low, high] of pads)
    for (const inputDilation of [1, 2, 3])
      for (const kernelDilation of [1, 2])
        for (const kernel of [1, 2, 3])
          for (const size of [4, 5, 6]) {
            const groups = 1 + ((stride + kernel + size) % 2);
            const attributes = {
              stride: [stride],
              padLow: [low],
              padHigh: [high],
              inputDilation: [inputDilation],
              kernelDilation: [kernelDilation],
              groups,
            };
            yield { attributes, size, kernel };
          }
}

describe('conv gradients', () => {
  it.each([1, 2, 3])(
    'hold along one axis for every padding, dilation, kernel and size at stride %i',
    (stride) => {
      let count = 0;
      for (const { attributes, size, kernel } of grid(stride)) {
        check(attributes, [size], [kernel]);
        count++;
      }
      expect(count).toBe(pads.length * 3 * 2 * 3 * 3);
    },
  );

  it('hold with different attributes along two and three axes', () => {
    check(
      {
        stride: [2, 3],
        padLow: [1, -1],
        padHigh: [0, 2],
        inputDilation: [1, 2],
        kernelDilation: [2, 1],
        groups: 1,
      },
      [5, 4],
      [2, 3],
    );
    check(
      {
        stride: [1, 1],
        padLow: [1, 1],
        padHigh: [1, 1],
        inputDilation: [1, 1],
        kernelDilation: [1, 1],
        groups: 2,
      },
      [4, 5],
      [3, 3],
    );
    check(
      {
        stride: [2, 2],
        padLow: [3, 0],
        padHigh: [1, 2],
        inputDilation: [1, 1],
        kernelDilation: [1, 2],
        groups: 1,
      },
      [6, 7],
      [3, 2],
    );
    check(
      {
        stride: [1, 2, 1],
        padLow: [0, 1, 0],
        padHigh: [1, 0, 0],
        inputDilation: [1, 1, 2],
        kernelDilation: [1, 1, 1],
        groups: 1,
      },
      [3, 4, 2],
      [2, 2, 2],
    );
  });

  it('are zeros of the right shape where the result is empty', () => {
    const attributes = {
      stride: [1],
      padLow: [0],
      padHigh: [0],
      inputDilation: [1],
      kernelDilation: [1],
      groups: 1,
    };
    check(attributes, [2], [3]);
  });
});
