/**
 * Matrix products without shared memory: a thread has one element of the result and runs along k. For products so small that starting
 * a kernel is what takes the time, and for emulation, where threads that meet no barrier are cheap. Takes any strides and dtypes.
 *
 * 128 threads, neighbours along n: they read neighbouring columns of rhs and the same row of lhs.
 */
import { ceilDiv, matrices, type Product } from '@tutti/core/backend';
import type { CudaProgram } from '../program.ts';
import { baseOf, batchIndices } from './dot-tiles.ts';
import { Results } from './epilogue.ts';
import { assemble } from './finish.ts';
import { Source } from './source.ts';
import { block, lines, sum, times } from './text.ts';

const threads = 128;

export function directProgram(product: Product): CudaProgram {
  const { anchor, batch, m, n, k, lhs, rhs, type } = product;
  const source = new Source(anchor, 2);
  const total = matrices(product) * m * n;
  const results = new Results(source, { extent: n, width: 1 });
  const left = sum(baseOf(lhs), times('(Index)inner_row', lhs.row), times('(Index)k', lhs.column));
  const right = sum(baseOf(rhs), times('(Index)k', rhs.row), times('(Index)column', rhs.column));
  const [a, b] = [source.load(lhs.slot, left), source.load(rhs.slot, right)];
  const float = type === 'f32';
  const body = lines(
    `const Index element = (Index)blockIdx.x * ${threads} + thread;`,
    `if (element >= ${total}) return;`,
    `const Index result_row = element / ${n};`,
    `const int column = (int)(element % ${n});`,
    batch.length === 0
      ? 'const int inner_row = (int)result_row;'
      : `const int inner_row = (int)(result_row % ${m}), matrix = (int)(result_row / ${m});`,
    batchIndices(product),
    `${float ? 'float' : 'unsigned'} total = 0;`,
    block(
      `for (int k = 0; k < ${k}; k++)`,
      float ? `total = fmaf(${a}, ${b}, total);` : `total += (unsigned)${a} * (unsigned)${b};`,
    ),
    results.write('result_row', 'column', ['total']),
  );
  const comment = `Product of ${m} x ${k} with ${k} x ${n}: a thread has one element.`;
  const stage = source.stage({ comment, body, blocks: ceilDiv(total, threads), threads });
  return assemble(anchor, [stage], 0, 'an element for each thread');
}
