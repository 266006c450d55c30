import { ArgumentError, GradientError, isFloat } from '../backend/index.ts';
import type { CustomRule } from '../ops/primitives.ts';
import { apply } from '../tensor/apply.ts';
import { context } from '../tensor/context.ts';
import { nextNodeId } from '../tensor/node.ts';
import { sameShape } from '../tensor/shape.ts';
import { Tensor } from '../tensor/tensor.ts';
import { mapTree, type Tree, treeTensors } from '../tensor/tree.ts';
import { releaseKept, runUserCode } from './pass.ts';

/** The gradient for each argument, in order, undefined for none; the tensor itself where there is one argument. */
export type CustomGradients = Tensor | undefined | readonly (Tensor | undefined)[];

function checkGradients(
  returned: CustomGradients,
  args: readonly (Tensor | undefined)[],
): readonly (Tensor | undefined)[] {
  const gradients = returned === undefined || returned instanceof Tensor ? [returned] : returned;
  for (const [position, gradient] of gradients.entries()) {
    const arg = args[position];
    if (gradient === undefined) continue;
    if (gradient instanceof Tensor && arg && sameShape(gradient.shape, arg.shape) && isFloat(gradient.dtype))
      continue;
    throw new GradientError(
      `customVjp: the gradient for argument ${position} is ${String(gradient)}, the argument is ${String(arg)}`,
      {
        op: 'customVjp',
        received: gradient,
        fix: 'give a float tensor of the shape of the argument for each argument, and undefined for those that are not float tensors',
      },
    );
  }
  return gradients;
}

function checkResult(result: unknown, args: readonly unknown[]): { value: Tensor; saved: Tree } {
  const [value, saved] = Array.isArray(result) ? (result as unknown[]) : [result, args];
  if (value instanceof Tensor) return { value, saved };
  throw new ArgumentError(`customVjp: the forward function returned ${String(result)}`, {
    op: 'customVjp',
    received: result,
    fix: 'return a tensor, or [tensor, saved]',
  });
}

/**
 * A function with a derivative of your own: `forward` gives the value, `backward` the gradient.
 *
 * `forward(...args)` gives a tensor, or `[tensor, saved]` where saved (a tensor, or arrays and plain objects of tensors and
 * other values) is what `backward(saved, gradient)` wants to find again; without it, saved is the array of arguments. What
 * is saved belongs to the graph: you may dispose your own handles. `gradient` has shape and dtype of the value.
 *
 * Only arguments that are tensors themselves get gradients; variables that `forward` uses beside its arguments get none.
 * Gradients of gradients are those of `backward`: what it computes from saved values and arguments is differentiated as usual.
 *
 * @throws GradientError when a gradient's shape is not that of its argument.
 *
 * @example
 * // Rounds, and lets the gradient pass as if it had not.
 * const roundStraightThrough = customVjp((x) => round(x), (_saved, gradient) => gradient);
 */
export function customVjp<A extends readonly unknown[], S = A>(
  forward: (...args: A) => Tensor | readonly [value: Tensor, saved: S],
  backward: (saved: S, gradient: Tensor) => CustomGradients,
): (...args: A) => Tensor {
  return (...args: A): Tensor => {
    const since = nextNodeId();
    const { value, saved } = checkResult(forward(...args), args);
    const tensors = args.filter((arg) => arg instanceof Tensor);
    if (!context.gradEnabled || !tensors.some((x) => x.node.tracked)) return value;
    releaseKept([value.node], since);
    for (const { node } of treeTensors(saved)) node.keep = true;
    const rule = ruleOf(backward as CustomBackward, args, saved);
    return apply('custom', [value, ...tensors, ...treeTensors(saved)], { rule, arguments: tensors.length });
  };
}

type CustomBackward = (saved: unknown, gradient: Tensor) => CustomGradients;

/** The rule for operands (value, tensors among the arguments, tensors among the saved). It takes every tensor from the node. */
function ruleOf(backward: CustomBackward, args: readonly unknown[], saved: Tree): CustomRule {
  const isTensor = args.map((arg) => arg instanceof Tensor);
  const count = isTensor.filter(Boolean).length;
  let savedCount = 0;
  const form = mapTree(saved, () => new Slot(savedCount++));
  return (gradient, operands) =>
    runUserCode(() => {
      const tensors = operands.map((operand) => new Tensor((operand as Tensor).node));
      let next = 1;
      const given = isTensor.map((is) => (is ? tensors[next++] : undefined));
      const found = mapTree(
        form,
        (x) => x,
        (leaf) => (leaf instanceof Slot ? tensors[1 + count + leaf.position] : leaf),
      );
      const gradients = checkGradients(backward(found, new Tensor((gradient as Tensor).node)), given);
      return gradients.filter((_, position) => isTensor[position]);
    });
}

/** Stands for a tensor in the form of what was saved, so that the rule holds none. */
class Slot {
  readonly position: number;
  constructor(position: number) {
    this.position = position;
  }
}
