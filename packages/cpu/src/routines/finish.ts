/**
 * The last step of every routine: the epilogue over finished sums, and assembling a program from its stages.
 *
 * Sums are kept in the result itself where it has four bytes an element, and else in scratch memory, because a narrower
 * result cannot hold them.
 */
import { type ContractionAnchor, ceilDiv, dtypeInfo, printAnchor } from '@tutti/core/backend';
import { emitEpilogue, epilogueCost } from '../kernels/epilogue.ts';
import type { Stage, WasmProgram } from '../program.ts';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';

/** Bytes in one element of the result. */
const resultBytes = (anchor: ContractionAnchor): number => dtypeInfo[anchor.buffers[2]!.dtype].bytes;

/** True where the sums are not yet the result: there is an epilogue, or the result is not f32. */
export const needsFinish = (anchor: ContractionAnchor): boolean =>
  anchor.epilogue !== undefined || anchor.buffers[2]!.dtype !== 'float32';

/** True where sums may lie in the result until they are finished. */
export const sumsFitResult = (anchor: ContractionAnchor): boolean => resultBytes(anchor) === 4;

/** Nanoseconds that finishing adds to each element. */
export const finishCost = (anchor: ContractionAnchor): number =>
  needsFinish(anchor) ? epilogueCost(anchor) + 0.2 : 0;

const epilogues = new WeakMap<ModuleBuilder, Map<ContractionAnchor, number>>();

/** The epilogue function of `anchor` in `module`, made once. */
function epilogueOf(module: ModuleBuilder, anchor: ContractionAnchor): number {
  let known = epilogues.get(module);
  if (!known) epilogues.set(module, (known = new Map()));
  let index = known.get(anchor);
  if (index === undefined) known.set(anchor, (index = emitEpilogue(module, anchor)));
  return index;
}

/**
 * Emits a function call's worth of finishing: elements [begin, begin + count) of the result from the sums at `source`.
 * All three are locals; emits nothing where there is nothing to do.
 */
export function emitFinish(
  fn: FunctionBuilder,
  module: ModuleBuilder,
  anchor: ContractionAnchor,
  at: { readonly args: Local; readonly source: Local; readonly begin: Local; readonly count: Local },
): void {
  if (!needsFinish(anchor)) return;
  const index = epilogueOf(module, anchor);
  fn.get(at.args).get(at.source).get(at.begin);
  fn.get(at.begin).get(at.count).op('i32.add').call(index);
}

/** Elements in one unit of `flatStage`: whole cache lines of the result. */
const flatUnit = 1024;

/**
 * A stage over the flat result: `fill(first, count)` writes the sums of a run of at most `flatUnit` elements to the
 * address in `target`, and the epilogue follows.
 */
export function flatStage(
  anchor: ContractionAnchor,
  elements: number,
  nanoseconds: number,
  fill: (fn: FunctionBuilder, at: { args: Local; target: Local; first: Local; count: Local }) => void,
): Stage {
  const units = ceilDiv(elements, flatUnit);
  return {
    units,
    grain: 1,
    cost: Math.min(flatUnit, elements) * (nanoseconds + finishCost(anchor)),
    emit: (fn, module) => {
      const [begin, end, args, scratch] = fn.params as readonly [Local, Local, Local, Local];
      const [first, count, target] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
      fn.loopRange(begin, begin, end, 1, () => {
        fn.get(begin).i32(flatUnit).op('i32.mul').set(first);
        fn.i32(elements).get(first).op('i32.sub').tee(count);
        fn.i32(flatUnit).get(count).i32(flatUnit).op('i32.lt_s').op('select').set(count);
        if (sumsFitResult(anchor)) {
          fn.get(args).load('i32.load', 8).get(first).i32(4).op('i32.mul').op('i32.add').set(target);
        } else fn.get(scratch).set(target);
        fill(fn, { args, target, first, count });
        emitFinish(fn, module, anchor, { args, source: target, begin: first, count });
      });
    },
  };
}

/** Scratch that `flatStage` needs, with slack for vectors. */
export const flatScratch: number = flatUnit * 4 + 64;

/** Sums of nothing: every element is the epilogue of zero. */
export function zeroProgram(anchor: ContractionAnchor, elements: number): WasmProgram {
  const stage = flatStage(anchor, elements, 0.1, (fn, { target, count }) => {
    fn.get(target).i32(0).get(count).i32(4).op('i32.mul').memoryFill();
  });
  return assemble(anchor, elements === 0 ? [] : [stage], { scratch: flatScratch, workspace: 0 }, 'zero');
}

/** A program of these stages, for this anchor. */
export function assemble(
  anchor: ContractionAnchor,
  stages: readonly Stage[],
  memory: { readonly scratch: number; readonly workspace: number },
  variant: string,
): WasmProgram {
  return {
    name: anchor.name,
    source: () => `routine ${anchor.kind} (${variant})\n${printAnchor(anchor)}`,
    stages,
    bufferCount: anchor.buffers.length,
    scalarCount: anchor.scalars.length,
    scalarTypes: anchor.scalars,
    workspaceBytes: memory.workspace,
    scratchBytes: memory.scratch,
  };
}

/** Address, in the argument block, of the workspace's address. */
export const workspaceSlot = (anchor: ContractionAnchor): number => anchor.buffers.length * 4;
