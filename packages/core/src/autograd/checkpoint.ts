import type { CustomRule, Primitive, PrimitiveAttributes } from '../ops/primitives.ts';
import { applyNode } from '../tensor/apply.ts';
import { context } from '../tensor/context.ts';
import { GraphNode, nextNodeId } from '../tensor/node.ts';
import { Tensor } from '../tensor/tensor.ts';
import { mapTree, treeTensors } from '../tensor/tree.ts';
import { nodesBetween, pullBack } from './backward.ts';
import { nextBarrier, releaseKept } from './pass.ts';

/** The part of the graph that one call of a function made. */
interface Piece {
  readonly since: number;
  /** Nodes of the arguments. */
  readonly args: ReadonlySet<GraphNode>;
}

/**
 * A node that a piece of graph starts from: older than the piece, or a leaf. A leaf that is as new as the piece is a
 * literal of the function, or what a trace put in a variable's place when the function read it. A barrier stands before a
 * source when the piece is itself part of a copy: behind it would be the gradient that it waits for.
 */
const isSource = (node: GraphNode, { since }: Piece): boolean =>
  node.id < since || node.leaf !== undefined || node.inputs.length === 0 || node.op === 'barrier';

/** Visits the nodes of a piece that `output` was computed from, operands first, with a stack of its own. */
function visitPiece(
  output: GraphNode,
  starts: (node: GraphNode) => boolean,
  visit: (node: GraphNode) => void,
  source: (node: GraphNode) => void,
): void {
  const seen = new Set<GraphNode>();
  const stack: { node: GraphNode; next: number }[] = [];
  const enter = (node: GraphNode): void => {
    if (seen.has(node)) return;
    seen.add(node);
    if (starts(node)) source(node);
    else stack.push({ node, next: 0 });
  };
  enter(output);
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const input = top.node.inputs[top.next++];
    if (input) {
      enter(input);
      continue;
    }
    stack.pop();
    visit(top.node);
  }
}

/** The sources of a piece of graph that a gradient of `output` flows to. */
const gradientSources = (output: GraphNode, piece: Piece): GraphNode[] => {
  const wanted = (node: GraphNode): boolean => node.tracked && isSource(node, piece);
  return [...nodesBetween([output], wanted)].filter(wanted);
};

/**
 * A second copy of a piece of graph, that is not merged with the first: between it and its sources stand barriers, which also
 * wait for `gradient`. Parameters have none: nothing large is computed from them alone, and their memory is theirs.
 */
function copyPiece(
  piece: Piece,
  output: GraphNode,
  sources: readonly GraphNode[],
  gradient: GraphNode,
): { copy: GraphNode; standIns: Map<GraphNode, GraphNode> } {
  const standIns = new Map<GraphNode, GraphNode>();
  const make = <P extends Primitive>(
    op: P,
    inputs: readonly GraphNode[],
    attributes: PrimitiveAttributes[P],
    like: GraphNode,
  ): GraphNode =>
    new GraphNode(op, inputs, attributes, like.device, { tracked: like.tracked, constant: like.constant });
  const isDirect = (node: GraphNode): boolean =>
    node.leaf ? !piece.args.has(node) : node.inputs.length === 0 && node.id >= piece.since;
  const given = new Set(sources);
  visitPiece(
    output,
    (node) => given.has(node) || isSource(node, piece),
    (node) => {
      const inputs = node.inputs.map((input) => standIns.get(input)!);
      const standIn = make(node.op, inputs, node.attributes, node);
      if (node.check) standIn.setCheck(node.check);
      standIns.set(node, standIn);
    },
    (node) => {
      standIns.set(
        node,
        isDirect(node) ? node : make('barrier', [node, gradient], { id: nextBarrier() }, node),
      );
    },
  );
  return { copy: standIns.get(output)!, standIns };
}

/** The rule for operands (output, its sources). */
const recompute =
  (piece: Piece): CustomRule =>
  (gradient, operands) => {
    const [output, ...sources] = (operands as readonly Tensor[]).map((operand) => operand.node) as [
      GraphNode,
      ...GraphNode[],
    ];
    const seed = gradient as Tensor;
    const { copy, standIns } = copyPiece(piece, output, sources, seed.node);
    const handle = new Tensor(copy); // keeps the copy alive until the pass ends
    const wanted = new Set(sources.map((source) => standIns.get(source)!));
    const differentiable = context.gradEnabled;
    const pulled = pullBack([handle.node], [seed], (node) => wanted.has(node), differentiable);
    if (!differentiable) releaseKept([copy], piece.since);
    return sources.map((source) => pulled.get(standIns.get(source)!));
  };

function checkpointed(output: Tensor, piece: Piece): Tensor {
  const { node } = output;
  if (!node.tracked || isSource(node, piece)) return output;
  const sources = gradientSources(node, piece);
  releaseKept([node], piece.since);
  return new Tensor(
    applyNode('custom', [node, ...sources], { rule: recompute(piece), arguments: sources.length }),
  );
}

/**
 * The same function, whose intermediate values are not kept for the backward pass but computed again there: less memory
 * for about one more forward pass of `fn`.
 *
 * `fn` gives a tensor, or arrays and plain objects of tensors; each result recomputes what it needs. Its arguments and the
 * variables that it uses get their gradients as without it. What is computed again is the recorded graph: `fn` itself is called
 * once, so random numbers are the same ones and assignments happen once.
 *
 * @example
 * const block = checkpoint((x) => layer2.forward(layer1.forward(x)));
 */
export function checkpoint<A extends readonly unknown[], R>(fn: (...args: A) => R): (...args: A) => R {
  return (...args: A): R => {
    const piece: Piece = { since: nextNodeId(), args: new Set(treeTensors(args).map((x) => x.node)) };
    const result = fn(...args);
    if (!context.gradEnabled) return result;
    return mapTree(result, (x) => checkpointed(x, piece)) as R;
  };
}
