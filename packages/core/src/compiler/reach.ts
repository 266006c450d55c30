import type { GraphNode } from '../tensor/node.ts';
import type { CapturedGraph } from './capture.ts';

type Bits = Uint32Array;

function join(a: Bits | undefined, b: Bits | undefined): Bits | undefined {
  if (!a || !b || a === b) return a ?? b;
  return a.map((word, i) => word | b[i]!);
}

/** For each of `targets`, the positions of those `sources` that its value is computed from, itself included. */
export function sourcesOf(
  graph: Pick<CapturedGraph, 'nodes' | 'leaves'>,
  sources: readonly GraphNode[],
  targets: readonly GraphNode[],
): number[][] {
  if (sources.length === 0) return targets.map(() => []);
  const words = Math.ceil(sources.length / 32);
  const positions = new Map(sources.map((source, i) => [source, i]));
  const leaves = new Set(graph.leaves);
  const below = new Map<GraphNode, Bits | undefined>();
  for (const node of graph.nodes) {
    let bits: Bits | undefined;
    if (!leaves.has(node)) for (const input of node.inputs) bits = join(bits, below.get(input));
    const own = positions.get(node);
    if (own !== undefined) {
      bits = bits ? bits.slice() : new Uint32Array(words);
      bits[own >> 5]! |= 1 << (own & 31);
    }
    below.set(node, bits);
  }
  return targets.map((target) => {
    const bits = below.get(target);
    return bits ? [...sources.keys()].filter((i) => (bits[i >> 5]! >>> (i & 31)) & 1) : [];
  });
}
