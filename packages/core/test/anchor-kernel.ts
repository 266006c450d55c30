/** Anchors as kernels of plain loops, so that the interpreter can stand in for a device that has routines. */
import {
  type Anchor,
  type ContractionAnchor,
  type ConvAnchor,
  type DotAnchor,
  type DotOperand,
  type Epilogue,
  type Expression,
  type IndexVariable,
  type Kernel,
  type Program,
  printKernel,
} from '../src/backend/index.ts';
import { IndexBuilder } from '../src/compiler/index-math.ts';
import { stridesOf } from '../src/tensor/index.ts';

const variablesOf = (
  b: IndexBuilder,
  prefix: string,
  extents: readonly number[],
): { own: IndexVariable[]; at: Expression[] } => {
  const own = extents.map((extent, i) => ({ name: `${prefix}${i}`, extent }));
  return { own, at: own.map((variable) => b.index(variable)) };
};

/** The epilogue's value at a flat index, with the anchor's sum as accumulator 0. */
function applyEpilogue(
  b: IndexBuilder,
  epilogue: Epilogue | undefined,
  sum: Expression,
  flat: Expression,
): Expression {
  if (!epilogue) return sum;
  const indices = b.unflatten(
    flat,
    epilogue.space.map((variable) => variable.extent),
  );
  return b.substitute(epilogue.value, new Map(epilogue.space.map((variable, i) => [variable, indices[i]!])));
}

function wrap(
  b: IndexBuilder,
  anchor: ContractionAnchor,
  out: { own: IndexVariable[]; at: Expression[] },
  loops: IndexVariable[],
  term: Expression,
): Kernel {
  const flat = b.flatten(out.at, stridesOf(out.own.map((variable) => variable.extent)));
  const value = applyEpilogue(b, anchor.epilogue, b.accumulator(anchor.type, 0), flat);
  return {
    kind: 'kernel',
    name: `routine_${anchor.name}`,
    buffers: anchor.buffers,
    scalars: anchor.scalars,
    space: out.own,
    phases: [
      { kind: 'reduce', loops, accumulators: [{ id: 0, op: 'sum', type: anchor.type, value: term }] },
      { kind: 'map', loops: [], order: 'parallel', stores: [{ buffer: 2, index: flat, value, mode: 'set' }] },
    ],
  };
}

function dotKernel(b: IndexBuilder, anchor: DotAnchor): Kernel {
  const out = variablesOf(b, 'o', [...anchor.batch, anchor.m, anchor.n]);
  const inner = variablesOf(b, 'k', [anchor.k]);
  const [k] = inner.at as [Expression];
  const rank = anchor.batch.length;
  const load = (buffer: number, operand: DotOperand, row: Expression, column: Expression): Expression => {
    const strides = [...operand.batch, operand.row, operand.column];
    const index = b.flatten([...out.at.slice(0, rank), row, column], strides);
    return b.load(anchor.type, buffer, b.offsetIndex(index, operand.offset));
  };
  const left = load(0, anchor.lhs, out.at[rank]!, k);
  const right = load(1, anchor.rhs, k, out.at[rank + 1]!);
  return wrap(b, anchor, out, inner.own, b.alu('mul', anchor.type, left, right));
}

function convKernel(b: IndexBuilder, anchor: ConvAnchor): Kernel {
  const { groups, inChannels, outChannels } = anchor;
  const out = variablesOf(b, 'o', [anchor.batch, groups * outChannels, ...anchor.outSize]);
  const inner = variablesOf(b, 'k', [inChannels, ...anchor.kernelSize]);
  const [n, o, ...y] = out.at as [Expression, Expression, ...Expression[]];
  const [i, ...t] = inner.at as [Expression, ...Expression[]];
  let guard = b.true;
  const positions = y.map((at, s) => {
    const window = b.addIndex(
      b.scaleIndex(at, anchor.stride[s]!),
      b.scaleIndex(t[s]!, anchor.kernelDilation[s]!),
    );
    const shifted = b.offsetIndex(window, -anchor.padLow[s]!);
    const dilation = anchor.inputDilation[s]!;
    guard = b.and(
      guard,
      b.and(b.atLeast(shifted, 0), b.lessThan(shifted, (anchor.inSize[s]! - 1) * dilation + 1)),
    );
    guard = b.and(guard, b.equals(b.remainderIndex(shifted, dilation), 0));
    return b.divideIndex(shifted, dilation);
  });
  const channel = b.addIndex(b.scaleIndex(b.divideIndex(o, outChannels), inChannels), i);
  const { lhs, rhs } = anchor;
  const from = b.flatten([n, channel, ...positions], [lhs.outer, lhs.inner, ...lhs.spatial]);
  const weight = b.flatten([o, i, ...t], [rhs.outer, rhs.inner, ...rhs.spatial]);
  const x = b.load(anchor.type, 0, b.offsetIndex(from, lhs.offset), guard);
  const w = b.load(anchor.type, 1, b.offsetIndex(weight, rhs.offset));
  return wrap(b, anchor, out, inner.own, b.alu('mul', anchor.type, x, w));
}

/** A routine for any anchor, to be run by the interpreter. */
export function interpretedRoutine(anchor: Anchor): Program | undefined {
  if (anchor.kind === 'attention' || anchor.kind === 'attentionGradient') return undefined;
  const b = new IndexBuilder();
  const kernel = anchor.kind === 'dot' ? dotKernel(b, anchor) : convKernel(b, anchor);
  const program: Program & { kernel: Kernel } = {
    name: kernel.name,
    kernel,
    source: () => printKernel(kernel),
  };
  return program;
}
