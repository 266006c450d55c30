/** Gradient graphs against finite differences of the forward graph, both evaluated by the float64 oracle. */
import { grad, type Shape, type Tensor } from '@tutti/core';
import { apply, fromHost, type GraphNode, sizeOf } from '@tutti/core/graph';
import { expect } from 'vitest';
import { evaluate, evaluateAll } from '../src/oracle/index.ts';

/** Numbers in [low, high), the same ones in every run. */
export function numbers(seed: number, count: number, low = -1, high = 1): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 3266489917) >>> 0;
    return low + ((state >>> 8) / 2 ** 24) * (high - low);
  });
}

export const f32 = (values: ArrayLike<number>, shape: Shape = [values.length]): Tensor =>
  fromHost(Float32Array.from(values), shape, 'float32');
export const i32 = (values: ArrayLike<number>, shape: Shape = [values.length]): Tensor =>
  fromHost(Int32Array.from(values), shape, 'int32');
export const random = (seed: number, shape: Shape, low?: number, high?: number): Tensor =>
  f32(numbers(seed, sizeOf(shape), low, high), shape);
export const values = (x: Tensor): number[] => [...evaluate(x).values];

export const mul = (a: Tensor, b: Tensor): Tensor => apply('mul', [a, b], {});
export const sum = (x: Tensor): Tensor =>
  apply('reshape', [apply('reduceSum', [x], { axes: x.shape.map((_, axis) => axis) })], { shape: [] });

/** Sum of products with a fixed random tensor: one number that depends on every element in its own way. */
export const projected = (x: Tensor, seed: number): Tensor => sum(mul(x, random(seed, x.shape, 0.5, 1.5)));

type Scalar = (...xs: Tensor[]) => Tensor;

/** The gradients of `fn` with respect to all of `xs`. */
export const gradients = (fn: Scalar, xs: readonly Tensor[]): Tensor[] =>
  grad((list: Tensor[]) => fn(...list))([...xs]);

const step = 1e-4;

/** The central difference quotients of `fn` for every element of every input. */
function differences(fn: Scalar, xs: readonly Tensor[]): number[][] {
  const target = fn(...xs);
  const at = (leaf: GraphNode, moved: Float64Array): number =>
    evaluate(target, { leaves: new Map([[leaf, moved]]) }).values[0]!;
  return xs.map((x) => {
    const host = Float64Array.from(x.node.host!);
    return [...host].map((value, i) => {
      const quotient = (h: number): number =>
        (at(x.node, host.with(i, value + h)) - at(x.node, host.with(i, value - h))) / (2 * h);
      return quotient(step);
    });
  });
}

function compare(actual: readonly Tensor[], expected: readonly number[][], what: string): void {
  for (const [i, result] of evaluateAll(actual).entries()) {
    expect(result.values.length, what).toBe(expected[i]!.length);
    for (const [j, value] of result.values.entries()) {
      const wanted = expected[i]![j]!;
      if (Math.abs(value - wanted) <= 2e-6 * (1 + Math.abs(wanted))) continue;
      expect.fail(`${what}: input ${i}, element ${j}: ${value}, by differences ${wanted}`);
    }
  }
}

/** Checks first and second derivatives of `build` at `xs`, each projected to a number first. */
export function checkDerivatives(build: Scalar, xs: readonly Tensor[]): void {
  const first: Scalar = (...list) => projected(build(...list), 77);
  compare(gradients(first, xs), differences(first, xs), 'first derivative');
  const second: Scalar = (...list) =>
    gradients(first, list)
      .map((g, i) => projected(g, 177 + i))
      .reduce((a, b) => apply('add', [a, b], {}));
  compare(gradients(second, xs), differences(second, xs), 'second derivative');
}
