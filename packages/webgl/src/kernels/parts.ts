/**
 * Reductions in two steps where results are few and loops long: fragments that each go through a part of a loop, and fragments that
 * join what those found. One fragment is one thread, and a draw of a few of them leaves a device idle.
 *
 *     out[i] = f(sum over k < 4096 of x)     scratch[part, i] = sum over k < 256 of x, 16 parts
 *                                            out[i] = f(sum over part < 16 of scratch)
 *
 * argMax and argMin keep positions, and look at the values there again.
 */
import {
  type Accumulator,
  type DType,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Kernel,
  operands,
  type ScalarType,
  sizeOf,
} from '@tutti/core/backend';
import type { Scratch, ShaderFeatures } from '../program.ts';
import type { KernelForm } from './form.ts';

/** A kernel as two, which share a buffer behind those of the kernel. */
export interface InParts {
  readonly first: Kernel;
  readonly last: Kernel;
  readonly scratch: Required<Scratch>;
}

interface Division {
  readonly loop: IndexVariable;
  readonly count: number;
}

/** What keeps a device busy, and how long a part must be for that to be worth a draw. */
const needs = {
  software: { fragments: 256, iterations: 16, work: 8192 },
  hardware: { fragments: 16384, iterations: 32, work: 8192 },
} as const;

/** A kernel in two steps; undefined where one will do. */
export function inParts(form: KernelForm, features: ShaderFeatures): InParts | undefined {
  const { reduce, points } = form;
  const [accumulator, ...more] = reduce?.accumulators ?? [];
  if (!reduce || !accumulator || more.length > 0) return undefined;
  const division = divide(reduce.loops, points, features);
  if (!division || (accumulator.position && !isPlace(accumulator, reduce.loops))) return undefined;
  const texels = Math.ceil((division.count * points) / 4);
  const rowShift = Math.min(Math.floor(Math.log2(texels) / 2), features.rowShift);
  return { ...splitKernel(form, accumulator, division), scratch: { bytes: 16 * texels, rowShift } };
}

/** The position is the place in the only loop. */
function isPlace({ position }: Accumulator, loops: readonly IndexVariable[]): boolean {
  const long = loops.filter(({ extent }) => extent > 1);
  return long.length === 1 && position?.op === 'index' && position.variable === long[0];
}

function divide(
  loops: readonly IndexVariable[],
  points: number,
  { software, rowShift }: ShaderFeatures,
): Division | undefined {
  const { fragments, iterations, work } = needs[software ? 'software' : 'hardware'];
  const quads = Math.ceil(points / 4);
  const all = sizeOf(loops);
  // Software computes squares of two rows by two texels, and rows in parallel: one row alone wastes half of each, and all threads but one.
  const enough = software ? 2 ** rowShift : fragments / 4;
  if (quads > enough || quads * all < work) return undefined;
  const most = all / iterations;
  const wanted = Math.max(4, Math.min(most, Math.ceil(fragments / (points === 1 ? 1 / 4 : quads))));
  const fits = (count: number, loop: IndexVariable): boolean =>
    loop.extent % count === 0 &&
    count <= most &&
    (points === 1 ? count % 4 === 0 : loop !== loops.at(-1) || (loop.extent / count) % 4 === 0);
  for (const loop of loops.toSorted((a, b) => b.extent - a.extent)) {
    for (let count = Math.ceil(wanted); count <= 4 * wanted; count++)
      if (fits(count, loop)) return { loop, count };
    for (let count = Math.floor(wanted); count >= 4; count--) if (fits(count, loop)) return { loop, count };
  }
  return undefined;
}

const stored: Readonly<Record<ScalarType, DType>> = {
  f32: 'float32',
  i32: 'int32',
  u32: 'uint32',
  bool: 'uint32',
};

/** What the two kernels of a reduction have in common. */
interface Halves {
  readonly b: ExpressionBuilder;
  /** The type of what goes from one to the other, and the buffer that it goes through. */
  readonly kept: ScalarType;
  readonly buffer: number;
  readonly buffers: Kernel['buffers'];
  readonly part: IndexVariable;
  readonly place: Expression;
}

const add = (b: ExpressionBuilder, x: Expression, y: Expression): Expression => b.alu('add', 'i32', x, y);
const mul = (b: ExpressionBuilder, x: Expression, by: number): Expression =>
  b.alu('mul', 'i32', x, b.int(by));

function splitKernel(
  form: KernelForm,
  accumulator: Accumulator,
  division: Division,
): Pick<InParts, 'first' | 'last'> {
  const { kernel, points } = form;
  const b = new ExpressionBuilder();
  const kept = accumulator.position ? 'i32' : accumulator.type;
  const part: IndexVariable = { name: 'p', extent: division.count };
  const length = division.count * points;
  const halves: Halves = {
    b,
    kept,
    buffer: kernel.buffers.length,
    buffers: [...kernel.buffers, { dtype: stored[kept], length, access: 'readWrite' }],
    part,
    place: kernel.space.reduce(
      (index, variable) => add(b, mul(b, index, variable.extent), b.index(variable)),
      b.index(part),
    ),
  };
  return {
    first: firstKernel(form, accumulator, division, halves),
    last: lastKernel(form, accumulator, division, halves),
  };
}

/** What each part comes to. */
function firstKernel(
  { kernel, reduce, points }: KernelForm,
  { id, op, type, value, position }: Accumulator,
  { loop, count }: Division,
  { b, kept, buffer, buffers, part, place }: Halves,
): Kernel {
  const inner: IndexVariable = { name: loop.name, extent: loop.extent / count };
  // Parts that are neighbours in memory take turns: what four of them want next is a texel. Elsewhere each has a piece.
  const whole =
    points === 1
      ? add(b, mul(b, b.index(inner), count), b.index(part))
      : add(b, mul(b, b.index(part), inner.extent), b.index(inner));
  const inPart = replacing(loop, whole, b);
  const result = b.accumulator(kept, id);
  const sent = kept === 'bool' ? b.alu('cast', 'u32', result) : result;
  return {
    ...kernel,
    name: `${kernel.name}_parts`,
    buffers,
    space: [part, ...kernel.space],
    phases: [
      {
        kind: 'reduce',
        loops: reduce!.loops.map((each) => (each === loop ? inner : each)),
        accumulators: [
          { id, op, type, value: inPart(value), ...(position ? { position: inPart(position) } : {}) },
        ],
      },
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [{ buffer, index: place, value: sent, mode: 'set' }],
      },
    ],
  };
}

/** What all parts come to. */
function lastKernel(
  { kernel }: KernelForm,
  { id, op, type, value, position }: Accumulator,
  { loop }: Division,
  { b, kept, buffer, buffers, part, place }: Halves,
): Kernel {
  const found = b.load(kept === 'bool' ? 'u32' : kept, buffer, place);
  const joined: Accumulator = position
    ? { id, op, type, value: replacing(loop, found, b)(value), position: found }
    : { id, op, type, value: kept === 'bool' ? b.alu('cast', 'bool', found) : found };
  return {
    ...kernel,
    buffers,
    phases: [{ kind: 'reduce', loops: [part], accumulators: [joined] }, kernel.phases.at(-1)!],
  };
}

/** Puts an expression in place of a variable. */
function replacing(
  variable: IndexVariable,
  by: Expression,
  b: ExpressionBuilder,
): (e: Expression) => Expression {
  const known = new Map<Expression, Expression>();
  const replace = (e: Expression): Expression => {
    if (e.op === 'index') return e.variable === variable ? by : e;
    if (operands(e).length === 0) return e;
    let made = known.get(e);
    if (!made) {
      made = rebuilt(e);
      known.set(e, made);
    }
    return made;
  };
  const rebuilt = (e: Expression): Expression => {
    if (e.op === 'load') {
      const guard = e.guard && replace(e.guard);
      return b.load(e.type, e.buffer, replace(e.index), guard);
    }
    if (e.op !== 'alu') return e;
    const args = e.args.map(replace);
    return args.every((arg, i) => arg === e.args[i]) ? e : b.alu(e.alu, e.type, ...args);
  };
  return replace;
}
