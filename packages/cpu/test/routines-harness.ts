/** Runs the stages of a routine on this thread, in an unshared memory with guard zones, and checks what they leave. */
import type { ContractionAnchor, ConvAnchor, DotAnchor } from '@tutti/core/backend';
import { dtypeInfo } from '@tutti/core/backend';
import { type AnchorCase, bufferContents, dotSums, forEachConvTerm } from '@tutti/core/testing';
import { expect } from 'vitest';
import type { WasmProgram } from '../src/program.ts';
import { ModuleBuilder } from '../src/wasm/index.ts';

const guard = 4096;
const pattern = 0x7fa5a5a5; // a NaN: reading it shows in results, writing over it shows in the guard zones

type StageFunction = (begin: number, end: number, args: number, scratch: number) => void;

interface Loaded {
  readonly memory: WebAssembly.Memory;
  readonly stages: readonly StageFunction[];
  readonly args: number;
  readonly scratch: number;
  readonly addresses: readonly number[];
  /** Addresses and lengths of everything that nobody may write to. */
  readonly guards: readonly (readonly [number, number])[];
}

/** Lays out buffers, workspace and scratch, each between guard zones, and instantiates the program. */
function load(program: WasmProgram, buffers: readonly Uint8Array[], scalars: readonly number[] = []): Loaded {
  const addresses: number[] = [];
  const guards: [number, number][] = [];
  let top = 65536;
  const place = (bytes: number): number => {
    const end = top + bytes;
    const next = Math.ceil(end / 64) * 64 + guard;
    guards.push([end, next - end]);
    const at = top;
    top = next;
    return at;
  };
  guards.push([top, guard]);
  top += guard;
  for (const buffer of buffers) addresses.push(place(buffer.byteLength));
  const workspace = place(program.workspaceBytes);
  const scratch = place(program.scratchBytes);
  const args = place((buffers.length + 1 + scalars.length) * 4);
  const memory = new WebAssembly.Memory({ initial: Math.ceil(top / 65536) + 1 });
  new Uint32Array(memory.buffer).fill(pattern);
  for (const [i, buffer] of buffers.entries())
    new Uint8Array(memory.buffer, addresses[i], buffer.byteLength).set(buffer);
  const words = new Int32Array(memory.buffer, args, buffers.length + 1 + scalars.length);
  words.set([...addresses, workspace]);
  for (const [i, value] of scalars.entries()) {
    const at = args + (buffers.length + 1 + i) * 4;
    if (program.scalarTypes[i] === 'f32') new Float32Array(memory.buffer, at, 1)[0] = value;
    else new Int32Array(memory.buffer, at, 1)[0] = value;
  }
  const builder = new ModuleBuilder({ shared: false });
  for (const [i, stage] of program.stages.entries()) {
    const signature = { params: ['i32', 'i32', 'i32', 'i32'] as const, results: [] };
    builder.export(
      `stage${i}`,
      builder.function(`stage${i}`, { params: [...signature.params], results: [] }, (fn) =>
        stage.emit(fn, builder),
      ),
    );
  }
  const instance = new WebAssembly.Instance(new WebAssembly.Module(builder.build()), { env: { memory } });
  const stages = program.stages.map((_, i) => instance.exports[`stage${i}`] as StageFunction);
  return { memory, stages, args, scratch, addresses, guards };
}

/** How the units of a stage are cut into calls: at multiples of its grain. */
type Cut = (units: number, grain: number) => readonly number[];
const whole: Cut = (units) => [0, units];
const each: Cut = (units, grain) => {
  const cuts: number[] = [];
  for (let u = 0; u < units; u += grain) cuts.push(u);
  return [...cuts, units];
};

/** Runs the program and gives the bytes of buffer 2. Fails when a guard zone or an input was written to. */
function execute(
  program: WasmProgram,
  buffers: readonly Uint8Array[],
  scalars: readonly number[] = [],
  cut: Cut = whole,
  backwards = false,
): Uint8Array {
  const loaded = load(program, buffers, scalars);
  const { memory, stages, args, scratch, addresses, guards } = loaded;
  for (const [i, stage] of program.stages.entries()) {
    const cuts = cut(stage.units, stage.grain);
    const ranges = cuts.slice(1).map((end, j) => [cuts[j]!, end] as const);
    for (const [begin, end] of backwards ? ranges.reverse() : ranges) {
      // Scratch holds nothing from one call to the next.
      new Uint32Array(memory.buffer, scratch, program.scratchBytes >> 2).fill(pattern);
      if (end > begin) stages[i]!(begin, end, args, scratch);
    }
  }
  const view = new Uint8Array(memory.buffer);
  for (const [at, bytes] of guards) {
    for (let b = at; b < at + bytes; b++) {
      if (view[b] !== ((pattern >>> ((b % 4) * 8)) & 255))
        throw new Error(`wrote ${b - at} bytes behind an object`);
    }
  }
  for (const [i, buffer] of buffers.entries()) {
    if (i === 2) continue;
    for (let b = 0; b < buffer.byteLength; b++) {
      if (view[addresses[i]! + b] !== buffer[b]) throw new Error(`wrote to input ${i}`);
    }
  }
  return view.slice(addresses[2]!, addresses[2]! + buffers[2]!.byteLength);
}

export const randomFloats = (length: number, random: () => number): Float32Array =>
  Float32Array.from({ length }, () => random() * 2 - 1);

export const bytesOf = (array: Float32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Sums in f64, and the sums of magnitudes for an error bound. */
export interface Reference {
  readonly sums: Float64Array;
  readonly magnitudes: Float64Array;
}

export function dotReference(anchor: DotAnchor, lhs: Float32Array, rhs: Float32Array): Reference {
  return {
    sums: Float64Array.from(dotSums(anchor, lhs, rhs)),
    magnitudes: Float64Array.from(dotSums(anchor, lhs.map(Math.abs), rhs.map(Math.abs))),
  };
}

export function convReference(anchor: ConvAnchor, lhs: Float32Array, rhs: Float32Array): Reference {
  const { length } = anchor.buffers[2]!;
  const [sums, magnitudes] = [new Float64Array(length), new Float64Array(length)];
  forEachConvTerm(anchor, (out, x, w) => {
    const term = lhs[x]! * rhs[w]!;
    sums[out]! += term;
    magnitudes[out]! += Math.abs(term);
  });
  return { sums, magnitudes };
}

/** |got - want| within what f32 sums of `length` terms can lose, when all errors point the same way (equal terms). */
export function expectClose(got: Float32Array, want: Reference, length: number, what: string): void {
  const factor = Math.min(2 ** -12, 2 ** -24 * (4 + length / 2));
  for (let i = 0; i < want.sums.length; i++) {
    const error = Math.abs(got[i]! - want.sums[i]!);
    if (!(error <= factor * want.magnitudes[i]! + 1e-30)) {
      expect.fail(`${what}: element ${i} is ${got[i]}, not ${want.sums[i]}`);
    }
  }
}

/** Runs whole, in single grains, and backwards; all must give the same bits. Gives the result. */
export function executeAllWays(
  program: WasmProgram,
  buffers: readonly Uint8Array[],
  scalars: readonly number[] = [],
): Uint8Array {
  const first = execute(program, buffers, scalars);
  for (const backwards of [false, true]) {
    const other = execute(program, buffers, scalars, each, backwards);
    if (Buffer.compare(first, other) !== 0) throw new Error('the cut of the units changes the result');
  }
  return first;
}

/** An anchor's program applied to random operands against the reference. */
export function check(
  anchor: ContractionAnchor,
  program: WasmProgram,
  random: () => number,
  what: string,
): void {
  const lhs = randomFloats(anchor.buffers[0]!.length, random);
  const rhs = randomFloats(anchor.buffers[1]!.length, random);
  const out = new Float32Array(anchor.buffers[2]!.length);
  expect(dtypeInfo[anchor.buffers[2]!.dtype].bytes).toBe(4);
  const got = executeAllWays(program, [bytesOf(lhs), bytesOf(rhs), bytesOf(out)]);
  const want = anchor.kind === 'dot' ? dotReference(anchor, lhs, rhs) : convReference(anchor, lhs, rhs);
  const length =
    anchor.kind === 'dot' ? anchor.k : anchor.inChannels * anchor.kernelSize.reduce((a, b) => a * b, 1);
  expectClose(new Float32Array(got.buffer, got.byteOffset, out.length), want, length, what);
}

/** A shared case by a program. */
export function checkCase({ contents, scalars, check, anchor }: AnchorCase, program: WasmProgram): void {
  const buffers = contents();
  const bytes = buffers.map((each) => new Uint8Array(each.buffer, each.byteOffset, each.byteLength));
  const got = executeAllWays(program, bytes, scalars);
  const out = bufferContents(anchor.buffers[2]!.dtype, anchor.buffers[2]!.length);
  new Uint8Array(out.buffer).set(got);
  const wrong = check(buffers.map((each, slot) => (slot === 2 ? out : each)));
  if (wrong) expect.fail(wrong);
}
