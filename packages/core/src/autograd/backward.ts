import { GradientError, InternalError } from '../backend/index.ts';
import { describe } from '../tensor/describe.ts';
import { GraphNode } from '../tensor/node.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { formatShape, sameShape } from '../tensor/shape.ts';
import { requireTensor, Tensor } from '../tensor/tensor.ts';
import { doubtsOf } from '../tensor/verdict.ts';
import { add, cast, fill } from './arithmetic.ts';
import { obstacleBelow } from './blocked.ts';
import { withGradients } from './mode.ts';
import { releaseKept, runPass } from './pass.ts';
import type { VjpRule } from './rule.ts';
import { isDifferentiable, passesGradient, vjpRules } from './rules.ts';

type Wanted = (node: GraphNode) => boolean;

/**
 * The nodes between `outputs` and the wanted ones through which a gradient passes, operands first. The walk does not go
 * below a wanted node. It keeps its own stack: graphs are deeper than the call stack.
 */
export function nodesBetween(outputs: readonly GraphNode[], wanted: Wanted): Set<GraphNode> {
  const reached = new Set<GraphNode>();
  const seen = new Set<GraphNode>();
  const stack: { node: GraphNode; next: number; reaches: boolean }[] = [];
  const enter = (node: GraphNode): void => {
    seen.add(node);
    const isWanted = wanted(node);
    const ends = isWanted || !node.tracked || !isDifferentiable(node);
    stack.push({ node, next: ends ? node.inputs.length : 0, reaches: isWanted });
  };
  for (const output of outputs) {
    if (!seen.has(output)) enter(output);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const position = top.next++;
      const input = top.node.inputs[position];
      if (!input) {
        stack.pop();
        if (top.reaches) reached.add(top.node);
      } else if (passesGradient(top.node, position)) {
        if (reached.has(input)) top.reaches = true;
        else if (!seen.has(input)) {
          top.next--; // looked at again when it is known whether the operand reaches
          enter(input);
        }
      }
    }
  }
  return reached;
}

/** A gradient that came through a node with a condition on its data is worth no more than the node's value. */
function underCheck({ check, computed, verdict }: GraphNode, gradient: Tensor): Tensor {
  if (!check || (computed && !doubtsOf(verdict))) return gradient;
  const { node } = gradient;
  // A node of its own: the gradient's may be the seed, which belongs to somebody else.
  const copy = new GraphNode('alias', [node], {}, node.device, {
    tracked: node.tracked,
    constant: node.constant,
  });
  copy.setCheck(check);
  return new Tensor(copy);
}

/** Applies the rule of one node and adds what it gives to the operands' gradients. */
function stepBack(
  node: GraphNode,
  handle: (node: GraphNode) => Tensor,
  gradients: Map<GraphNode, Tensor>,
  reached: ReadonlySet<GraphNode>,
): void {
  const { inputs, attributes } = node;
  const rule = vjpRules[node.op] as unknown as VjpRule<'add'>;
  const results = rule({
    inputs: inputs.map(handle),
    output: handle(node),
    gradient: gradients.get(node)!,
    attributes,
    needs: inputs.map((input, position) => reached.has(input) && passesGradient(node, position)),
  });
  for (const [position, input] of inputs.entries()) {
    const given = results[position];
    if (!given || !reached.has(input)) continue;
    const result = underCheck(node, given);
    if (!sameShape(result.shape, input.shape) || result.dtype !== 'float32') {
      throw new InternalError(
        `gradient of ${node.op}: ${result.dtype} ${formatShape(result.shape)} for an operand of shape ${formatShape(input.shape)}`,
      );
    }
    const other = gradients.get(input);
    gradients.set(input, other ? add(other, result) : result);
  }
}

/**
 * Pulls gradients of `outputs` back to the wanted nodes below them: the sum over all paths of the products of the
 * derivatives on the way. A wanted node that is reached through zero derivatives only gets zeros; one that is not reached
 * is absent.
 *
 * @param differentiable whether the gradients can be differentiated in turn.
 */
export function pullBack(
  outputs: readonly GraphNode[],
  seeds: readonly Tensor[],
  wanted: Wanted,
  differentiable: boolean,
): Map<GraphNode, Tensor> {
  return runPass(differentiable, () => {
    const reached = nodesBetween(outputs, wanted);
    const handles = new Map<GraphNode, Tensor>();
    const handle = (node: GraphNode): Tensor => {
      const known = handles.get(node) ?? new Tensor(node);
      handles.set(node, known);
      return known;
    };
    const gradients = new Map<GraphNode, Tensor>();
    for (const [i, output] of outputs.entries()) {
      const seed = cast(seeds[i]!, 'float32');
      const other = gradients.get(output);
      gradients.set(output, other ? add(other, seed) : seed);
    }
    const pulled = new Map<GraphNode, Tensor>();
    for (const node of [...reached].reverse()) {
      const gradient = gradients.get(node);
      if (wanted(node)) pulled.set(node, cast(gradient ?? fill(0, handle(node)), node.dtype));
      else if (gradient) stepBack(node, handle, gradients, reached);
      gradients.delete(node);
    }
    return pulled;
  });
}

export interface BackwardOptions {
  /** Keep the intermediate values of the forward pass, for another `backward()` through them. Default `createGraph`. */
  readonly retainGraph?: boolean;
  /** Make gradients that can be differentiated in turn. Default false. */
  readonly createGraph?: boolean;
}

const backwardOptions: OptionNames<BackwardOptions> = { retainGraph: true, createGraph: true };

/** The seed for `backward` of `output`, checked. @throws GradientError */
export function checkSeed(op: string, output: Tensor, seed: Tensor | undefined): Tensor {
  if (seed === undefined) {
    if (output.size === 1) return fill(1, output, output.dtype);
    throw new GradientError(`${op}: a tensor of shape ${formatShape(output.shape)} is not a scalar`, {
      op,
      received: output.shape,
      fix: 'reduce it first, for example with sum() or mean(), or pass the gradient of the final result with respect to it',
    });
  }
  const fits = seed instanceof Tensor && sameShape(seed.shape, output.shape) && seed.dtype === output.dtype;
  if (fits) return seed;
  const shown = seed instanceof Tensor ? String(seed) : describe(seed);
  throw new GradientError(`${op}: the gradient is ${shown}, the tensor is ${String(output)}`, {
    op,
    received: seed,
    fix: 'the gradient must be a tensor of the same shape and dtype; options come after it: backward(undefined, { .. })',
  });
}

function checkOutput(output: Tensor): void {
  const { node } = output;
  if (node.tracked && (isDifferentiable(node) || node.leaf)) return;
  const why = obstacleBelow(node);
  if (node.tracked) {
    throw new GradientError(
      `backward: ${String(output)} has no derivative${why ? `: ${why}` : ` because its dtype is ${node.dtype}`}`,
      {
        op: 'backward',
        received: node.dtype,
        fix: 'call backward on a float32 result of differentiable operations, such as a loss',
      },
    );
  }
  const nothing = 'nothing that it was computed from needs a gradient';
  throw new GradientError(`backward: no gradient flows from ${String(output)}: ${why ?? nothing}`, {
    op: 'backward',
    fix: 'compute it from a variable or from tensor(data, { requiresGrad: true }), outside of noGrad and without detach',
  });
}

/**
 * Adds d(output)/d(leaf) to the `grad` of every leaf that `output` was computed from and that requires a gradient: variables
 * and tensors made with `requiresGrad`. Nothing runs until a gradient is read.
 *
 * @param gradient the gradient of the final result with respect to `output`, of its shape and dtype; may be left out for a
 *   tensor of one element, where it is 1.
 * @throws GradientError for more than one element without `gradient`, for a gradient of another shape or dtype, and for a
 *   tensor from which no gradient flows to a leaf.
 *
 * @example
 * const x = variable(tensor([1, 2, 3]));
 * x.mul(x).sum().backward();
 * await x.grad.array(); // [2, 4, 6]
 */
export function backward(output: Tensor, gradient?: Tensor, options: BackwardOptions = {}): void {
  requireTensor('backward', output);
  checkOptions('backward', options, backwardOptions);
  const { createGraph = false, retainGraph = createGraph } = options;
  checkOutput(output);
  const seed = checkSeed('backward', output, gradient);
  const pulled = pullBack(
    [output.node],
    [seed],
    (node) => node.tracked && node.leaf !== undefined,
    createGraph,
  );
  if (seed !== gradient) seed.dispose();
  if (pulled.size === 0) {
    const why = obstacleBelow(output.node);
    throw new GradientError(
      `backward: no gradient flows from ${String(output)} to a leaf${why ? `: ${why}` : ''}`,
      {
        op: 'backward',
        fix: 'integers, comparisons and detach() stop gradients; look for one between the parameters and this tensor',
      },
    );
  }
  for (const [node, value] of pulled) {
    const leaf = node.leaf!.deref();
    if (leaf) accumulate(leaf, value, createGraph);
    if (leaf?.grad !== value) value.dispose();
  }
  if (!retainGraph) releaseKept([output.node]);
}

/** The sum outlives any scope: the setter of `grad` sees to that. */
function accumulate(leaf: Tensor, value: Tensor, differentiable: boolean): void {
  const { grad } = leaf;
  const total = (a: Tensor): Tensor => cast(add(cast(a, 'float32'), cast(value, 'float32')), a.dtype);
  leaf.grad = grad ? withGradients(differentiable, () => total(grad)) : value;
}
