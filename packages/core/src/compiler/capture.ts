import { TraceError } from '../backend/index.ts';
import type { PrimitiveAttributes } from '../ops/primitives.ts';
import type { DataCheck, GraphNode } from '../tensor/node.ts';
import { attributeKey } from './op.ts';

/** A piece of the lazy graph, cut at the nodes whose values exist, ready to be compiled or found in a cache. */
export interface CapturedGraph {
  /** Nodes to compute and leaves, operands first. */
  readonly nodes: readonly GraphNode[];
  /** Nodes whose values the plan takes, in the order of the plan's inputs. */
  readonly leaves: readonly GraphNode[];
  /** Values of the constants that became scalar parameters, in the order of those. */
  readonly scalars: readonly number[];
  readonly scalarOf: ReadonlyMap<GraphNode, number>;
  readonly outputs: readonly GraphNode[];
  /** Data checks on the way, each once: their flags are the last outputs. */
  readonly checks: readonly DataCheck[];
  /** The nodes that have a check, and its position. A loss and its gradient share theirs. */
  readonly checked: ReadonlyMap<GraphNode, number>;
  /** Whether intermediate values that a later gradient may need are outputs too, where they are stored anyway. */
  readonly keep: boolean;
  /** Equal for graphs of equal structure. */
  readonly key: string;
}

export interface CaptureOptions {
  /** Constants become parameters, so that a changing one does not mean a new plan. */
  readonly liftConstants: boolean;
  readonly keep: boolean;
  /** True for nodes that are leaves. */
  readonly isLeaf: (node: GraphNode) => boolean;
}

/** Constants that simplification looks for keep their place in the structure. */
const isStructural = (value: number): boolean =>
  !Number.isFinite(value) || (Number.isInteger(value) && Math.abs(value) <= 16) || value === 0.5;

/** Collects what `targets` need. Data checks that lie on the way become outputs after the targets. */
export function captureGraph(targets: readonly GraphNode[], options: CaptureOptions): CapturedGraph {
  const nodes: GraphNode[] = [];
  const seen = new Set<GraphNode>();
  const checks: DataCheck[] = [];
  const checked = new Map<GraphNode, number>();
  const roots = [...targets];
  const stack: { node: GraphNode; next: number }[] = [];
  const push = (node: GraphNode): void => {
    if (seen.has(node)) return;
    seen.add(node);
    stack.push({ node, next: 0 });
  };
  for (let r = 0; r < roots.length; r++) {
    push(roots[r]!);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const input = options.isLeaf(top.node) ? undefined : top.node.inputs[top.next++];
      if (input) {
        push(input);
        continue;
      }
      stack.pop();
      nodes.push(top.node);
      const { check } = top.node;
      if (!check || options.isLeaf(top.node)) continue;
      if (!checks.includes(check)) {
        checks.push(check);
        roots.push(check.flag);
      }
      checked.set(top.node, checks.indexOf(check));
    }
  }
  return { nodes, outputs: roots, checks, checked, keep: options.keep, ...describe(nodes, roots, options) };
}

type Description = Pick<CapturedGraph, 'leaves' | 'scalars' | 'scalarOf' | 'key'>;

function describe(
  nodes: readonly GraphNode[],
  outputs: readonly GraphNode[],
  options: CaptureOptions,
): Description {
  const leaves: GraphNode[] = [];
  const scalars: number[] = [];
  const scalarOf = new Map<GraphNode, number>();
  const position = new Map<GraphNode, number>();
  const lines: string[] = [];
  for (const [i, node] of nodes.entries()) {
    position.set(node, i);
    if (options.isLeaf(node)) {
      leaves.push(node);
      lines.push(`leaf ${node.dtype} ${node.shape.join('x')}`);
      continue;
    }
    if (node.op === 'data') {
      throw new TraceError('a value that exists only while jit traces a function is used outside of it', {
        op: 'jit',
        fix: 'return the tensor from the traced function, and start variables that are made in it from values that do not depend on its arguments',
      });
    }
    if (node.op === 'const' && options.liftConstants) {
      const { value, fixed } = node.attributes as PrimitiveAttributes['const'];
      if (!fixed && !isStructural(value) && node.dtype === 'float32') {
        scalarOf.set(node, scalars.length);
        lines.push(`scalar ${scalars.length}`);
        scalars.push(Math.fround(value));
        continue;
      }
    }
    const attributes = node.op === 'custom' ? '' : attributeKey(node.attributes);
    const kept = options.keep && node.keep ? ' keep' : '';
    lines.push(
      `${node.op}${kept} ${node.inputs.map((input) => position.get(input)).join(',')} ${attributes}`,
    );
  }
  lines.push(`out ${outputs.map((node) => position.get(node)).join(',')}`);
  return { leaves, scalars, scalarOf, key: lines.join('\n') };
}
