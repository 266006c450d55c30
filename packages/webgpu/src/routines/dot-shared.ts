/**
 * Matrix products through workgroup memory, for hardware: a workgroup has a tile of the result, and walks along k with a tile of each
 * operand in workgroup memory; an invocation has `rows` x `columns` sums in registers.
 *
 *     lhs tile (tile rows, k): vectors of four neighbours along k        rhs tile (k, tile columns): vectors of four along n
 *
 * so that four steps of k take rows + columns vectors from workgroup memory for 4 * rows * columns products. A row of vectors is one
 * longer than it must be: neighbours of different rows lie in different banks.
 *
 * Operands come by vectors of four where they are aligned; by blocks of 4 x 4, transposed in registers, where they are contiguous
 * the other way; and else by elements, neighbouring invocations along the dimension that is contiguous.
 */
import { type Product, range } from '@tutti/core/backend';
import { Code } from '../kernels/code.ts';
import type { Grid } from '../kernels/grid.ts';
import type { ShaderFeatures, WgslProgram, WgslStage } from '../program.ts';
import { emitBases, plus, times } from './product.ts';
import { isVector, TileLoader, type TileSide } from './tile-loader.ts';
import { emitPlace, type Place, type Sums, sumsOf, type Tiling, tiledProgram } from './tiles.ts';

export interface SharedPlan {
  /** Rows and columns of an invocation; columns are a multiple of 4. */
  readonly rows: number;
  readonly columns: number;
  /** Invocations of a workgroup along m and n. */
  readonly down: number;
  readonly across: number;
  /** Steps of k at once; a multiple of 4. */
  readonly depth: number;
  readonly parts: number;
  readonly chunk: number;
}

export const sharedBytes = ({ rows, columns, down, across, depth }: SharedPlan): number =>
  16 * (rows * down * (depth / 4 + 1) + depth * ((columns * across) / 4 + 1));

export function sharedProgram(product: Product, plan: SharedPlan, features: ShaderFeatures): WgslProgram {
  const { rows, columns, down, across, depth } = plan;
  const tiling: Tiling = { ...plan, rows: rows * down, columns: columns * across };
  const variant = `tiles of ${tiling.rows}x${tiling.columns}x${depth} by ${rows}x${columns}`;
  return tiledProgram(product, tiling, features, variant, (grid) =>
    new SharedStage(product, plan, tiling, features).emit(grid),
  );
}

class SharedStage {
  readonly #product: Product;
  readonly #plan: SharedPlan;
  readonly #tiling: Tiling;
  readonly #software: boolean;
  readonly #sums: Sums;
  readonly #code = new Code();

  constructor(product: Product, plan: SharedPlan, tiling: Tiling, features: ShaderFeatures) {
    this.#product = product;
    this.#plan = plan;
    this.#tiling = tiling;
    this.#software = features.software;
    const { lhs, rhs } = product;
    const vectors = new Set([lhs, rhs].filter(isVector).map(({ slot }) => slot));
    this.#sums = sumsOf(product, tiling, 4, vectors, features);
  }

  emit(grid: Grid): WgslStage {
    const code = this.#code;
    const { type, m, n, k, lhs, rhs } = this.#product;
    const { rows, columns, down, across, depth } = this.#plan;
    const { shader } = this.#sums;
    const size = down * across;
    const place = emitPlace(code, grid, this.#product, this.#tiling, this.#software);
    const bases = emitBases(code, this.#product, place.matrix, this.#software);
    const row = code.keep('r', times(place.row, rows * down));
    const column = code.keep('c', times(place.column, columns * across));
    const x = code.keep('x', `lane % ${across}u`);
    const y = code.keep('y', `lane / ${across}u`);
    const left: TileSide = {
      operand: lhs,
      base: bases.lhs,
      inner: { first: '', stride: lhs.column, extent: k, size: depth, isK: true },
      outer: { first: row, stride: lhs.row, extent: m, size: rows * down, isK: false },
      memory: shader.shared(`vec4<${type}>`, rows * down * (depth / 4 + 1)),
    };
    const right: TileSide = {
      operand: rhs,
      base: bases.rhs,
      inner: { first: column, stride: rhs.column, extent: n, size: columns * across, isK: false },
      outer: { first: '', stride: rhs.row, extent: k, size: depth, isK: true },
      memory: shader.shared(`vec4<${type}>`, depth * ((columns * across) / 4 + 1)),
    };
    const sums = range(rows).map(() =>
      range(columns / 4).map(() => {
        const name = code.name('s');
        code.line(`var ${name} = vec4<${type}>();`);
        return name;
      }),
    );
    const loader = new TileLoader(shader, code, type, size);
    this.#alongK(place, (first) => {
      loader.load(left, first);
      loader.load(right, first);
      code.line('workgroupBarrier();');
      this.#multiply(left, right, x, y, sums);
      code.line('workgroupBarrier();');
    });
    this.#write(place, { row, column, x, y }, sums);
    return shader.stage(code.text(), { size, workgroups: grid.workgroups });
  }

  /** The loop over tiles of k: `body` gets the first k of each. */
  #alongK({ part }: Place, body: (first: string) => void): void {
    const code = this.#code;
    const { depth, parts, chunk } = this.#plan;
    const tiles = Math.ceil(this.#product.k / depth);
    const t = code.name('t');
    let [first, end] = ['0u', `${tiles}u`];
    if (parts > 1) {
      first = code.keep('t', times(part, chunk / depth));
      end = code.keep('t', `min(${first} + ${chunk / depth}u, ${tiles}u)`);
    }
    code.block(`for (var ${t} = ${first}; ${t} < ${end}; ${t}++)`, () =>
      body(code.keep('k', times(t, depth))),
    );
  }

  /** Sums of products of what lies in workgroup memory. */
  #multiply(
    left: TileSide,
    right: TileSide,
    x: string,
    y: string,
    sums: readonly (readonly string[])[],
  ): void {
    const code = this.#code;
    const { rows, across, columns, depth } = this.#plan;
    const [lengthA, lengthB] = [depth / 4 + 1, (columns * across) / 4 + 1];
    const v = code.name('v');
    code.block(`for (var ${v} = 0u; ${v} < ${depth / 4}u; ${v}++)`, () => {
      const a = range(rows).map((i) =>
        code.keep('a', `${left.memory}[(${y} * ${rows}u + ${i}u) * ${lengthA}u + ${v}]`),
      );
      for (const [q, component] of ['x', 'y', 'z', 'w'].entries()) {
        const b = range(columns / 4).map((j) =>
          code.keep('d', `${right.memory}[(${v} * 4u + ${q}u) * ${lengthB}u + ${plus(x, `${j * across}u`)}]`),
        );
        for (const [i, row] of sums.entries()) {
          for (const [j, sum] of row.entries()) code.line(`${sum} += ${a[i]}.${component} * ${b[j]};`);
        }
      }
    });
  }

  #write(
    { matrix, part }: Place,
    at: { readonly row: string; readonly column: string; readonly x: string; readonly y: string },
    sums: readonly (readonly string[])[],
  ): void {
    const code = this.#code;
    const { m } = this.#product;
    const { rows, columns, across } = this.#plan;
    const whole = m % this.#tiling.rows === 0;
    const names = range(rows).map((i) => code.keep('r', plus(at.row, times(at.y, rows), `${i}u`)));
    const places = names.map((name) => code.keep('r', plus(times(matrix, m), name)));
    for (let j = 0; j < columns / 4; j++) {
      const column = code.keep('c', `${at.column} + (${plus(at.x, `${j * across}u`)}) * 4u`);
      const results = places.map((row, i) => ({
        row,
        exists: whole ? undefined : `${names[i]} < ${m}u`,
        values: ['x', 'y', 'z', 'w'].map((component) => `${sums[i]![j]}.${component}`),
      }));
      this.#sums.write(code, column, results, part);
    }
  }
}
