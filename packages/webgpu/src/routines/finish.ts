/**
 * The last stage of routines whose sums lie in scratch memory: adds parts in order, applies the epilogue, stores. It is a kernel like
 * those of the compiler, with the workspace for its first buffer.
 */
import {
  type Anchor,
  dtypeInfo,
  type Epilogue,
  type Expression,
  type IndexVariable,
  InternalError,
  type Kernel,
  type Phase,
} from '@tutti/core/backend';
import { compileKernel } from '../kernels/index.ts';
import type { ShaderFeatures, StageBinding, WgslProgram, WgslStage } from '../program.ts';

const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

/** Elements of the result. */
export function resultElements(anchor: Anchor): number {
  if (anchor.kind === 'dot') return product(anchor.batch) * anchor.m * anchor.n;
  if (anchor.kind === 'attention') return product(anchor.batch) * anchor.queries * anchor.valueWidth;
  return anchor.batch * anchor.groups * anchor.outChannels * product(anchor.outSize);
}

/** A program of these stages, for this anchor. */
export function assemble(
  anchor: Anchor,
  stages: readonly WgslStage[],
  workspaceBytes: number,
  variant: string,
): WgslProgram {
  return {
    name: anchor.name,
    stages,
    scalarTypes: anchor.scalars,
    workspaceBytes,
    source: () => `// ${variant}\n${stages.map(({ code }) => code).join('\n')}`,
  };
}

/** Sums of nothing: every element is the epilogue of zero. */
export function zeroProgram(anchor: Anchor, features: ShaderFeatures): WgslProgram {
  const elements = resultElements(anchor);
  return assemble(anchor, elements === 0 ? [] : finishStages(anchor, features, 0), 0, 'zero');
}

/**
 * The result from `parts` arrays of sums that follow each other in the workspace, from its start on: each is as long as the result,
 * in its order, and of the anchor's type.
 */
export function finishStages(anchor: Anchor, features: ShaderFeatures, parts: number): readonly WgslStage[] {
  const kernel = finishKernel(anchor, parts);
  return compileKernel(kernel, features).stages.map((stage) => ({
    ...stage,
    bindings: stage.bindings.map(
      (binding): StageBinding =>
        binding.source.kind === 'buffer' ? { ...binding, source: sourceOf(binding.source.index) } : binding,
    ),
  }));
}

/** The kernel's buffers are the workspace and the anchor's from the result on. */
const sourceOf = (index: number): StageBinding['source'] =>
  index === 0 ? { kind: 'workspace' } : { kind: 'buffer', index: index + 1 };

export const int = (value: number): Expression => ({ op: 'const', type: 'i32', value });
const alu = (op: 'add' | 'mul', a: Expression, b: Expression): Expression => ({
  op: 'alu',
  alu: op,
  type: 'i32',
  args: [a, b],
});
const indexOf = (variable: IndexVariable): Expression => ({ op: 'index', type: 'i32', variable });

/** The row-major position in `space`. */
export function flatten(space: readonly IndexVariable[]): Expression {
  let flat: Expression | undefined;
  for (const variable of space) {
    const index = indexOf(variable);
    flat = flat ? alu('add', alu('mul', flat, int(variable.extent)), index) : index;
  }
  return flat ?? int(0);
}

function finishKernel(anchor: Anchor, parts: number): Kernel {
  const { type, buffers, scalars, name } = anchor;
  const elements = resultElements(anchor);
  const sums = { f32: 'float32', i32: 'int32', u32: 'uint32', bool: undefined }[type] as
    | 'float32'
    | undefined;
  if (!sums) throw new InternalError(`${name}: sums of ${type}`);
  const { space, value } = anchor.epilogue ?? plainResult(anchor, elements);
  const flat = flatten(space);
  const part: IndexVariable = { name: 'part', extent: parts };
  const load = (index: Expression): Expression => ({ op: 'load', type, buffer: 0, index });
  const sum: Expression =
    parts === 0
      ? { op: 'const', type, value: 0 }
      : parts === 1
        ? load(flat)
        : { op: 'accumulator', type, id: 0 };
  const store: Phase = {
    kind: 'map',
    loops: [],
    order: 'parallel',
    stores: [{ buffer: 1, index: flat, value: replaced(value, sum), mode: 'set' }],
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
    buffers: [{ dtype: sums, length: Math.max(1, parts * elements), access: 'read' }, ...buffers.slice(2)],
    scalars,
    space,
    phases: parts > 1 ? [reduce, store] : [store],
  };
}

/** The sums as they are. */
export function plainResult({ type, buffers }: Anchor, elements: number): Epilogue {
  const value: Expression = { op: 'accumulator', type, id: 0 };
  const { scalar } = dtypeInfo[buffers[2]!.dtype];
  return {
    space: [{ name: 'element', extent: elements }],
    value: scalar === type ? value : { op: 'alu', alu: 'cast', type: scalar, args: [value] },
  };
}

/** An epilogue's value in a kernel: `sum` for the anchor's own result, and buffers one place earlier. */
function replaced(value: Expression, sum: Expression): Expression {
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
          buffer: e.buffer - 1,
          index: visit(e.index),
          ...(e.guard ? { guard: visit(e.guard) } : {}),
        };
      default:
        return e;
    }
  };
  return visit(value);
}
