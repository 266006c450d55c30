/**
 * Random row programs of the kind that fill a GPU: rows side by side in memory, of which several phases load the same elements. Random
 * kernels in general have few that lie so well. Arithmetic is exact.
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
} from '@tutti/core/backend';
import { generator, type KernelCase, kernelCase } from '@tutti/core/testing';

const widths = [4, 12, 31, 32, 64, 96, 100, 128, 200, 256, 257, 512, 1000, 1024, 2048, 4096];
const dtypes: readonly DType[] = ['float32', 'float32', 'float16', 'bfloat16', 'int32', 'uint8', 'bool'];

export function rowProgramCase(seed: number): KernelCase {
  return kernelCase(`row program ${seed}`, new Generator(seed).kernel(), { needs: ['rowPrograms'] });
}

/** Where a load or a store is: in its row, in the row of all, or one for each row. */
type Place = 'row' | 'shared' | 'each';

class Generator {
  readonly #random: () => number;
  readonly #b = new ExpressionBuilder();
  readonly #buffers: BufferParam[] = [];
  readonly #inputs: { buffer: number; place: Place }[] = [];
  readonly #accumulators: { id: number; type: ScalarType }[] = [];
  readonly #row: IndexVariable;
  readonly #outer: IndexVariable;
  readonly #width: number;
  /** The loops of a row: one, or two of which the outer has this extent. */
  readonly #rows: number;

  constructor(seed: number) {
    this.#random = generator(seed + 7919);
    this.#width = this.#pick(widths);
    const points = this.#width >= 1000 ? [1, 2, 5] : [1, 3, 8, 33];
    this.#row = { name: 'i', extent: this.#pick(points) };
    this.#outer = { name: 'h', extent: this.#pick([1, 1, 2]) };
    this.#rows = this.#width % 4 === 0 && this.#chance(0.2) ? 4 : 1;
  }

  #int = (below: number): number => Math.floor(this.#random() * below);
  #pick = <T>(items: readonly T[]): T => items[this.#int(items.length)]!;
  #chance = (p: number): boolean => this.#random() < p;

  kernel(): Kernel {
    for (let i = 0; i < 3; i++) {
      const place = i === 0 ? 'row' : this.#pick(['row', 'shared', 'each'] as const);
      this.#inputs.push({ buffer: this.#buffer(this.#pick(dtypes), place, 'read'), place });
    }
    const phases: Phase[] = [];
    const reductions = 1 + this.#int(2);
    for (let i = 0; i < reductions; i++) phases.push(this.#reduce());
    const maps = 1 + this.#int(2);
    for (let i = 0; i < maps; i++) phases.push(...this.#map());
    const space = [this.#outer, this.#row];
    return { kind: 'kernel', name: 'row_program', buffers: this.#buffers, scalars: [], space, phases };
  }

  #buffer(dtype: DType, place: Place, access: BufferParam['access']): number {
    const points = this.#row.extent * this.#outer.extent;
    const length = { row: points * this.#width, shared: this.#width, each: points }[place];
    return this.#buffers.push({ dtype, length, access }) - 1;
  }

  #loops(): IndexVariable[] {
    const inner = { name: 'k', extent: this.#width / this.#rows };
    return this.#rows > 1 ? [{ name: 'j', extent: this.#rows }, inner] : [inner];
  }

  #flat(variables: readonly IndexVariable[]): Expression {
    return variables.reduce<Expression>(
      (index, v) =>
        this.#b.alu('add', 'i32', this.#b.alu('mul', 'i32', index, this.#b.int(v.extent)), this.#b.index(v)),
      this.#b.int(0),
    );
  }

  #index(place: Place, loops: readonly IndexVariable[]): Expression {
    const points = [this.#outer, this.#row];
    if (place === 'each') return this.#flat(points);
    return this.#flat(place === 'row' ? [...points, ...loops] : loops);
  }

  /** A small whole number of this type, from what is loaded and what earlier phases found. */
  #value(type: ScalarType, loops: readonly IndexVariable[], depth: number): Expression {
    const b = this.#b;
    if (depth === 0 || this.#chance(0.3)) return this.#cast(type, this.#leaf(loops));
    const [x, y] = [0, 1].map(() => this.#value(type, loops, depth - 1)) as [Expression, Expression];
    if (type === 'bool') return b.alu(this.#pick(['and', 'or', 'xor'] as const), 'bool', x, y);
    const choice = this.#int(4);
    if (choice === 0) return b.alu('where', type, b.alu('lt', 'bool', x, y), x, y);
    if (choice === 1) return b.alu('sub', type, x, y);
    return b.alu(this.#pick(['add', 'max', 'min'] as const), type, x, y);
  }

  #leaf(loops: readonly IndexVariable[]): Expression {
    const known = this.#accumulators;
    if (known.length > 0 && this.#chance(0.3)) {
      const { id, type } = this.#pick(known);
      return this.#b.accumulator(type, id);
    }
    const { buffer, place } = this.#pick(this.#inputs);
    const { scalar } = dtypeInfo[this.#buffers[buffer]!.dtype];
    const index = this.#index(place, loops);
    const guarded = this.#chance(0.2) && this.#row.extent > 1;
    // Rows behind the first are zero.
    const guard = guarded ? this.#b.alu('lt', 'bool', this.#b.index(this.#row), this.#b.int(1)) : undefined;
    return this.#b.load(scalar, buffer, index, guard);
  }

  #cast(type: ScalarType, e: Expression): Expression {
    if (e.type === type) return e;
    // Floats are whole numbers, and go through i32.
    if (e.type === 'f32' && type === 'u32') return this.#b.alu('cast', type, this.#b.alu('cast', 'i32', e));
    return this.#b.alu('cast', type, e);
  }

  #reduce(): Phase {
    const loops = this.#loops();
    const count = 1 + this.#int(2);
    const accumulators = Array.from({ length: count }, (_, i): Accumulator => {
      const op = this.#pick<ReduceOp>(['sum', 'sum', 'max', 'min', 'argMax', 'argMin']);
      const type = this.#pick(['f32', 'f32', 'i32'] as const);
      const id = this.#accumulators.length + i;
      // Sums of sums stay exact.
      const value = this.#small(this.#value(type, loops, 2));
      const argument = op === 'argMax' || op === 'argMin';
      return { id, op, type, value, ...(argument ? { position: this.#flat(loops) } : {}) };
    });
    for (const a of accumulators) this.#accumulators.push({ id: a.id, type: a.position ? 'i32' : a.type });
    return { kind: 'reduce', loops, accumulators };
  }

  #small(e: Expression): Expression {
    const b = this.#b;
    const masked = b.alu('and', 'i32', this.#cast('i32', e), b.int(31));
    return this.#cast(e.type, masked);
  }

  /** A map, and perhaps another that goes on with what the first has stored. */
  #map(): Phase[] {
    const dtype = this.#pick(dtypes);
    const again = this.#chance(0.3);
    const mode = again ? 'set' : this.#pick(['set', 'set', 'add', 'max'] as const);
    const type = dtypeInfo[dtype].scalar;
    const place = this.#chance(0.8) ? 'row' : 'each';
    const access = again || mode !== 'set' ? 'readWrite' : 'write';
    const buffer = this.#buffer(dtype, place, access);
    const store = (loops: readonly IndexVariable[], value: Expression): Phase => {
      const guard = this.#chance(0.2)
        ? { guard: this.#b.alu('le', 'bool', this.#b.index(this.#row), this.#b.int(1)) }
        : {};
      const set = dtype === 'bool' && mode === 'add' ? 'max' : mode;
      const one: Store = { buffer, index: this.#index(place, loops), value, mode: set, ...guard };
      return { kind: 'map', loops: place === 'row' ? loops : [], order: 'parallel', stores: [one] };
    };
    const small = (loops: readonly IndexVariable[]): Expression => {
      const value = this.#value(type, place === 'row' ? loops : [], place === 'row' ? 2 : 0);
      return type === 'bool' ? value : this.#small(value);
    };
    const loops = this.#loops();
    const first = store(loops, place === 'row' ? small(loops) : this.#own(type));
    if (!again) return [first];
    const more = this.#loops();
    const current = this.#b.load(type, buffer, this.#index(place, more));
    const added = place === 'row' ? small(more) : this.#own(type);
    const value = this.#b.alu(type === 'bool' ? 'xor' : 'add', type, current, added);
    return [first, store(more, value)];
  }

  /** A value of a point that needs no loop. */
  #own(type: ScalarType): Expression {
    const { id, type: from } = this.#pick(this.#accumulators);
    const value = this.#cast(type, this.#b.accumulator(from, id));
    return type === 'bool' ? value : this.#small(value);
  }
}
