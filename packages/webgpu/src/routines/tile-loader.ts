/** From storage to workgroup memory: a tile of an operand, by all invocations of a workgroup. */
import { ceilDiv, type ProductOperand, range, type ScalarType } from '@tutti/core/backend';
import type { Code } from '../kernels/code.ts';
import { lanesOf, unpackLane } from '../kernels/memory.ts';
import type { Shader } from '../kernels/shader.ts';
import { loadElement, plus, times } from './product.ts';

/** A dimension of a tile. */
export interface TileDimension {
  /** Where the tile starts, a u32; that of k comes with each call. */
  readonly first: string;
  /** In elements of the operand. */
  readonly stride: number;
  readonly extent: number;
  /** Of the tile; a multiple of 4. */
  readonly size: number;
  /** Behind the end of k there must be zeros; behind other ends may be anything. */
  readonly isK: boolean;
}

export interface TileSide {
  readonly operand: ProductOperand;
  /** Index of the first element of the matrix. */
  readonly base: string;
  /** The dimension of vectors in workgroup memory. */
  readonly inner: TileDimension;
  readonly outer: TileDimension;
  /** Rows, along `outer`, of `inner.size / 4 + 1` vectors. */
  readonly memory: string;
}

const multipleOf4 = (values: readonly number[]): boolean => values.every((value) => value % 4 === 0);

/** Whether an operand is bound as vectors of four words: its neighbours along one dimension are, from multiples of 4 on. */
export function isVector({ dtype, offset, batch, row, column }: ProductOperand): boolean {
  const aligned = (own: number, other: number): boolean =>
    own === 1 && multipleOf4([offset, other, ...batch]);
  return lanesOf(dtype) === 1 && (aligned(row, column) || aligned(column, row));
}

export class TileLoader {
  readonly #shader: Shader;
  readonly #code: Code;
  readonly #vector: string;
  /** Invocations of the workgroup. */
  readonly #size: number;

  constructor(shader: Shader, code: Code, type: ScalarType, size: number) {
    this.#shader = shader;
    this.#code = code;
    this.#vector = `vec4<${type}>`;
    this.#size = size;
  }

  /** Fills the tile's memory from `firstK` on. */
  load(side: TileSide, firstK: string): void {
    const inner = { ...side.inner, first: side.inner.isK ? firstK : side.inner.first };
    const outer = { ...side.outer, first: side.outer.isK ? firstK : side.outer.first };
    this.#load({ ...side, inner, outer });
  }

  #load(side: TileSide): void {
    const { inner, outer } = side;
    if (this.#isAlignedAlong(side, outer)) this.#blocks(side);
    else this.#vectors(side, inner.stride !== 1 && outer.stride === 1);
  }

  #isAlignedAlong({ operand, inner, outer }: TileSide, along: TileDimension): boolean {
    const other = along === inner ? outer : inner;
    return along.stride === 1 && multipleOf4([operand.offset, other.stride, ...operand.batch]);
  }

  /** Vectors along the inner dimension, one after the other. */
  #vectors(side: TileSide, outerFastest: boolean): void {
    const { inner, outer } = side;
    const across = inner.size / 4;
    this.#each(across * outer.size, (turn) => {
      const [fast, slow] = outerFastest ? [outer.size, across] : [across, outer.size];
      const low = this.#code.keep('l', slow === 1 ? turn : `${turn} % ${fast}u`);
      const high = this.#code.keep('l', slow === 1 ? '0u' : `${turn} / ${fast}u`);
      const [o, i] = outerFastest ? [low, high] : [high, low];
      const at = this.#code.keep('o', plus(outer.first, o));
      const from = this.#code.keep('j', plus(inner.first, times(i, 4)));
      this.#put(side, o, i, this.#masked(side, at, from, this.#vectorAlong(side, inner, from, outer, at)));
    });
  }

  /** Blocks of 4 x 4, loaded along the outer dimension. */
  #blocks(side: TileSide): void {
    const { inner, outer } = side;
    const across = inner.size / 4;
    const down = outer.size / 4;
    this.#each(across * down, (turn) => {
      const low = this.#code.keep('l', across === 1 ? turn : `${turn} % ${down}u`);
      const high = this.#code.keep('l', across === 1 ? '0u' : `${turn} / ${down}u`);
      const at = this.#code.keep('o', plus(outer.first, times(low, 4)));
      const from = this.#code.keep('j', plus(inner.first, times(high, 4)));
      const columns = range(4).map((j) =>
        this.#code.keep('w', this.#vectorAlong(side, outer, at, inner, plus(from, `${j}u`))),
      );
      for (const [j, component] of ['x', 'y', 'z', 'w'].entries()) {
        const value = `${this.#vector}(${columns.map((column) => `${column}.${component}`).join(', ')})`;
        const o = plus(times(low, 4), `${j}u`);
        this.#put(side, `(${o})`, high, this.#masked(side, plus(at, `${j}u`), from, value));
      }
    });
  }

  /** Runs `body` for all of `count` turns, shared by the invocations. */
  #each(count: number, body: (turn: string) => void): void {
    for (const i of range(ceilDiv(count, this.#size))) {
      const turn = i === 0 ? 'lane' : `(lane + ${i * this.#size}u)`;
      const all = (i + 1) * this.#size <= count;
      this.#code.block(all ? '' : `if (${turn} < ${count}u)`, () => body(this.#code.keep('l', turn)));
    }
  }

  #put({ inner, memory }: TileSide, outer: string, vector: string, value: string): void {
    this.#code.line(`${memory}[${outer} * ${inner.size / 4 + 1}u + ${vector}] = ${value};`);
  }

  /** Zeros behind the end of k: what lies there may be NaN. */
  #masked({ inner, outer }: TileSide, at: string, from: string, value: string): string {
    const zero = `${this.#vector}()`;
    if (outer.isK && outer.extent % outer.size !== 0)
      return `select(${zero}, ${value}, ${at} < ${outer.extent}u)`;
    if (inner.isK && inner.extent % inner.size !== 0) {
      return `select(${zero}, ${value}, vec4<u32>(${from}) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(${inner.extent}u))`;
    }
    return value;
  }

  /** Four elements along a dimension from `from` on, a multiple of 4, at `at` of the other. All indices are made to exist. */
  #vectorAlong(side: TileSide, along: TileDimension, from: string, other: TileDimension, at: string): string {
    const { operand, base } = side;
    const start = plus(base, times(bounded(at, other), other.stride));
    if (this.#isAlignedAlong(side, along)) {
      const last = 4 * (ceilDiv(along.extent, 4) - 1);
      const index = this.#code.keep('e', plus(start, isRagged(along) ? `min(${from}, ${last}u)` : from));
      return this.#alignedVector(operand, index);
    }
    const elements = range(4).map((j) => {
      const place = bounded(plus(from, `${j}u`), along);
      return loadElement(this.#shader, operand, plus(start, times(place, along.stride)));
    });
    return `${this.#vector}(${elements.join(', ')})`;
  }

  #alignedVector(operand: ProductOperand, index: string): string {
    const { slot, dtype } = operand;
    const name = this.#shader.buffer(slot);
    if (lanesOf(dtype) === 1) return `${name}[${index} >> 2u]`;
    const lanes = lanesOf(dtype);
    const words = range(4 / lanes).map((w) =>
      this.#code.keep('w', `${name}[${plus(`(${index} >> ${Math.log2(lanes)}u)`, `${w}u`)}]`),
    );
    const values = range(4).map((j) => unpackLane(dtype, words[Math.floor(j / lanes)]!, j % lanes));
    return `${this.#vector}(${values.join(', ')})`;
  }
}

const isRagged = ({ extent, size }: TileDimension): boolean => extent % size !== 0;

const bounded = (text: string, dimension: TileDimension): string =>
  isRagged(dimension) ? `min(${text}, ${dimension.extent - 1}u)` : text;
