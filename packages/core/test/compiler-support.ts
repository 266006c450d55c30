/** Tools to look at single stages of the compiler. */
import type {
  Anchor,
  Capabilities,
  Expression,
  IndexVariable,
  Kernel,
  Program,
} from '../src/backend/index.ts';
import { defaultCapabilities } from '../src/backend/index.ts';
import { type CapturedGraph, captureGraph } from '../src/compiler/capture.ts';
import type { Op } from '../src/compiler/op.ts';
import { prepare } from '../src/compiler/prepare.ts';
import { type ScheduledGroup, schedule } from '../src/compiler/schedule.ts';
import { simplify } from '../src/compiler/simplify.ts';
import type { Tensor } from '../src/tensor/index.ts';
import { evaluateAlu } from '../src/testing/index.ts';
import { interpretedRoutine } from './anchor-kernel.ts';

/** The value of an expression of index variables, straight from the contract. */
export function evaluateIndex(e: Expression, at: ReadonlyMap<IndexVariable, number>): number {
  if (e.op === 'const') return e.value;
  if (e.op === 'index') return at.get(e.variable)!;
  if (e.op === 'alu')
    return evaluateAlu(
      e,
      e.args.map((arg) => evaluateIndex(arg, at)),
    );
  throw new RangeError(`${e.op} in an index`);
}

/** Calls `visit` for all values of some variables. */
export function forEachIndex(
  variables: readonly IndexVariable[],
  visit: (at: ReadonlyMap<IndexVariable, number>) => void,
): void {
  const at = new Map<IndexVariable, number>();
  const step = (depth: number): void => {
    const variable = variables[depth];
    if (!variable) {
      visit(at);
      return;
    }
    for (let i = 0; i < variable.extent; i++) {
      at.set(variable, i);
      step(depth + 1);
    }
  };
  step(0);
}

export interface CaptureForm {
  readonly lift?: boolean;
  readonly keep?: boolean;
}

export const capture = (
  tensors: readonly Tensor[],
  { lift = true, keep = false }: CaptureForm = {},
): CapturedGraph =>
  captureGraph(
    tensors.map((x) => x.node),
    { isLeaf: (node) => node.computed, liftConstants: lift, keep },
  );

/** The simplified op of a tensor. */
export const simplified = (x: Tensor): Op => simplify(capture([x], { lift: false })).outputs[0]!;

export interface ScheduleForm {
  readonly capabilities?: Partial<Capabilities>;
  readonly fusion?: boolean;
  readonly routines?: boolean;
  readonly routine?: (anchor: Anchor) => Program | undefined;
}

/** The kernels and routines that some tensors are computed with. */
export function scheduled(
  tensors: readonly Tensor[],
  { capabilities, fusion = true, routines = false, routine }: ScheduleForm = {},
): readonly ScheduledGroup[] {
  const options = {
    capabilities: { ...defaultCapabilities, ...capabilities },
    fusion,
    routine: routine ?? (routines ? interpretedRoutine : () => undefined),
  };
  const { simplifier, outputs } = simplify(capture(tensors));
  const rewritten = prepare(simplifier, outputs, options);
  const roots = outputs.map((op) => {
    let base = rewritten.get(op)!;
    while (base.op === 'reshape') base = base.inputs[0]!;
    return base;
  });
  return schedule(
    roots.filter((op) => op.op !== 'input'),
    options,
  );
}

export const kernelsOf = (tensors: readonly Tensor[], form?: ScheduleForm): Kernel[] =>
  scheduled(tensors, form).flatMap(({ lowered }) =>
    lowered.kernel.kind === 'kernel' ? [lowered.kernel] : [],
  );
