/** What stages of tiles have in common: which tile a workgroup has, and where its sums go. */
import { ceilDiv, matrices, type Product, resultElements } from '@tutti/core/backend';
import type { Code } from '../kernels/code.ts';
import { decodePoint } from '../kernels/decode.ts';
import { type Grid, gridOf } from '../kernels/grid.ts';
import { Shader } from '../kernels/shader.ts';
import type { ShaderFeatures, WgslProgram, WgslStage } from '../program.ts';
import { type ResultLayout, type ResultRow, Results, resultMemory } from './epilogue.ts';
import { assemble, finishStages } from './finish.ts';

/** The cut of a product into tiles. */
export interface Tiling {
  /** Rows and columns of a workgroup. */
  readonly rows: number;
  readonly columns: number;
  /** Parts of k, whose sums are added by a stage of their own. */
  readonly parts: number;
  /** Length of a part; k itself where there is one part. */
  readonly chunk: number;
}

/** A workgroup's tile, as names of u32. */
export interface Place {
  readonly part: string;
  readonly matrix: string;
  /** Numbers of the tile among those of its matrix. */
  readonly row: string;
  readonly column: string;
}

function workgroupsOf(product: Product, { rows, columns, parts }: Tiling): number {
  return parts * matrices(product) * ceilDiv(product.m, rows) * ceilDiv(product.n, columns);
}

/** Names the place of this workgroup. Neighbours in the grid are neighbours along n. */
export function emitPlace(
  code: Code,
  grid: Grid,
  product: Product,
  tiling: Tiling,
  software: boolean,
): Place {
  const variable = (name: string, extent: number) => ({ name, extent });
  const space = [
    variable('part', tiling.parts),
    variable('matrix', matrices(product)),
    variable('row', ceilDiv(product.m, tiling.rows)),
    variable('column', ceilDiv(product.n, tiling.columns)),
  ];
  const count = workgroupsOf(product, tiling);
  if (!grid.exact) code.line(`if (${grid.block} >= ${count}u) { return; }`);
  const names = decodePoint(code, grid.block, space, new Set(space), software);
  // What `min` bounds, compilers need not check at every access.
  const [part, matrix, row, column] = space.map((each) =>
    each.extent === 1 ? '0u' : code.keep('g', `min(u32(${names.get(each)!}), ${each.extent - 1}u)`),
  ) as [string, string, string, string];
  return { part, matrix, row, column };
}

/** Where the sums of a stage go: through the epilogue to the result, or to the workspace as they are. */
export interface Sums {
  readonly shader: Shader;
  /** Sums of consecutive columns from `column` on; rows are rows of all matrices. */
  write(code: Code, column: string, rows: readonly ResultRow[], part: string): void;
}

export function sumsOf(
  product: Product,
  { parts, columns }: Tiling,
  width: number,
  vectors: ReadonlySet<number>,
  features: ShaderFeatures,
): Sums {
  const { anchor, n, type } = product;
  const layout: ResultLayout = { extent: n, width, ragged: n % columns !== 0 };
  if (parts === 1) {
    const shader = new Shader(anchor, features, resultMemory(anchor, layout, { vectors }));
    return {
      shader,
      write: (code, column, rows) =>
        new Results(shader, code, anchor, layout, features.software).write(column, rows),
    };
  }
  const elements = resultElements(anchor);
  const length = parts * elements;
  const shader = new Shader(anchor, features, {
    stored: new Set(),
    atomic: new Set(),
    vectors,
    workspace: { type, length, access: 'readWrite' },
  });
  return {
    shader,
    write: (code, column, rows, part) => {
      for (const { row, exists, values } of rows) {
        code.block(exists ? `if (${exists})` : '', () => {
          const first = code.keep('p', `${part} * ${elements}u + ${row} * ${n}u + ${column}`);
          for (const [i, value] of values.entries()) {
            const store = `workspace[${first} + ${i}u] = ${value};`;
            code.line(layout.ragged ? `if (${column} + ${i}u < ${n}u) { ${store} }` : store);
          }
        });
      }
    },
  };
}

/** The program of a stage of tiles, with a second one where k was cut. */
export function tiledProgram(
  product: Product,
  tiling: Tiling,
  features: ShaderFeatures,
  variant: string,
  stage: (grid: Grid) => WgslStage,
): WgslProgram {
  const { anchor } = product;
  const { parts } = tiling;
  const first = stage(gridOf(workgroupsOf(product, tiling), features));
  const described = `${variant}${parts > 1 ? `, ${parts} parts of k` : ''}`;
  if (parts === 1) return assemble(anchor, [first], 0, described);
  return assemble(
    anchor,
    [first, ...finishStages(anchor, features, parts)],
    parts * resultElements(anchor) * 4,
    described,
  );
}
