/** Derivatives by finite differences of the oracle: what the gradient rules are checked against, with no device at all. */
import { mul, sum, type Tensor, tensor, vjp } from '@tutti/core';
import type { GraphNode } from '@tutti/core/graph';
import type { Sample } from '../cases/case.ts';
import { materialise } from '../cases/inputs.ts';
import { evaluate, evaluateAll } from '../oracle/evaluate.ts';
import { buildGradient, weights } from './expectation.ts';

/** Larger samples are left to the comparison of a backend with the oracle. */
const mostElements = 80;
const directions = 3;
/** The step of the five-point formula, whose error is of the fourth order in it. */
const step = 1e-3;
/** Relative to the sum of the gradient's magnitudes. */
const relativeTolerance = 2e-6;

const elementsOf = (x: Tensor): number => x.size;

/** A weighted sum of results, so that a single number has all their derivatives in it. */
function weighted(outputs: readonly Tensor[], seed: number): Tensor {
  const terms = outputs.map((output, i) => sum(mul(output, weightTensor(output, seed + i))));
  return terms.reduce((a, b) => a.add(b));
}

const weightTensor = (like: Tensor, seed: number): Tensor =>
  tensor(weights(like.size, seed), { shape: like.shape });

type Function = (leaves: ReadonlyMap<GraphNode, Float64Array>) => number;

/** d/dt f(x + t * direction) at 0. */
function slope(
  f: Function,
  nodes: readonly GraphNode[],
  values: readonly Float64Array[],
  direction: readonly Float32Array[],
): number {
  const at = (t: number): number =>
    f(new Map(nodes.map((node, i) => [node, values[i]!.map((x, k) => x + t * direction[i]![k]!)])));
  return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
}

interface Differentiated {
  /** The scalar function. */
  readonly value: Tensor;
  readonly arguments: readonly Tensor[];
  readonly gradients: readonly Tensor[];
}

/** Compares a gradient graph with the differences of its function in a few directions. */
function compareSlopes(
  { value, arguments: args, gradients }: Differentiated,
  seed: number,
): string | undefined {
  const nodes = args.map((x) => x.node);
  const all = evaluateAll([...args, ...gradients]);
  const values = all.slice(0, args.length).map((each) => each.values);
  const slopes = all.slice(args.length).map((each) => each.values);
  const f: Function = (leaves) => evaluate(value, { leaves }).values[0]!;
  const size = slopes.reduce((total, gradient) => gradient.reduce((sum, g) => sum + Math.abs(g), total), 0);
  if (!Number.isFinite(size))
    return `the gradient holds ${slopes.flatMap((g) => [...g]).find((g) => !Number.isFinite(g))}`;
  for (let d = 0; d < directions; d++) {
    const direction = values.map((x, i) => weights(x.length, seed + 100 * d + i));
    const numeric = slope(f, nodes, values, direction);
    const analytic = slopes.reduce(
      (total, g, i) => g.reduce((sum, x, k) => sum + x * direction[i]![k]!, total),
      0,
    );
    const room = relativeTolerance * size + 1e-9;
    if (Math.abs(numeric - analytic) <= room) continue;
    return `slope along direction ${d} is ${analytic}, by finite differences ${numeric} (± ${room.toExponential(1)})`;
  }
  return undefined;
}

const applies = (sample: Sample): boolean =>
  sample.smooth !== false && sample.inputs.some((input) => input.differentiable && input.values.length > 0);

/** Why the gradient of a sample is not the slope of its function, or undefined; 'skipped' where there is nothing to compare. */
export function checkGradient(sample: Sample): string | undefined {
  if (!applies(sample)) return 'skipped';
  const inputs = sample.inputs.map(materialise);
  const built = buildGradient(sample, inputs, (output, i) => weightTensor(output, i));
  const args = built.positions.map((i) => inputs[i]!);
  if (args.reduce((total, x) => total + elementsOf(x), 0) > mostElements) return 'skipped';
  if (built.outputs.every((output) => output.size === 0)) return 'skipped';
  return compareSlopes({ value: weighted(built.outputs, 0), arguments: args, gradients: built.gradients }, 7);
}

/** As `checkGradient` for the gradient itself: second derivatives. */
export function checkSecondGradient(sample: Sample): string | undefined {
  if (!applies(sample)) return 'skipped';
  const inputs = sample.inputs.map(materialise);
  const positions = sample.inputs.flatMap((input, i) => (input.differentiable ? [i] : []));
  const args = positions.map((i) => inputs[i]!);
  if (args.reduce((total, x) => total + elementsOf(x), 0) > mostElements) return 'skipped';
  const first = (...watched: Tensor[]): Tensor => {
    const all = inputs.map((input, i) => (positions.includes(i) ? watched[positions.indexOf(i)]! : input));
    const { gradients } = buildGradient(sample, all, (output, i) => weightTensor(output, i));
    return weighted(gradients, 40);
  };
  const [value, pull] = vjp(first, ...args);
  return compareSlopes({ value, arguments: args, gradients: pull() as Tensor[] }, 11);
}
