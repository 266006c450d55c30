/** The end of every routine for an anchor: from its sums to the result, as a kernel like those of the compiler. */
import { dtypeInfo } from '../dtype.ts';
import { InternalError } from '../errors.ts';
import type { Expression, IndexVariable, Kernel, Phase } from '../kernel.ts';
import type { Anchor, AttentionOperandName, AttentionOperands, Epilogue } from '../routine.ts';
import { product } from './numbers.ts';

/** Elements of the result. */
export function resultElements(anchor: Anchor): number {
  if (anchor.kind === 'dot') return product(anchor.batch) * anchor.m * anchor.n;
  if (anchor.kind === 'attention') return product(anchor.batch) * anchor.queries * anchor.valueWidth;
  if (anchor.kind === 'attentionGradient')
    return anchor.of.reduce((n, name) => n + gradientElements(anchor, name), 0);
  return anchor.batch * anchor.groups * anchor.outChannels * product(anchor.outSize);
}

/** Elements of the gradient with respect to one operand of attention. */
export function gradientElements(
  { batch, queries, keys, width, valueWidth }: AttentionOperands,
  name: AttentionOperandName,
): number {
  return product(batch) * (name === 'query' ? queries : keys) * (name === 'value' ? valueWidth : width);
}

const int = (value: number): Expression => ({ op: 'const', type: 'i32', value });
const alu = (op: 'add' | 'mul', a: Expression, b: Expression): Expression => ({
  op: 'alu',
  alu: op,
  type: 'i32',
  args: [a, b],
});
const indexOf = (variable: IndexVariable): Expression => ({ op: 'index', type: 'i32', variable });

/** The row-major position in `space`. */
export function rowMajor(space: readonly IndexVariable[]): Expression {
  let flat: Expression | undefined;
  for (const variable of space) {
    if (variable.extent === 1) continue;
    const index = indexOf(variable);
    flat = flat ? alu('add', alu('mul', flat, int(variable.extent)), index) : index;
  }
  return flat ?? int(0);
}

/**
 * The result from `parts` arrays of sums that follow each other: each is as long as the result, in its order, and of the anchor's type.
 * Parts are added in order; without parts, all sums are zero. The first buffer holds the sums; the anchor's own follow, from the result on.
 */
export function finishKernel(anchor: Anchor, parts: number): Kernel {
  const { type, buffers, scalars, name } = anchor;
  const elements = resultElements(anchor);
  const sums = { f32: 'float32', i32: 'int32', u32: 'uint32', bool: undefined }[type] as
    | 'float32'
    | undefined;
  if (!sums) throw new InternalError(`${name}: sums of ${type}`);
  const { space, value } = anchor.epilogue ?? plainResult(anchor, elements);
  const flat = rowMajor(space);
  const part: IndexVariable = { name: 'part', extent: parts };
  const load = (index: Expression): Expression => ({ op: 'load', type, buffer: 0, index });
  const sum: Expression =
    parts === 0
      ? { op: 'const', type, value: 0 }
      : parts === 1
        ? load(flat)
        : { op: 'accumulator', type, id: 0 };
  const out = resultBuffer(anchor);
  const store: Phase = {
    kind: 'map',
    loops: [],
    order: 'parallel',
    stores: [{ buffer: 1, index: flat, value: replaced(value, sum, out - 1), mode: 'set' }],
  };
  const term = load(alu('add', alu('mul', indexOf(part), int(elements)), flat));
  const reduce: Phase = {
    kind: 'reduce',
    loops: [part],
    accumulators: [{ id: 0, op: 'sum', type, value: term }],
  };
  return {
    kind: 'kernel',
    name: `${name}_finish`,
    buffers: [{ dtype: sums, length: Math.max(1, parts * elements), access: 'read' }, ...buffers.slice(out)],
    scalars,
    space,
    phases: parts > 1 ? [reduce, store] : [store],
  };
}

/** The buffer of the result. */
export function resultBuffer(anchor: Anchor): number {
  if (anchor.kind === 'attention') return anchor.mask ? 4 : 3;
  if (anchor.kind === 'attentionGradient') return anchor.mask ? 5 : 4;
  return 2;
}

/** The epilogue of an anchor that has none: the sums as they are. */
export function plainResult(anchor: Anchor, elements: number): Epilogue {
  const { type, buffers } = anchor;
  const value: Expression = { op: 'accumulator', type, id: 0 };
  const { scalar } = dtypeInfo[buffers[resultBuffer(anchor)]!.dtype];
  return {
    space: [{ name: 'element', extent: elements }],
    value: scalar === type ? value : { op: 'alu', alu: 'cast', type: scalar, args: [value] },
  };
}

/** An epilogue's value in a kernel: `sum` for the anchor's own result, and buffers `earlier` places earlier. */
function replaced(value: Expression, sum: Expression, earlier: number): Expression {
  const known = new Map<Expression, Expression>();
  const visit = (e: Expression): Expression => {
    let result = known.get(e);
    if (!result) {
      result = rebuilt(e);
      known.set(e, result);
    }
    return result;
  };
  const rebuilt = (e: Expression): Expression => {
    switch (e.op) {
      case 'accumulator':
        return sum;
      case 'alu':
        return { ...e, args: e.args.map(visit) };
      case 'load':
        return {
          ...e,
          buffer: e.buffer - earlier,
          index: visit(e.index),
          ...(e.guard ? { guard: visit(e.guard) } : {}),
        };
      default:
        return e;
    }
  };
  return visit(value);
}
