/**
 * Products with one row: `out[b, n] = sum_k x[b, k] * w[b, k, n]`. All of w is read once, so that its order decides:
 *
 *     'warp', 'block'    w lies along k (or anyhow): a warp, or a block of 8 warps, has a column, its lanes run along k by 16 bytes,
 *                        and sums meet by shuffles (and through shared memory). A block where columns are few.
 *     'columns'          w lies along n: a thread has the columns of 16 bytes, 8 warps take every eighth step of k, and their sums
 *                        meet in shared memory, 8 x 256 words at most.
 *
 * 256 threads. Four loads are in flight for a thread. Where blocks are too few for the machine, k is cut into parts that a second stage
 * adds in order.
 */
import { ceilDiv, matrices, type Product, type ProductOperand, roundUp } from '@tutti/core/backend';
import { elementType, widened } from '../kernels/memory.ts';
import type { CudaFeatures, CudaProgram } from '../program.ts';
import { place } from './contraction.ts';
import { baseOf, batchIndices } from './dot-tiles.ts';
import { Results } from './epilogue.ts';
import { mostWorkspaceBytes, withParts } from './finish.ts';
import { bytesOf, Source } from './source.ts';
import { block, lines, sum, times, unrolled, when } from './text.ts';

export type RowForm = 'warp' | 'block' | 'columns';

const warps = 8;
const threads = 32 * warps;
const leastChunk = 2048;
const mostParts = 32;

/** Elements of an operand that can be loaded at once along a dimension: `along` is its stride there, `others` the other strides. */
function runOf({ dtype, offset, batch }: ProductOperand, along: number, others: readonly number[]): number {
  if (along !== 1) return 1;
  let run = 16 / bytesOf(dtype);
  while (run > 1 && [offset, ...batch, ...others].some((stride) => stride % run !== 0)) run /= 2;
  return run;
}

/** The form that suits how w lies. */
export function rowForm(product: Product, { multiprocessors }: CudaFeatures): RowForm {
  const { rhs, n } = product;
  if (rhs.column === 1 && rhs.row !== 1 && n > 1) return 'columns';
  return matrices(product) * n >= multiprocessors * 16 ? 'warp' : 'block';
}

export function rowProgram(product: Product, form: RowForm, features: CudaFeatures): CudaProgram {
  return new RowText(product, form, features).program();
}

class RowText {
  readonly #product: Product;
  readonly #form: RowForm;
  readonly #features: CudaFeatures;
  readonly #source: Source;
  /** Elements of a load: along k, or columns. */
  readonly #run: number;
  readonly #type: 'float' | 'unsigned';

  constructor(product: Product, form: RowForm, features: CudaFeatures) {
    const { lhs, rhs, n, k } = product;
    this.#product = product;
    this.#form = form;
    this.#features = features;
    this.#source = new Source(product.anchor, 2);
    this.#type = product.type === 'f32' ? 'float' : 'unsigned';
    if (form === 'columns') this.#run = runOf(rhs, rhs.column, [rhs.row, n]);
    else this.#run = Math.min(runOf(lhs, lhs.column, [k]), runOf(rhs, rhs.row, [rhs.column, k]));
  }

  /** Columns of a block. */
  get #columns(): number {
    return { warp: warps, block: 1, columns: 32 * this.#run }[this.#form];
  }

  program(): CudaProgram {
    const { anchor, n, k } = this.#product;
    const tiles = ceilDiv(n, this.#columns);
    const count = matrices(this.#product);
    const wanted = Math.floor((this.#features.multiprocessors * 8) / (tiles * count));
    const memory = Math.floor(mostWorkspaceBytes / (4 * count * n));
    const most = Math.max(1, Math.min(wanted, mostParts, memory, Math.floor(k / leastChunk)));
    const chunk = most > 1 ? roundUp(ceilDiv(k, most), threads * 8) : k;
    const parts = most > 1 ? ceilDiv(k, chunk) : 1;
    const results = new Results(
      this.#source,
      { extent: n, width: 1 },
      parts > 1 ? { kind: 'sums', part: place.part } : { kind: 'result' },
    );
    const body = lines(
      `const int tile = (int)(blockIdx.x % ${tiles}u);`,
      `const int matrix = (int)(blockIdx.x / ${tiles}u${parts > 1 ? ` % ${count}u` : ''});`,
      parts > 1 && `const int ${place.part} = (int)(blockIdx.x / ${tiles * count}u);`,
      'const int lane = thread % 32, warp = thread / 32;',
      batchIndices(this.#product),
      parts === 1 ? `const int first = 0, last = ${k};` : this.#bounds(chunk),
      this.#form === 'columns' ? this.#alongColumns(results) : this.#alongK(results),
    );
    const comment = `Product of 1 x ${k} with ${k} x ${n}: ${this.#comment()}.`;
    const stage = this.#source.stage({ comment, body, blocks: tiles * count * parts, threads });
    return withParts(anchor, this.#features, [stage], parts, `a row by ${this.#form}`);
  }

  #comment(): string {
    const who = { warp: 'a warp has a column', block: 'a block has a column', columns: 'lanes have columns' };
    return `${who[this.#form]}, loads of ${this.#run}`;
  }

  #bounds(chunk: number): string {
    const { k } = this.#product;
    return lines(
      `const int first = ${place.part} * ${chunk};`,
      `const int last = ${k} - first < ${chunk} ? ${k} : first + ${chunk};`,
    );
  }

  #pointer(name: string, { slot, dtype, ...operand }: ProductOperand, more: string): string {
    return `const ${elementType[dtype]}* const ${name} = ${sum(this.#source.buffer(slot), baseOf(operand), more)};`;
  }

  #value({ dtype }: ProductOperand, bits: string): string {
    const value = widened(dtype, bits);
    return this.#type === 'float' ? value : `(unsigned)${value}`;
  }

  #add(target: string, a: string, b: string): string {
    return this.#type === 'float' ? `${target} = fmaf(${a}, ${b}, ${target});` : `${target} += ${a} * ${b};`;
  }

  #alongK(results: Results): string {
    const { n, lhs, rhs } = this.#product;
    const own = this.#form === 'warp';
    const partial = `partial[${warps}]`;
    const step = (own ? 32 : threads) * this.#run;
    const number = own ? 'lane' : 'thread';
    const loop = lines(
      this.#pointer('left', lhs, '0'),
      this.#pointer('right', rhs, times('(Index)column', rhs.column)),
      `${this.#type} sums[4] = {};`,
      '#pragma unroll 4',
      block(
        `for (int k = first + ${times(number, this.#run)}; k < last; k += ${step})`,
        ...this.#terms(lhs, rhs),
      ),
      `${this.#type} total = (sums[0] + sums[1]) + (sums[2] + sums[3]);`,
      unrolled('hop', 5, 'total += __shfl_xor_sync(0xffffffffu, total, 16 >> hop);'),
    );
    if (own)
      return lines(
        `const int column = tile * ${warps} + warp;`,
        `if (column >= ${n}) return;`,
        loop,
        when('lane == 0', results.write('matrix', 'column', ['total'])),
      );
    return lines(
      'const int column = tile;',
      `__shared__ ${this.#type} ${partial};`,
      loop,
      'if (lane == 0) partial[warp] = total;',
      '__syncthreads();',
      when(
        'thread == 0',
        'total = partial[0];',
        unrolled('w', warps - 1, 'total += partial[w + 1];'),
        results.write('matrix', 'column', ['total']),
      ),
    );
  }

  /** The products of one load of both. */
  #terms(lhs: ProductOperand, rhs: ProductOperand): readonly string[] {
    const run = this.#run;
    if (run === 1) {
      const at = (stride: number): string => times('(Index)k', stride);
      const [a, b] = [`left[${at(lhs.column)}]`, `right[${at(rhs.row)}]`];
      return [this.#add('sums[0]', this.#value(lhs, a), this.#value(rhs, b))];
    }
    return [
      `const tutti_pack<${elementType[lhs.dtype]}, ${run}> a = tutti_load<${run}>(left + k);`,
      `const tutti_pack<${elementType[rhs.dtype]}, ${run}> b = tutti_load<${run}>(right + k);`,
      unrolled('j', run, this.#add('sums[j % 4]', this.#value(lhs, 'a.at[j]'), this.#value(rhs, 'b.at[j]'))),
    ];
  }

  #alongColumns(results: Results): string {
    const { n, lhs, rhs } = this.#product;
    const run = this.#run;
    const width = 32 * run;
    const value = run === 1 ? 'right[at]' : 'b.at[j]';
    const load =
      run > 1 && `const tutti_pack<${elementType[rhs.dtype]}, ${run}> b = tutti_load<${run}>(right + at);`;
    return lines(
      `__shared__ ${this.#type} partial[${warps}][${width}];`,
      `const int first_column = tile * ${width} + ${times('lane', run)};`,
      `${this.#type} sums[${run}] = {};`,
      block(
        `if (first_column < ${n})`,
        this.#pointer('left', lhs, '0'),
        this.#pointer('right', rhs, times('(Index)first_column', rhs.column)),
        '#pragma unroll 4',
        block(
          `for (int k = first + warp; k < last; k += ${warps})`,
          `const ${this.#type} a = ${this.#value(lhs, `left[${times('(Index)k', lhs.column)}]`)};`,
          `const Index at = ${times('(Index)k', rhs.row)};`,
          load,
          unrolled('j', run, this.#add('sums[j]', 'a', this.#value(rhs, value))),
        ),
      ),
      unrolled('j', run, `partial[warp][${times('lane', run)} + j] = sums[j];`),
      '__syncthreads();',
      `const int column = tile * ${width} + thread;`,
      when(
        `thread < ${width} && column < ${n}`,
        `${this.#type} total = partial[0][thread];`,
        unrolled('w', warps - 1, 'total += partial[w + 1][thread];'),
        results.write('matrix', 'column', ['total']),
      ),
    );
  }
}
