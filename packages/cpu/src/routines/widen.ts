/**
 * Routines compute on float32 operands. For 16-bit floats a first stage widens the whole operand into the workspace, with
 * the same strides, and the routine runs on the copy: one pass over memory against many over the same elements.
 *
 * The routine does not know: every stage begins by writing an argument block of its own to scratch memory, in which the
 * operand's address is that of the copy.
 */
import { type ContractionAnchor, ceilDiv, type DType, roundUp } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import type { FunctionBuilder, Local } from '../wasm/index.ts';
import { workspaceSlot } from './finish.ts';

const isHalf = (dtype: DType): boolean => dtype === 'float16' || dtype === 'bfloat16';

/** Elements in a unit of the widening stage. */
const unit = 4096;

/** The program that `make` gives for float32 operands, for operands that may be 16-bit floats. */
export function widened(
  anchor: ContractionAnchor,
  make: (anchor: ContractionAnchor) => WasmProgram | undefined,
): WasmProgram | undefined {
  const slots = [anchor.lhs, anchor.rhs].flatMap((operand, slot) => (isHalf(operand.dtype) ? [slot] : []));
  if (slots.length === 0) return make(anchor);
  const buffers = anchor.buffers.map((b, i) => (slots.includes(i) ? { ...b, dtype: 'float32' as const } : b));
  const wide = { ...anchor, buffers, lhs: { ...anchor.lhs }, rhs: { ...anchor.rhs } } as ContractionAnchor;
  for (const slot of slots) Object.assign(slot === 0 ? wide.lhs : wide.rhs, { dtype: 'float32' });
  const program = make(wide);
  if (!program || program.stages.length === 0) return program;

  let top = roundUp(program.workspaceBytes, 64);
  const copies = slots.map((slot) => {
    const at = top;
    // The same room behind the end as a buffer has.
    top = roundUp(top + anchor.buffers[slot]!.length * 4 + 64, 64);
    return { slot, at };
  });
  const argsAt = roundUp(program.scratchBytes, 64);
  const words = anchor.buffers.length + 1 + anchor.scalars.length;
  return {
    ...program,
    source: () => `${program.source()}\noperands ${slots.join(', ')} widened`,
    workspaceBytes: top,
    scratchBytes: argsAt + words * 4 + 64,
    stages: [
      ...copies.map(({ slot, at }) => widenStage(anchor, slot, at)),
      ...program.stages.map(
        (stage): Stage => ({
          ...stage,
          emit: (fn, module) => {
            const [, , args, scratch] = fn.params as readonly [Local, Local, Local, Local];
            const own = fn.local('i32');
            fn.get(scratch).i32(argsAt).op('i32.add').set(own);
            for (let word = 0; word < words; word++) {
              const copy = copies.find(({ slot }) => slot === word);
              fn.get(own);
              if (copy) fn.get(args).load('i32.load', workspaceSlot(anchor)).i32(copy.at).op('i32.add');
              else fn.get(args).load('i32.load', word * 4);
              fn.store('i32.store', word * 4);
            }
            fn.get(own).set(args);
            stage.emit(fn, module);
          },
        }),
      ),
    ],
  };
}

function widenStage(anchor: ContractionAnchor, slot: number, at: number): Stage {
  const { length, dtype } = anchor.buffers[slot]!;
  return {
    units: ceilDiv(length, unit),
    grain: 1,
    cost: Math.min(unit, length) * 0.4,
    emit: (fn) => {
      const [begin, end, args] = fn.params as readonly [Local, Local, Local];
      const [source, target, left] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
      fn.get(args)
        .load('i32.load', slot * 4)
        .get(begin)
        .i32(unit * 2)
        .op('i32.mul')
        .op('i32.add')
        .set(source);
      fn.get(args).load('i32.load', workspaceSlot(anchor)).i32(at).op('i32.add');
      fn.get(begin)
        .i32(unit * 4)
        .op('i32.mul')
        .op('i32.add')
        .set(target);
      // All units are neighbours: one loop over them, four elements at a time. The last may run over, into the slack.
      fn.get(end).get(begin).op('i32.sub').i32(unit).op('i32.mul').set(left);
      fn.i32(length).get(begin).i32(unit).op('i32.mul').op('i32.sub').tee(begin);
      fn.get(left).get(begin).get(left).op('i32.lt_s').op('select').set(left);
      const again = fn.loop();
      fn.get(target).get(source).load('v128.load16x4_u', 0, 2);
      emitWiden(fn, dtype);
      fn.store('v128.store', 0, 4);
      fn.get(source).i32(8).op('i32.add').set(source);
      fn.get(target).i32(16).op('i32.add').set(target);
      fn.get(left).i32(4).op('i32.sub').tee(left).i32(0).op('i32.gt_s').brIf(again);
      fn.end();
    },
  };
}

/** [16-bit floats in i32 lanes] -> [f32x4]. */
function emitWiden(fn: FunctionBuilder, dtype: DType): void {
  if (dtype === 'bfloat16') {
    fn.i32(16).op('i32x4.shl');
    return;
  }
  const [bits, magnitude] = [fn.local('v128'), fn.local('v128')];
  fn.tee(bits).i32x4(0x7fff).op('v128.and').set(magnitude);
  // The exponent moves by 112; as a product, so that subnormals come out right. Inf and NaN get theirs set by hand.
  fn.get(magnitude)
    .i32(13)
    .op('i32x4.shl')
    .f32x4(2 ** 112)
    .op('f32x4.mul');
  fn.get(magnitude).i32x4(0x7bff).op('i32x4.gt_s').i32x4(0x7f800000).op('v128.and').op('v128.or');
  fn.get(bits).i32x4(0x8000).op('v128.and').i32(16).op('i32x4.shl').op('v128.or');
}
