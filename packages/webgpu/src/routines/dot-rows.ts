/**
 * A product with one row (a matrix and a vector) as a kernel like those of the compiler: every element of the weights is used once, so
 * there is nothing to tile, and the renderer shares k among invocations where there are few results.
 */
import {
  type Epilogue,
  type Expression,
  type IndexVariable,
  type Kernel,
  matrices,
  type Product,
  type ProductOperand,
  plainResult,
  resultElements,
  rowMajor,
  sizeOf,
} from '@tutti/core/backend';
import { compileKernel } from '../kernels/index.ts';
import type { ShaderFeatures, WgslProgram } from '../program.ts';
import { assemble } from './finish.ts';

const int = (value: number): Expression => ({ op: 'const', type: 'i32', value });
const alu = (op: 'add' | 'mul' | 'idiv' | 'rem', a: Expression, b: Expression): Expression => ({
  op: 'alu',
  alu: op,
  type: 'i32',
  args: [a, b],
});

export function rowProgram(product: Product, features: ShaderFeatures): WgslProgram {
  const { anchor, type, k } = product;
  const epilogue = anchor.epilogue ?? plainResult(anchor, resultElements(anchor));
  const { matrix, column } = placeIn(epilogue, product);
  const step: IndexVariable = { name: 'k', extent: k };
  const steps: Expression = { op: 'index', type: 'i32', variable: step };
  const batch = batchIndices(matrix, product);
  const element = (
    operand: ProductOperand,
    terms: readonly (readonly [Expression, number])[],
  ): Expression => {
    let index = int(operand.offset);
    const all = [...batch.map((each, i) => [each, operand.batch[i]!] as const), ...terms];
    for (const [variable, stride] of all)
      if (stride !== 0) index = alu('add', index, alu('mul', variable, int(stride)));
    return { op: 'load', type, buffer: operand.slot, index };
  };
  const lhs = element(product.lhs, [[steps, product.lhs.column]]);
  const rhs = element(product.rhs, [
    [steps, product.rhs.row],
    [column, product.rhs.column],
  ]);
  const value: Expression = { op: 'alu', alu: 'mul', type, args: [lhs, rhs] };
  const kernel: Kernel = {
    kind: 'kernel',
    name: anchor.name,
    buffers: anchor.buffers,
    scalars: anchor.scalars,
    space: epilogue.space,
    phases: [
      { kind: 'reduce', loops: [step], accumulators: [{ id: 0, op: 'sum', type, value }] },
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [{ buffer: 2, index: rowMajor(epilogue.space), value: epilogue.value, mode: 'set' }],
      },
    ],
  };
  return assemble(anchor, compileKernel(kernel, features).stages, 0, 'one row');
}

/** Which matrix and which of its columns a point of the epilogue's space is. */
function placeIn({ space }: Epilogue, product: Product): { matrix: Expression; column: Expression } {
  const { n } = product;
  if (matrices(product) === 1) return { matrix: int(0), column: rowMajor(space) };
  let at = space.length;
  while (at > 0 && sizeOf(space.slice(at)) < n) at--;
  if (sizeOf(space.slice(at)) === n)
    return { matrix: rowMajor(space.slice(0, at)), column: rowMajor(space.slice(at)) };
  const flat = rowMajor(space);
  return { matrix: alu('idiv', flat, int(n)), column: alu('rem', flat, int(n)) };
}

/** The indices of a matrix in each batch dimension. */
function batchIndices(matrix: Expression, { batch }: Product): Expression[] {
  const indices: Expression[] = [];
  let rest = matrix;
  for (const [i, extent] of [...batch].reverse().entries()) {
    const outermost = i === batch.length - 1;
    indices.unshift(outermost ? rest : alu('rem', rest, int(extent)));
    rest = alu('idiv', rest, int(extent));
  }
  return indices;
}
