import { InternalError } from '@tutti/core/backend';
import { ByteWriter } from './bytes.ts';
import {
  accessBytes,
  type LaneOp,
  type LoadLaneOp,
  type LoadOp,
  laneOps,
  type MemoryOp,
  memoryOps,
  type PlainOp,
  plainOps,
  type StoreLaneOp,
  type StoreOp,
} from './opcodes.ts';

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

export const valueTypeCodes: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

export interface Signature {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** A parameter or a local variable of a function. */
export interface Local {
  readonly index: number;
  readonly type: ValueType;
}

/** An open `block`, `loop` or `if`. Branch to it by this object; the depth is counted when the branch is written. */
export interface Label {
  readonly kind: 'block' | 'loop' | 'if';
  readonly depth: number;
}

/**
 * Writes the body of one function, instruction by instruction, in the order of the stack machine:
 *
 *     fn.get(a).get(b).op('f32.add').set(sum);
 *
 * A branch to a `block` or an `if` leaves it; a branch to a `loop` starts it again.
 */
export class FunctionBuilder {
  readonly params: readonly Local[];
  readonly signature: Signature;
  readonly #code = new ByteWriter();
  readonly #locals: ValueType[] = [];
  readonly #open: Label[] = [];

  constructor(signature: Signature) {
    this.signature = signature;
    this.params = signature.params.map((type, index) => ({ index, type }));
  }

  /** A new local variable. WebAssembly sets it to zero when the function starts. */
  local(type: ValueType): Local {
    this.#locals.push(type);
    return { index: this.params.length + this.#locals.length - 1, type };
  }

  get(local: Local): this {
    return this.#immediate(0x20, local.index);
  }

  set(local: Local): this {
    return this.#immediate(0x21, local.index);
  }

  /** As `set`, and leaves the value on the stack. */
  tee(local: Local): this {
    return this.#immediate(0x22, local.index);
  }

  i32(value: number): this {
    this.#code.byte(0x41);
    this.#code.s32(value);
    return this;
  }

  i64(value: bigint): this {
    this.#code.byte(0x42);
    this.#code.s64(value);
    return this;
  }

  f32(value: number): this {
    this.#code.byte(0x43);
    this.#code.f32(value);
    return this;
  }

  f64(value: number): this {
    this.#code.byte(0x44);
    this.#code.f64(value);
    return this;
  }

  /** A vector constant from its 16 bytes, lowest first. */
  v128(bytes: ArrayLike<number>): this {
    if (bytes.length !== 16) throw new InternalError(`a vector has 16 bytes, not ${bytes.length}`);
    this.#code.append([0xfd, 12]);
    this.#code.append(bytes);
    return this;
  }

  /** Vector constants by lane. One value fills all lanes. */
  i8x16(...lanes: number[]): this {
    return this.v128(new Uint8Array(Int8Array.from(spread(lanes, 16)).buffer));
  }

  i16x8(...lanes: number[]): this {
    return this.v128(new Uint8Array(Int16Array.from(spread(lanes, 8)).buffer));
  }

  i32x4(...lanes: number[]): this {
    return this.v128(new Uint8Array(Int32Array.from(spread(lanes, 4)).buffer));
  }

  f32x4(...lanes: number[]): this {
    return this.v128(new Uint8Array(Float32Array.from(spread(lanes, 4)).buffer));
  }

  f64x2(...lanes: number[]): this {
    return this.v128(new Uint8Array(Float64Array.from(spread(lanes, 2)).buffer));
  }

  /** Any instruction without immediates, by its name in the specification. */
  op(name: PlainOp): this {
    this.#code.append(plainOps.get(name)!);
    return this;
  }

  /** `extract_lane` and `replace_lane`. */
  lane(name: LaneOp, lane: number): this {
    this.#code.append(laneOps.get(name)!);
    this.#code.byte(lane);
    return this;
  }

  /** `i8x16.shuffle`: 16 numbers; 0..15 take bytes of the first operand, 16..31 of the second. */
  shuffle(lanes: ArrayLike<number>): this {
    if (lanes.length !== 16) throw new InternalError(`a shuffle has 16 lanes, not ${lanes.length}`);
    this.#code.append([0xfd, 13]);
    this.#code.append(lanes);
    return this;
  }

  /** Shuffles whole 32-bit lanes: 0..3 of the first operand, 4..7 of the second. */
  shuffle32(a: number, b: number, c: number, d: number): this {
    return this.shuffle([a, b, c, d].flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)));
  }

  /** [address] -> [value]. `offset` is unsigned; `align` is a hint in bytes, by default the width of the access. */
  load(name: LoadOp, offset = 0, align: number = accessBytes(name)): this {
    return this.#memory(name, offset, align);
  }

  /** [address value] -> []. */
  store(name: StoreOp, offset = 0, align: number = accessBytes(name)): this {
    return this.#memory(name, offset, align);
  }

  /** [address vector] -> [vector] with one lane replaced from memory. */
  loadLane(name: LoadLaneOp, lane: number, offset = 0): this {
    this.#memory(name, offset, accessBytes(name));
    this.#code.byte(lane);
    return this;
  }

  /** [address vector] -> []. */
  storeLane(name: StoreLaneOp, lane: number, offset = 0): this {
    this.#memory(name, offset, accessBytes(name));
    this.#code.byte(lane);
    return this;
  }

  /** [target source bytes] -> []. The ranges may overlap. */
  memoryCopy(): this {
    this.#code.append([0xfc, 10, 0, 0]);
    return this;
  }

  /** [target byte bytes] -> []. */
  memoryFill(): this {
    this.#code.append([0xfc, 11, 0]);
    return this;
  }

  /** Calls a function of the module, by the index that `ModuleBuilder.function` or `.helper` returned. */
  call(index: number): this {
    return this.#immediate(0x10, index);
  }

  block(result?: ValueType): Label {
    return this.#begin('block', 0x02, result);
  }

  loop(result?: ValueType): Label {
    return this.#begin('loop', 0x03, result);
  }

  /** [condition] -> []. */
  if(result?: ValueType): Label {
    return this.#begin('if', 0x04, result);
  }

  else(): this {
    if (this.#open.at(-1)?.kind !== 'if') throw new InternalError('else without an open if');
    this.#code.byte(0x05);
    return this;
  }

  end(): this {
    if (!this.#open.pop()) throw new InternalError('end without an open block');
    this.#code.byte(0x0b);
    return this;
  }

  br(label: Label): this {
    return this.#immediate(0x0c, this.#distance(label));
  }

  /** [condition] -> []. */
  brIf(label: Label): this {
    return this.#immediate(0x0d, this.#distance(label));
  }

  /**
   * `for (local = from; local < to; local += step) body(exit)`. Numbers are constants, locals are read afresh in every
   * round. The comparison is signed, as counts are; addresses may lie above 2 GiB and need `unsigned`. A branch to
   * `exit` leaves the loop.
   */
  loopRange(
    local: Local,
    from: number | Local,
    to: number | Local,
    step: number | Local,
    body: (exit: Label) => void,
    compare: 'signed' | 'unsigned' = 'signed',
  ): this {
    const below = compare === 'signed' ? 'i32.lt_s' : 'i32.lt_u';
    this.value(from).tee(local).value(to).op(below);
    const exit = this.if();
    const again = this.loop();
    body(exit);
    this.get(local).value(step).op('i32.add').tee(local).value(to).op(below).brIf(again);
    return this.end().end();
  }

  /** An i32: a constant or a local. */
  value(value: number | Local): this {
    return typeof value === 'number' ? this.i32(value) : this.get(value);
  }

  /** The function's entry in the code section: locals, body, end. */
  finish(): readonly number[] {
    if (this.#open.length > 0) throw new InternalError(`${this.#open.length} blocks are not closed`);
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    const body = new ByteWriter();
    body.u32(runs.length);
    for (const { type, count } of runs) {
      body.u32(count);
      body.byte(valueTypeCodes[type]);
    }
    body.append(this.#code.bytes);
    body.byte(0x0b);
    return body.bytes;
  }

  #immediate(opcode: number, value: number): this {
    this.#code.byte(opcode);
    this.#code.u32(value);
    return this;
  }

  #memory(name: MemoryOp, offset: number, align: number): this {
    if (offset < 0)
      throw new InternalError(`${name}: the offset ${offset} is negative; subtract from the address`);
    this.#code.append(memoryOps.get(name)!);
    this.#code.u32(Math.log2(Math.min(align, accessBytes(name))));
    this.#code.u32(offset);
    return this;
  }

  #begin(kind: Label['kind'], opcode: number, result: ValueType | undefined): Label {
    this.#code.byte(opcode);
    this.#code.byte(result ? valueTypeCodes[result] : 0x40);
    const label: Label = { kind, depth: this.#open.length };
    this.#open.push(label);
    return label;
  }

  #distance(label: Label): number {
    if (this.#open[label.depth] !== label)
      throw new InternalError(`branch to a ${label.kind} that is closed`);
    return this.#open.length - 1 - label.depth;
  }
}

function spread(lanes: readonly number[], count: number): readonly number[] {
  if (lanes.length === 1) return new Array<number>(count).fill(lanes[0]!);
  if (lanes.length !== count) throw new InternalError(`${count} lanes wanted, got ${lanes.length}`);
  return lanes;
}
