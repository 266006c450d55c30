import { Tensor } from './tensor.ts';

/**
 * Trees of tensors: a tensor, or arrays and plain objects of trees. Anything else is a leaf that is handed on as it is.
 */
export type Tree = unknown;

const isPlainObject = (value: unknown): value is Record<string, unknown> => {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** The same tree with `change` applied to every tensor and `other` to every other leaf (default: it stays). */
export function mapTree(
  tree: Tree,
  change: (x: Tensor) => unknown,
  other: (leaf: unknown) => unknown = (leaf) => leaf,
): Tree {
  if (tree instanceof Tensor) return change(tree);
  if (Array.isArray(tree)) return tree.map((branch) => mapTree(branch, change, other));
  if (!isPlainObject(tree)) return other(tree);
  return Object.fromEntries(
    Object.entries(tree).map(([key, branch]) => [key, mapTree(branch, change, other)]),
  );
}

/** The tensors of a tree, in the order in which `mapTree` meets them. */
export function treeTensors(tree: Tree): Tensor[] {
  const tensors: Tensor[] = [];
  mapTree(tree, (x) => tensors.push(x));
  return tensors;
}
