/**
 * Random kernels that are legal LoopIR, from a seed. Arithmetic is exact on purpose (sums of small integers, products of powers
 * of two), so that every renderer has to give the interpreter's bits whatever its order.
 */

import {
  type Accumulator,
  type BufferParam,
  type DType,
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Kernel,
  type Phase,
  type ReduceOp,
  type ScalarType,
  type Store,
} from '../backend/index.ts';
import { type BufferContents, bufferContents, writeElement } from './interpret.ts';

/** mulberry32 */
export function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const dtypes: readonly DType[] = [
  'float32',
  'float32',
  'float32',
  'float16',
  'bfloat16',
  'int32',
  'uint32',
  'uint8',
  'bool',
];
const scalarTypes: readonly ScalarType[] = ['f32', 'f32', 'i32', 'u32', 'bool'];
const extents = [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 23, 33];

/** Stores that a kernel can have, each to a buffer of its own. */
const mostStores = 4;

export interface Sample {
  readonly kernel: Kernel;
  readonly buffers: readonly BufferContents[];
  readonly scalars: readonly number[];
}

export interface SampleOptions {
  /** A device may bind no more. At least 8. */
  readonly mostBuffers?: number;
  /** Whether floats may be so small that they are denormal: a device may take those for zero. By default they may. */
  readonly denormals?: boolean;
  /** One reduction at most, then a map without loops, with one store at the place of its point: what every device can do. */
  readonly simple?: boolean;
}

export function randomKernel(seed: number, options: SampleOptions = {}): Sample {
  return new Generator(seed, options).sample();
}

class Generator {
  readonly #random: () => number;
  readonly #mostReads: number;
  readonly #extremes: readonly number[];
  readonly #simple: boolean;
  readonly #b = new ExpressionBuilder();
  readonly #buffers: BufferParam[] = [];
  readonly #accumulators: { id: number; type: ScalarType }[] = [];
  readonly #scalars: { type: ScalarType; value: number }[] = [];
  #pool = new Map<ScalarType, Expression[]>();

  constructor(seed: number, options: SampleOptions) {
    const { mostBuffers = Number.POSITIVE_INFINITY, denormals = true, simple = false } = options;
    this.#random = generator(seed);
    this.#simple = simple;
    this.#mostReads = mostBuffers - mostStores;
    this.#extremes = denormals ? [1e-40, 3e38] : [1e-8, 3e10];
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#int(items.length)]!;
  }

  #chance(p: number): boolean {
    return this.#random() < p;
  }

  sample(): Sample {
    for (const type of ['f32', 'i32', 'u32', 'bool'] as const)
      this.#scalars.push({ type, value: this.#scalarValue(type) });
    const space = this.#variables(this.#int(4), 'i', 1500);
    const phases = this.#simple ? this.#simplePhases(space) : this.#phases(space);
    const kernel: Kernel = {
      kind: 'kernel',
      name: 'random',
      buffers: this.#buffers,
      scalars: this.#scalars.map((s) => s.type),
      space,
      phases,
    };
    const buffers = this.#buffers.map((param) => this.#fill(param));
    return { kernel, buffers, scalars: this.#scalars.map((s) => s.value) };
  }

  #variables(count: number, prefix: string, most: number): IndexVariable[] {
    let points = 1;
    return Array.from({ length: count }, (_, i) => {
      let extent = this.#pick(extents);
      if (points * extent > most) extent = 1 + this.#int(3);
      points *= extent;
      return { name: `${prefix}${i}`, extent };
    });
  }

  #phases(space: readonly IndexVariable[]): Phase[] {
    const phases: Phase[] = [];
    const reductions = this.#int(3);
    let shared: readonly IndexVariable[] | undefined;
    for (let i = 0; i < reductions; i++) {
      const loops = shared && this.#chance(0.5) ? shared : this.#loops(1);
      shared = loops;
      phases.push(this.#reduce(space, loops));
    }
    const kind = this.#int(5);
    if (kind === 0) phases.push(...this.#scatter(space));
    else if (kind === 1) phases.push(this.#inPlace(space));
    else phases.push(this.#map(space, shared && this.#chance(0.5) ? shared : this.#loops(0)));
    if (this.#chance(0.2)) phases.push(this.#map(space, this.#loops(0)));
    return phases;
  }

  #simplePhases(space: readonly IndexVariable[]): Phase[] {
    const phases = this.#chance(0.5) ? [this.#reduce(space, this.#loops(1))] : [];
    this.#pool = new Map();
    const dtype = this.#pick(dtypes);
    const type = dtypeInfo[dtype].scalar;
    const index = this.#flat(space);
    const length = space.reduce((size, { extent }) => size * extent, 1);
    const inPlace = this.#chance(0.2);
    this.#buffers.push({ dtype, length, access: inPlace ? 'readWrite' : 'write' });
    const buffer = this.#buffers.length - 1;
    if (inPlace) this.#pool.set(type, [this.#b.load(type, buffer, index)]);
    const value = this.#value(type, space, 4);
    const guard = this.#chance(0.3) ? { guard: this.#value('bool', space, 2) } : {};
    const stores: Store[] = [{ buffer, index, value, mode: 'set', ...guard }];
    return [...phases, { kind: 'map', loops: [], order: 'parallel', stores }];
  }

  #loops(least: number): readonly IndexVariable[] {
    return this.#variables(least + this.#int(2), 'k', 60);
  }

  #reduce(space: readonly IndexVariable[], loops: readonly IndexVariable[]): Phase {
    this.#pool = new Map();
    const variables = [...space, ...loops];
    const accumulators = Array.from({ length: 1 + this.#int(3) }, (_, i): Accumulator => {
      const op = this.#pick<ReduceOp>(['sum', 'sum', 'prod', 'max', 'min', 'argMax', 'argMin']);
      const type = this.#pick(
        op === 'sum' || op === 'prod' ? (['f32', 'f32', 'i32', 'u32'] as const) : scalarTypes,
      );
      const id = this.#accumulators.length + i;
      let value = this.#value(type, variables, 3);
      if (type === 'f32' && op === 'sum') value = this.#small(variables, 31);
      if (type === 'f32' && op === 'prod')
        value = this.#b.alu('add', 'f32', this.#small(variables, 1), this.#b.const('f32', 1));
      // Which zero max and min of -0 and 0 give is open.
      if (type === 'f32' && (op === 'max' || op === 'min'))
        value = this.#b.alu('add', 'f32', value, this.#b.const('f32', 0));
      const position = this.#chance(0.7) ? this.#flat(loops) : this.#smallInt(variables, 63);
      const argument = op === 'argMax' || op === 'argMin';
      return { id, op, type, value, ...(argument ? { position } : {}) };
    });
    for (const a of accumulators) this.#accumulators.push({ id: a.id, type: a.position ? 'i32' : a.type });
    return { kind: 'reduce', loops, accumulators };
  }

  #smallInt(variables: readonly IndexVariable[], mask: number): Expression {
    return this.#b.alu('and', 'i32', this.#value('i32', variables, 2), this.#b.int(mask));
  }

  /** A float that is an integer between 0 and `mask`. */
  #small(variables: readonly IndexVariable[], mask: number): Expression {
    return this.#b.alu('cast', 'f32', this.#smallInt(variables, mask));
  }

  /** Row-major index over variables. */
  #flat(variables: readonly IndexVariable[]): Expression {
    return variables.reduce<Expression>(
      (index, v) =>
        this.#b.alu('add', 'i32', this.#b.alu('mul', 'i32', index, this.#b.int(v.extent)), this.#b.index(v)),
      this.#b.int(0),
    );
  }

  #shuffled<T>(items: readonly T[]): T[] {
    const copy = [...items];
    for (let i = copy.length - 1; i > 0; i--) {
      const k = this.#int(i + 1);
      [copy[i], copy[k]] = [copy[k]!, copy[i]!];
    }
    return copy;
  }

  /** An injective index over all of `variables`, and how many elements it spans. */
  #layout(variables: readonly IndexVariable[]): { index: Expression; length: number } {
    const order = this.#chance(0.6) ? variables : this.#shuffled(variables);
    let stride = this.#chance(0.8) ? 1 : 2;
    const terms: Expression[] = [];
    let offset = this.#chance(0.8) ? 0 : this.#int(5);
    for (const v of [...order].reverse()) {
      const reversed = this.#chance(0.1);
      const step = this.#b.int(reversed ? -stride : stride);
      terms.push(this.#b.alu('mul', 'i32', this.#b.index(v), step));
      if (reversed) offset += stride * (v.extent - 1);
      stride *= v.extent;
    }
    const index = terms.reduce((sum, term) => this.#b.alu('add', 'i32', sum, term), this.#b.int(offset));
    return { index, length: stride + offset };
  }

  #output(
    variables: readonly IndexVariable[],
    access: 'write' | 'readWrite',
    dtype: DType,
  ): { buffer: number; index: Expression } {
    const { index, length } = this.#layout(variables);
    this.#buffers.push({ dtype, length, access });
    return { buffer: this.#buffers.length - 1, index };
  }

  #map(space: readonly IndexVariable[], loops: readonly IndexVariable[]): Phase {
    this.#pool = new Map();
    const variables = [...space, ...loops];
    const stores = Array.from({ length: 1 + this.#int(2) }, (): Store => {
      const dtype = this.#pick(dtypes);
      const mode = this.#pick(['set', 'set', 'set', 'add', 'max'] as const);
      const { buffer, index } = this.#output(variables, mode === 'set' ? 'write' : 'readWrite', dtype);
      const safe = mode === 'add' && dtype === 'bool' ? 'max' : mode;
      const value = this.#value(dtypeInfo[dtype].scalar, variables, 4);
      const guard = this.#chance(0.3) ? { guard: this.#value('bool', variables, 2) } : {};
      return { buffer, index, value, mode: safe, ...guard };
    });
    return { kind: 'map', loops, order: this.#chance(0.8) ? 'parallel' : 'sequential', stores };
  }

  #inPlace(space: readonly IndexVariable[]): Phase {
    this.#pool = new Map();
    const loops = this.#loops(0);
    const variables = [...space, ...loops];
    const dtype = this.#pick(dtypes);
    const { buffer, index } = this.#output(variables, 'readWrite', dtype);
    const type = dtypeInfo[dtype].scalar;
    const current = this.#b.load(type, buffer, index);
    this.#pool.set(type, [current]);
    const value = this.#value(type, variables, 3);
    return { kind: 'map', loops, order: 'parallel', stores: [{ buffer, index, value, mode: 'set' }] };
  }

  /** base first, then additions in order to places that data decides. */
  #scatter(space: readonly IndexVariable[]): Phase[] {
    this.#pool = new Map();
    const rows: IndexVariable = { name: 'v', extent: this.#pick([1, 3, 4, 7]) };
    const dtype = this.#pick(dtypes);
    const type = dtypeInfo[dtype].scalar;
    const { buffer, index } = this.#output([rows, ...space], 'readWrite', dtype);
    const base = this.#value(type, [...space, rows], 2);
    const updates = this.#loops(1);
    this.#pool = new Map();
    const variables = [...space, ...updates];
    // Replace the row variable in the layout: the same affine index at a row that is data.
    const target = this.#b.alu(
      'rem',
      'u32',
      this.#b.alu('bitcast', 'u32', this.#value('i32', variables, 2)),
      this.#b.const('u32', rows.extent),
    );
    const row = this.#b.alu('bitcast', 'i32', target);
    const at = this.#replace(index, rows, row);
    const mode = this.#pick(['add', 'max', 'set'] as const);
    let value = this.#value(type, variables, 3);
    if (type === 'f32' && mode === 'add') value = this.#small(variables, 15);
    if (type === 'f32' && mode === 'set' && this.#chance(0.5))
      value = this.#b.alu('add', 'f32', this.#b.load(type, buffer, at), this.#small(variables, 7));
    const guard = this.#chance(0.5) ? { guard: this.#value('bool', variables, 2) } : {};
    return [
      {
        kind: 'map',
        loops: [rows],
        order: 'parallel',
        stores: [{ buffer, index, value: base, mode: 'set' }],
      },
      {
        kind: 'map',
        loops: updates,
        order: 'sequential',
        stores: [
          { buffer, index: at, value, mode: type === 'bool' && mode === 'add' ? 'max' : mode, ...guard },
        ],
      },
    ];
  }

  #replace(e: Expression, variable: IndexVariable, by: Expression): Expression {
    if (e.op === 'index') return e.variable === variable ? by : e;
    if (e.op !== 'alu') return e;
    return this.#b.alu(e.alu, e.type, ...e.args.map((arg) => this.#replace(arg, variable, by)));
  }

  #value(type: ScalarType, variables: readonly IndexVariable[], depth: number): Expression {
    const pool = this.#pool.get(type) ?? [];
    if (pool.length > 0 && this.#chance(0.25)) return this.#pick(pool);
    const made =
      depth === 0 || this.#chance(0.2)
        ? this.#leaf(type, variables)
        : this.#operation(type, variables, depth - 1);
    this.#pool.set(type, [...pool, made]);
    return made;
  }

  #scalarValue(type: ScalarType): number {
    if (type === 'bool') return this.#int(2);
    if (type === 'u32') return this.#pick([0, 1, 7, 0x80000001, 0xffffffff]);
    if (type === 'i32') return this.#pick([0, 1, -1, 5, -0x80000000, 0x7fffffff]);
    return Math.fround(this.#pick([0, -0, 1, -2.5, Number.NaN, Number.POSITIVE_INFINITY, ...this.#extremes]));
  }

  #leaf(type: ScalarType, variables: readonly IndexVariable[]): Expression {
    const b = this.#b;
    const choice = this.#int(10);
    if (choice === 0) return b.const(type, this.#scalarValue(type));
    if (choice === 1)
      return b.scalar(
        type,
        this.#scalars.findIndex((s) => s.type === type),
      );
    if (choice === 2 && variables.length > 0) {
      const index = b.index(this.#pick(variables));
      return type === 'i32' ? index : b.alu('cast', type, index);
    }
    const known = this.#accumulators.filter((a) => a.type === type);
    if (choice < 5 && known.length > 0) return b.accumulator(type, this.#pick(known).id);
    if (this.#buffers.length >= this.#mostReads) return b.const(type, this.#scalarValue(type));
    return this.#load(type, variables);
  }

  #load(type: ScalarType, variables: readonly IndexVariable[]): Expression {
    const b = this.#b;
    const dtype = this.#pick(dtypes.filter((d) => dtypeInfo[d].scalar === type));
    const some = variables.filter(() => this.#chance(0.7));
    let { index, length } = this.#layout(some);
    let guard: Expression | undefined;
    const way = this.#int(10);
    if (way === 0 && length > 2) {
      const divisor = this.#pick([2, 3, 4, 7, 16]);
      index = b.alu('idiv', 'i32', index, b.int(divisor));
      length = Math.floor((length - 1) / divisor) + 1;
    } else if (way === 1) {
      const divisor = this.#pick([2, 3, 4, 7, 16]);
      index = b.alu('rem', 'i32', index, b.int(divisor));
      length = divisor;
    } else if (way <= 3) {
      // Padding: the index starts below 0 and ends above the buffer.
      const shift = 1 + this.#int(3);
      index = b.alu('sub', 'i32', index, b.int(shift));
      length = Math.max(1, length - shift - this.#int(3));
      guard = b.alu(
        'and',
        'bool',
        b.alu('le', 'bool', b.int(0), index),
        b.alu('lt', 'bool', index, b.int(length)),
      );
      if (this.#chance(0.3) && some[0])
        guard = b.alu('and', 'bool', guard, b.alu('lt', 'bool', b.index(some[0]), b.int(2)));
    } else if (way === 4 && this.#buffers.length + 1 < this.#mostReads) {
      const position = this.#load('u32', variables);
      length = 1 + this.#int(20);
      index = b.alu('bitcast', 'i32', b.alu('rem', 'u32', position, b.const('u32', length)));
    }
    this.#buffers.push({ dtype, length, access: 'read' });
    return b.load(type, this.#buffers.length - 1, index, guard);
  }

  #operation(type: ScalarType, variables: readonly IndexVariable[], depth: number): Expression {
    const b = this.#b;
    const v = (t: ScalarType) => this.#value(t, variables, depth);
    const choice = this.#int(10);
    if (choice === 0) return b.alu('where', type, v('bool'), v(type), v(type));
    if (choice === 1) {
      const from = this.#pick(scalarTypes);
      return from === type ? v(type) : b.alu('cast', type, v(from));
    }
    if (type === 'bool') {
      if (choice < 6) {
        const t = this.#pick(['f32', 'i32', 'u32', 'bool'] as const);
        return b.alu(this.#pick(['lt', 'le', 'eq', 'ne'] as const), 'bool', v(t), v(t));
      }
      if (choice === 6) return b.alu('not', 'bool', v('bool'));
      return b.alu(this.#pick(['and', 'or', 'xor', 'max', 'min'] as const), 'bool', v('bool'), v('bool'));
    }
    if (type === 'f32') {
      if (choice < 5) {
        const ops = [
          'neg',
          'abs',
          'sign',
          'floor',
          'ceil',
          'trunc',
          'round',
          'sqrt',
          'roundF16',
          'roundBF16',
        ] as const;
        return b.alu(this.#pick(ops), 'f32', v('f32'));
      }
      return b.alu(
        this.#pick(['add', 'sub', 'mul', 'div', 'max', 'min', 'rem'] as const),
        'f32',
        v('f32'),
        v('f32'),
      );
    }
    if (choice === 2) return b.alu('bitcast', type, v(type === 'i32' ? 'u32' : 'i32'));
    if (choice === 3) return b.alu(this.#pick(['neg', 'abs', 'sign', 'not'] as const), type, v(type));
    if (choice === 4)
      return b.alu(
        this.#pick(['shl', 'shr'] as const),
        type,
        v(type),
        this.#chance(0.7) ? b.const(type, this.#int(34)) : v(type),
      );
    if (choice === 5)
      return b.alu(
        this.#pick(['idiv', 'rem'] as const),
        type,
        v(type),
        this.#chance(0.7) ? b.const(type, this.#pick([1, 2, 3, 8, 10, 1000])) : v(type),
      );
    return b.alu(
      this.#pick(['add', 'sub', 'mul', 'max', 'min', 'and', 'or', 'xor'] as const),
      type,
      v(type),
      v(type),
    );
  }

  #fill({ dtype, length }: BufferParam): BufferContents {
    const contents = bufferContents(dtype, length);
    for (let i = 0; i < length; i++) writeElement(dtype, contents, i, this.#element(dtype));
    return contents;
  }

  #element(dtype: DType): number {
    const { scalar } = dtypeInfo[dtype];
    if (dtype === 'bool') return this.#int(2);
    if (dtype === 'uint8') return this.#int(256);
    if (this.#chance(0.1)) return this.#scalarValue(scalar);
    if (scalar === 'f32') return Math.fround((this.#random() - 0.5) * this.#pick([4, 100, 1e5]));
    return scalar === 'u32' ? this.#int(1000) : this.#int(1000) - 500;
  }
}
