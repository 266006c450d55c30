/**
 * From the captured graph to ops, simplified on the way: identities vanish, movements compose, constants fold, equal
 * subexpressions merge. Every rule is exact, for NaN, infinities and the sign of zero too; `x + 0` for floats is therefore
 * not one of them (-0 + 0 is 0), `x - 0` and `x * 1` are.
 */
import type { DType } from '../backend/index.ts';
import { primitives, type TensorType } from '../ops/primitives.ts';
import type { GraphNode } from '../tensor/node.ts';
import { type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import type { CapturedGraph } from './capture.ts';
import { elementsOf, isOp, type Op, type OpAttributes, OpBuilder, type OpName } from './op.ts';

const isIdentity = (axes: readonly number[]): boolean => axes.every((axis, i) => axis === i);

/** The value of a tensor all of whose elements are one known constant. */
export function uniformValue(op: Op): number | undefined {
  let base = op;
  while (base.op === 'expand' || base.op === 'reshape' || base.op === 'permute') base = base.inputs[0]!;
  return isOp(base, 'const') ? base.attributes.value : undefined;
}

/** Folds only what IEEE defines to the last bit, so that folding can never be seen in a result. */
const foldUnary: Partial<Record<OpName, (x: number) => number>> = {
  neg: (x) => -x,
  abs: Math.abs,
  sqrt: (x) => Math.fround(Math.sqrt(x)),
  floor: Math.floor,
  ceil: Math.ceil,
};
const foldBinary: Partial<Record<OpName, (a: number, b: number) => number>> = {
  add: (a, b) => Math.fround(a + b),
  sub: (a, b) => Math.fround(a - b),
  mul: (a, b) => Math.fround(a * b),
  div: (a, b) => Math.fround(a / b),
};

export class Simplifier {
  readonly builder: OpBuilder = new OpBuilder();

  make<P extends OpName>(op: P, inputs: readonly Op[], attributes: OpAttributes[P]): Op {
    const made = this.#rewrite(op, inputs, attributes) ?? this.builder.make(op, inputs, attributes);
    // No elements, no work: whatever it was computed from is not needed.
    const isEmpty = elementsOf(made) === 0 && made.op !== 'input' && uniformValue(made) === undefined;
    return isEmpty ? this.constant(0, made.dtype, made.shape) : made;
  }

  constant(value: number, dtype: DType, shape: Shape): Op {
    // As the device holds it, so that folding computes with the same number.
    const scalar = this.builder.make('const', [], {
      value: dtype === 'float32' ? Math.fround(value) : value,
      dtype,
    });
    if (shape.length === 0) return scalar;
    const ones = this.make('reshape', [scalar], { shape: shape.map(() => 1) });
    return this.make('expand', [ones], { shape });
  }

  reshape(x: Op, shape: Shape): Op {
    return this.make('reshape', [x], { shape });
  }

  #rewrite(op: OpName, inputs: readonly Op[], attributes: OpAttributes[OpName]): Op | undefined {
    const [x, y] = inputs as [Op, Op];
    switch (op) {
      case 'const': {
        const { value, dtype } = attributes as OpAttributes['const'];
        return this.constant(value, dtype, []);
      }
      case 'reshape':
        return this.#reshape(x, (attributes as OpAttributes['reshape']).shape);
      case 'permute':
        return this.#permute(x, (attributes as OpAttributes['permute']).axes);
      case 'expand': {
        const { shape } = attributes as OpAttributes['expand'];
        if (sameShape(shape, x.shape)) return x;
        return isOp(x, 'expand') ? this.make('expand', [x.inputs[0]!], { shape }) : undefined;
      }
      case 'slice': {
        const { size } = attributes as OpAttributes['slice'];
        return sameShape(size, x.shape) ? x : undefined;
      }
      case 'pad': {
        const { low, high, interior } = attributes as OpAttributes['pad'];
        return [...low, ...high, ...interior].every((n) => n === 0) ? x : undefined;
      }
      case 'flip':
        return (attributes as OpAttributes['flip']).axes.every((axis) => x.shape[axis]! <= 1) ? x : undefined;
      case 'cast':
        return (attributes as OpAttributes['cast']).dtype === x.dtype ? x : undefined;
      case 'reduceSum':
      case 'reduceProd':
      case 'reduceMax':
      case 'reduceMin':
        return this.#reduce(op, x, (attributes as OpAttributes['reduceSum']).axes);
      case 'argMax':
      case 'argMin': {
        const { axis } = attributes as OpAttributes['argMax'];
        return x.shape[axis] === 1 ? this.constant(0, 'int32', x.shape) : undefined;
      }
      case 'dot':
      case 'conv':
      case 'attention':
        return this.#emptyAnchor(op, inputs, attributes);
      case 'scatter':
        return sizeOf(inputs[1]!.shape) === 0 ? x : undefined;
      case 'where':
        return uniformValue(x) === undefined ? undefined : inputs[uniformValue(x) ? 1 : 2];
      case 'neg':
        return isOp(x, 'neg') ? x.inputs[0] : this.#fold(op, inputs);
      case 'mul':
        if (uniformValue(y) === 1) return x;
        if (uniformValue(x) === 1) return y;
        return this.#fold(op, inputs);
      case 'div':
        return uniformValue(y) === 1 ? x : this.#fold(op, inputs);
      case 'sub':
        return Object.is(uniformValue(y), 0) ? x : this.#fold(op, inputs);
      case 'add':
        if (x.dtype !== 'float32' && uniformValue(y) === 0) return x;
        if (x.dtype !== 'float32' && uniformValue(x) === 0) return y;
        if (Object.is(uniformValue(y), -0)) return x;
        if (Object.is(uniformValue(x), -0)) return y;
        return this.#fold(op, inputs);
      case 'pow':
        return this.#power(x, uniformValue(y));
      case 'abs':
      case 'sqrt':
      case 'floor':
      case 'ceil':
        return this.#fold(op, inputs);
      default:
        return undefined;
    }
  }

  #reshape(x: Op, shape: Shape): Op | undefined {
    if (sameShape(shape, x.shape)) return x;
    if (isOp(x, 'reshape')) return this.make('reshape', [x.inputs[0]!], { shape });
    // Reshaping a broadcast scalar is a broadcast scalar.
    const value = isOp(x, 'expand') ? uniformValue(x) : undefined;
    return value === undefined ? undefined : this.constant(value, x.dtype, shape);
  }

  #permute(x: Op, axes: readonly number[]): Op | undefined {
    if (isIdentity(axes)) return x;
    if (isOp(x, 'permute')) {
      const inner = x.attributes.axes;
      return this.make('permute', [x.inputs[0]!], { axes: axes.map((axis) => inner[axis]!) });
    }
    // Moving only axes of extent 1 does not move data.
    const moved = axes.filter((axis) => x.shape[axis] !== 1);
    if (moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)) {
      return this.make('reshape', [x], { shape: axes.map((axis) => x.shape[axis]!) });
    }
    return undefined;
  }

  #reduce(
    op: 'reduceSum' | 'reduceProd' | 'reduceMax' | 'reduceMin',
    x: Op,
    axes: readonly number[],
  ): Op | undefined {
    const long = axes.filter((axis) => x.shape[axis] !== 1);
    if (long.length === 0) return x;
    if (long.length < axes.length) return this.make(op, [x], { axes: long });
    if (sizeOf(x.shape) > 0) return undefined;
    const shape = x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
    return this.constant(op === 'reduceProd' ? 1 : 0, x.dtype, shape);
  }

  /** A sum of no products is zero. Queries without elements still weigh values. */
  #emptyAnchor(
    op: 'dot' | 'conv' | 'attention',
    inputs: readonly Op[],
    attributes: OpAttributes[OpName],
  ): Op | undefined {
    const infer = primitives[op].infer as (i: readonly Op[], a: unknown) => TensorType;
    const { shape, dtype } = infer(inputs, attributes);
    const summed = op === 'attention' ? [inputs[2]!] : inputs;
    if (sizeOf(shape) > 0 && summed.every((input) => sizeOf(input.shape) > 0)) return undefined;
    return this.constant(0, dtype, shape);
  }

  #power(x: Op, exponent: number | undefined): Op | undefined {
    if (exponent === 1) return x;
    if (exponent === 2) return this.make('mul', [x, x], {});
    if (exponent === 3) return this.make('mul', [this.make('mul', [x, x], {}), x], {});
    if (exponent === -1) return this.make('div', [this.constant(1, x.dtype, x.shape), x], {});
    return undefined;
  }

  #fold(op: OpName, inputs: readonly Op[]): Op | undefined {
    const [x] = inputs;
    if (x!.dtype !== 'float32') return undefined;
    const values = inputs.map(uniformValue);
    if (values.some((value) => value === undefined)) return undefined;
    const [a, b] = values as [number, number];
    const value = inputs.length === 1 ? foldUnary[op]?.(a) : foldBinary[op]?.(a, b);
    return value === undefined ? undefined : this.constant(value, x!.dtype, x!.shape);
  }
}

export interface SimplifiedGraph {
  readonly simplifier: Simplifier;
  readonly outputs: readonly Op[];
  /** The op of every captured node. */
  readonly opOf: ReadonlyMap<GraphNode, Op>;
}

/** Rebuilds a captured graph in ops. Identity primitives leave no trace, except `barrier`, whose work is to stay unmerged. */
export function simplify(graph: CapturedGraph): SimplifiedGraph {
  const simplifier = new Simplifier();
  const leafIndex = new Map(graph.leaves.map((leaf, i) => [leaf, i]));
  const known = new Map<GraphNode, Op>();
  for (const node of graph.nodes) {
    const { shape, dtype } = node;
    const leaf = leafIndex.get(node);
    const scalar = graph.scalarOf.get(node);
    let op: Op;
    if (leaf !== undefined) op = simplifier.make('input', [], { input: leaf, shape, dtype });
    else if (scalar !== undefined) op = simplifier.make('scalar', [], { param: scalar, dtype });
    else {
      const inputs = node.inputs.map((input) => known.get(input)!);
      if (node.op === 'detach' || node.op === 'alias' || node.op === 'custom') op = inputs[0]!;
      else op = simplifier.make(node.op as OpName, inputs, node.attributes as OpAttributes[OpName]);
    }
    known.set(node, op);
  }
  return { simplifier, outputs: graph.outputs.map((node) => known.get(node)!), opOf: known };
}
