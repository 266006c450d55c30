/** Why no gradient comes out of a tensor: what the graph below it says. */
import { isFloat } from '../backend/index.ts';
import type { GraphNode } from '../tensor/node.ts';
import { isDifferentiable } from './rules.ts';

const steady = 'and those do not change with small changes of the values';

function whyWithoutDerivative({ op, dtype }: GraphNode): string {
  if (op === 'argMax' || op === 'argMin') return `${op} gives positions, ${steady}`;
  if (op === 'lt' || op === 'le' || op === 'eq' || op === 'ne')
    return `a comparison (${op}) gives truth values, ${steady}`;
  if (op === 'cast')
    return `a cast gives ${dtype === 'bool' ? 'truth values' : `whole numbers, ${dtype}`}, ${steady}`;
  return `${op} gives ${dtype}, which has no derivative`;
}

/** What stops gradients at this very node, undefined if nothing does. */
function obstacleAt(node: GraphNode): string | undefined {
  if (node.leaf) return undefined;
  const fromTracked = node.inputs.some((input) => input.tracked && isFloat(input.dtype));
  if (!fromTracked) return undefined;
  if (node.op === 'detach') return 'detach() stops it';
  if (node.constant) return `${node.op} was computed inside of noGrad`;
  return isDifferentiable(node) ? undefined : whyWithoutDerivative(node);
}

/** The first thing on the way from `output` down to what requires a gradient that stops the gradient, as a clause. */
export function obstacleBelow(output: GraphNode): string | undefined {
  const seen = new Set<GraphNode>();
  const pending = [output];
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    const obstacle = obstacleAt(node);
    if (obstacle) return obstacle;
    pending.push(...node.inputs);
  }
  return undefined;
}
