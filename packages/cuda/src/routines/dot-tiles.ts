/**
 * Matrix products by tiles in shared memory (contraction.ts), on CUDA cores (simt.ts) or tensor cores (mma.ts).
 *
 *     out[b, m, n] = sum_k lhs[b, m, k] * rhs[b, k, n]
 *
 * Operands keep the order that they have in memory (operand.ts), so that a transposed one costs nothing more.
 */
import type { DotOperand, Product, ProductOperand } from '@tutti/core/backend';
import type { CudaFeatures, CudaProgram } from '../program.ts';
import { type Contraction, type Cut, contractionStage, place } from './contraction.ts';
import { cutFor, extentsOf } from './dot-plan.ts';
import { Results, runWidth } from './epilogue.ts';
import { withParts } from './finish.ts';
import { copyWay, leftView, majorOf, operandSide, rightView } from './operand.ts';
import { Source } from './source.ts';
import { all, lines, sum, times, when } from './text.ts';
import { type Format, type TileMemory, tileMemory } from './tile-memory.ts';
import type { Tiling } from './tiling.ts';

export function tiledProgram(product: Product, tiling: Tiling, features: CudaFeatures): CudaProgram {
  const { anchor, lhs, rhs, m, n, k } = product;
  const { format, depth } = tiling;
  const cut = cutFor(extentsOf(product), tiling, depth, features);
  const views = { left: leftView(lhs, m), right: rightView(rhs, n) };
  const left = tileMemory(format, majorOf(views.left), tiling.rows, depth);
  const right = tileMemory(format, majorOf(views.right), tiling.columns, depth);
  const core = tiling.core(left, right);
  const source = new Source(anchor, 2);
  const side = (name: 'left' | 'right', memory: TileMemory, operand: ProductOperand, first: string) =>
    operandSide(source, views[name], memory, {
      name,
      first,
      base: baseOf(operand),
      k,
      threads: core.threads,
    });
  const stage: Contraction = {
    comment: commentOf(product, tiling.name, views, format),
    cut,
    core,
    stages: tiling.stages,
    left: side('left', left, lhs, place.firstRow),
    right: side('right', right, rhs, place.firstColumn),
    prepare: batchIndices(product),
    ...resultsOf(source, product, cut),
  };
  return withParts(anchor, features, [contractionStage(source, stage)], cut.parts, tiling.name);
}

function commentOf(
  { m, n, k }: Product,
  variant: string,
  views: { readonly left: Parameters<typeof majorOf>[0]; readonly right: Parameters<typeof majorOf>[0] },
  format: Format,
): string {
  const ways = (['left', 'right'] as const).map(
    (name) => `${name} along ${majorOf(views[name])} by ${copyWay(views[name], format)}`,
  );
  return `Product of ${m} x ${k} with ${k} x ${n}: ${variant}; ${ways.join(', ')}.`;
}

/** Stores of runs that exist. */
function resultsOf(
  source: Source,
  { m, n, batch }: Product,
  { parts }: Cut,
): Pick<Contraction, 'width' | 'write'> {
  const width = runWidth(n);
  const layout = { extent: n, width };
  const results = new Results(
    source,
    layout,
    parts > 1 ? { kind: 'sums', part: place.part } : { kind: 'result' },
  );
  const matrix = batch.length > 0 ? times(`(Index)${place.matrix}`, m) : '0';
  return {
    width,
    write: (row, column, values) =>
      lines(
        `const int inner_row = ${place.firstRow} + ${row}, result_column = ${place.firstColumn} + ${column};`,
        when(
          all(`inner_row < ${m}`, `result_column < ${n}`),
          `const Index result_row = ${sum(matrix, 'inner_row')};`,
          results.write('result_row', 'result_column', values),
        ),
      ),
  };
}

/** Names the indices of the matrix along the batch dimensions. */
export function batchIndices({ batch }: Pick<Product, 'batch'>): string {
  let rest: string = place.matrix;
  const statements: string[] = [];
  for (let d = batch.length - 1; d >= 0; d--) {
    statements.push(`const int batch${d} = ${d === 0 ? rest : `${rest} % ${batch[d]}`};`);
    if (d > 1) {
      statements.push(`const int rest${d} = ${rest} / ${batch[d]};`);
      rest = `rest${d}`;
    } else rest = `${rest} / ${batch[d]}`;
  }
  return lines(...statements);
}

/** Where an operand begins in the matrix that `batchIndices` names. */
export const baseOf = ({ offset, batch }: Pick<DotOperand, 'offset' | 'batch'>): string =>
  sum(`${offset}`, ...batch.map((stride, d) => times(`(Index)batch${d}`, stride)));
