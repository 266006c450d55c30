/**
 * Matrix products without workgroup memory, for software adapters: an invocation has a tile of sums and loads what it needs straight
 * from storage.
 *
 *     tile: `rows` x `columns` of an invocation; invocations of a workgroup are neighbours along n
 *
 * Such an adapter runs invocations four at a time in vector registers. A load costs there as much as ten multiplications with
 * additions, whatever its addresses (each lane is loaded on its own), and a quad's swaps of lanes cost next to nothing. So with
 * `quads` each lane of a quad loads a row of its own, four rows in one load, and three swaps give it the others: the sum number s of
 * lane l belongs to row l ^ s. Steps of four in k, because a sum is loaded and stored whenever it changes.
 *
 * Of tiles with 4, 8, 16 and 32 rows, SwiftShader is fastest with 4 without quads, and with 16 with them. A step of eight is slower
 * everywhere.
 */
import { type Product, type ProductOperand, range } from '@tutti/core/backend';
import { Code } from '../kernels/code.ts';
import type { Grid } from '../kernels/grid.ts';
import type { ShaderFeatures, WgslProgram, WgslStage } from '../program.ts';
import { emitBases, loadElement, plus, times } from './product.ts';
import { emitPlace, type Place, type Sums, sumsOf, type Tiling, tiledProgram } from './tiles.ts';

export interface DirectPlan {
  /** Rows of an invocation; a multiple of 4 with quads. */
  readonly rows: number;
  /** Columns of an invocation: 1 or 4. */
  readonly columns: 1 | 4;
  readonly quads: boolean;
  /** Invocations of a workgroup, a multiple of 4. */
  readonly size: number;
  readonly parts: number;
  readonly chunk: number;
}

/** Steps of k at once. */
export const directStep = 4;

export function directProgram(product: Product, plan: DirectPlan, features: ShaderFeatures): WgslProgram {
  const tiling: Tiling = { ...plan, columns: plan.columns * plan.size };
  const variant = `direct ${plan.rows}x${plan.columns}${plan.quads ? ' in quads' : ''} of ${plan.size}`;
  return tiledProgram(product, tiling, features, variant, (grid) =>
    new DirectStage(product, plan, tiling, features).emit(grid),
  );
}

const swaps = ['', 'quadSwapX', 'quadSwapY', 'quadSwapDiagonal'] as const;

class DirectStage {
  readonly #product: Product;
  readonly #plan: DirectPlan;
  readonly #tiling: Tiling;
  readonly #software: boolean;
  readonly #sums: Sums;
  readonly #code = new Code();
  /** The type of an invocation's sums in a row. */
  readonly #type: string;
  #sumNames: readonly string[] = [];

  constructor(product: Product, plan: DirectPlan, tiling: Tiling, features: ShaderFeatures) {
    this.#product = product;
    this.#plan = plan;
    this.#tiling = tiling;
    this.#software = features.software;
    this.#sums = sumsOf(product, tiling, plan.columns, new Set(), features);
    this.#type = plan.columns === 4 ? `vec4<${product.type}>` : product.type;
  }

  emit(grid: Grid): WgslStage {
    const code = this.#code;
    const { m, n, lhs, rhs } = this.#product;
    const { rows, columns, quads, size } = this.#plan;
    const place = emitPlace(code, grid, this.#product, this.#tiling, this.#software);
    const bases = emitBases(code, this.#product, place.matrix, this.#software);
    const column = code.keep('c', times(plus(times(place.column, size), 'lane'), columns));
    const row = code.keep('r', times(place.row, rows));
    const quad = quads ? code.keep('q', 'subgroup_lane & 3u') : '0u';
    const bounded = (text: string, extent: number, whole: boolean): string =>
      whole ? text : `min(${text}, ${extent - 1}u)`;
    const wholeRows = m % rows === 0;
    const wholeColumns = n % this.#tiling.columns === 0;
    const left = range(quads ? rows / 4 : rows).map((i) => {
      const own = plus(row, `${quads ? 4 * i : i}u`, quad);
      return code.keep('a', plus(bases.lhs, times(bounded(own, m, wholeRows), lhs.row)));
    });
    const right = range(columns).map((i) =>
      code.keep('q', plus(bases.rhs, times(bounded(plus(column, `${i}u`), n, wholeColumns), rhs.column))),
    );
    this.#sumNames = range(rows).map(() => {
      const name = code.name('s');
      code.line(`var ${name} = ${this.#type}();`);
      return name;
    });
    this.#multiply(place, left, right);
    this.#write(place, row, column, quad);
    return this.#sums.shader.stage(code.text(), { size, workgroups: grid.workgroups });
  }

  /** The loop over k, and the rest of k that makes no step. */
  #multiply(place: Place, left: readonly string[], right: readonly string[]): void {
    const code = this.#code;
    const { k } = this.#product;
    const { parts, chunk } = this.#plan;
    const steps = Math.floor(k / directStep);
    const t = code.name('t');
    const body = (): void => this.#step(times(t, directStep), directStep, left, right);
    if (parts === 1) {
      if (steps > 0) code.block(`for (var ${t} = 0u; ${t} < ${steps}u; ${t}++)`, body);
    } else {
      const each = chunk / directStep;
      const first = code.keep('t', times(place.part, each));
      const end = code.keep('t', `min(${first} + ${each}u, ${steps}u)`);
      code.block(`for (var ${t} = ${first}; ${t} < ${end}; ${t}++)`, body);
    }
    const rest = k % directStep;
    if (rest === 0) return;
    code.block(parts === 1 ? '' : `if (${place.part} == ${parts - 1}u)`, () =>
      this.#step(`${steps * directStep}u`, rest, left, right),
    );
  }

  /** `count` terms from `first` on to all sums. */
  #step(first: string, count: number, left: readonly string[], right: readonly string[]): void {
    const code = this.#code;
    const { lhs, rhs } = this.#product;
    const { columns, quads } = this.#plan;
    const ks = range(count).map((i) => code.keep('k', plus(first, `${i}u`)));
    const x = ks.map((k) => {
      const elements = right.map((base) => this.#load(rhs, plus(base, times(k, rhs.row))));
      return code.keep('x', columns === 4 ? `${this.#type}(${elements.join(', ')})` : elements[0]!);
    });
    for (const [i, base] of left.entries()) {
      const y = ks.map((k) => code.keep('y', this.#load(lhs, plus(base, times(k, lhs.column)))));
      for (const [s, swap] of (quads ? swaps : ['']).entries()) {
        const z = swap ? y.map((name) => code.keep('z', `${swap}(${name})`)) : y;
        const sum = this.#sumNames[quads ? 4 * i + s : i]!;
        code.line(`${sum} = ${[sum, ...z.map((name, j) => `${name} * ${x[j]}`)].join(' + ')};`);
      }
    }
  }

  #load(operand: ProductOperand, index: string): string {
    return loadElement(this.#sums.shader, operand, index);
  }

  #write(place: Place, row: string, column: string, quad: string): void {
    const code = this.#code;
    const { m } = this.#product;
    const { rows, columns, quads } = this.#plan;
    const results = this.#sumNames.map((sum, i) => {
      const own = quads
        ? plus(row, `${i & ~3}u`, i % 4 === 0 ? quad : `(${quad} ^ ${i % 4}u)`)
        : plus(row, `${i}u`);
      const inMatrix = m % rows === 0 ? own : code.keep('r', own);
      return {
        row: code.keep('r', plus(times(place.matrix, m), inMatrix)),
        exists: m % rows === 0 ? undefined : `${inMatrix} < ${m}u`,
        values: columns === 4 ? ['x', 'y', 'z', 'w'].map((lane) => `${sum}.${lane}`) : [sum],
      };
    });
    this.#sums.write(code, column, results, place.part);
  }
}
