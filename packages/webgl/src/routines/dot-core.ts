/**
 * The core of a product: a fragment makes a block of sums, `rows` by 4, each row for a texture of its own.
 *
 *     x   four elements of lhs, along k (one for each row) or across (one for each of four k)
 *     y   four elements of rhs, along k (one for each column) or across
 *
 * Four by four take 8 fetches for 64 products, where a texel of the result by itself takes 5 for 16: fetches are what costs. Fragments
 * are numbered by part of k, matrix, block of rows and column of blocks.
 */
import { type Product, range } from '@tutti/core/backend';
import { Code } from '../kernels/code.ts';
import type { GlslStage, ShaderFeatures, StageBuffer } from '../program.ts';
import type { Texels } from './dot-operands.ts';
import { Lines } from './lines.ts';
import { components, decoded, plus, times } from './text.ts';

export interface CorePlan {
  /** Rows of a block. */
  readonly rows: number;
  readonly rowBlocks: number;
  readonly columnBlocks: number;
  /** Matrices of the result. */
  readonly matrices: number;
  /** So many products of matrices, the first dimension of the batch, are added; 1 where there is no such dimension. */
  readonly summed: number;
  /** k is cut in so many parts, of so many steps of four each; or else the products that are added are. */
  readonly parts: number;
  readonly chunk: number;
  /** log2 of the texels in a row of the textures of sums. */
  readonly shift: number;
}

/** Texels of each of the textures of sums. */
export const blocksOf = ({ rowBlocks, columnBlocks, matrices, parts }: CorePlan): number =>
  parts * matrices * rowBlocks * columnBlocks;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

export class CoreStage {
  readonly #product: Product;
  readonly #plan: CorePlan;
  readonly #features: ShaderFeatures;
  readonly #lhs: Texels;
  readonly #rhs: Texels;
  readonly #code = new Code();
  readonly #vector: 'vec4' | 'uvec4';
  #sums: readonly string[] = [];
  #left: readonly Lines[] = [];
  #right!: Lines;

  constructor(product: Product, plan: CorePlan, lhs: Texels, rhs: Texels, features: ShaderFeatures) {
    this.#product = product;
    this.#plan = plan;
    this.#lhs = lhs;
    this.#rhs = rhs;
    this.#features = features;
    this.#vector = product.type === 'f32' ? 'vec4' : 'uvec4'; // products of i32 have the bits of those of u32
  }

  emit(outputs: readonly StageBuffer[]): GlslStage {
    const { rows } = this.#plan;
    const { m, n, k } = this.#product;
    this.#multiply();
    const isFloat = this.#vector === 'vec4';
    const bits = this.#sums.map((sum) => (isFloat ? `floatBitsToUint(${sum})` : sum));
    const head =
      outputs.length === 1
        ? 'uvec4 texel(int index)'
        : `void texels(int index, ${outputs.map((_, i) => `out uvec4 o${i}`).join(', ')})`;
    for (const [i, text] of bits.entries())
      this.#code.line(outputs.length === 1 ? `return ${text};` : `o${i} = ${text};`);
    const fetches = ['left', 'right'].map((name, i) => {
      const fetched = `texelFetch(t${i}, ivec2(x, y), 0)`;
      return `${this.#vector} ${name}(int x, int y) {
  return ${isFloat ? `uintBitsToFloat(${fetched})` : fetched};
}
`;
    });
    const dot = this.#rhs.along === 'k' && !isFloat ? [integerDot] : [];
    const { chunk, summed } = this.#plan;
    const steps = summed > 1 ? chunk * Math.ceil(k / 4) : chunk;
    return {
      code: [
        `// ${rows} by 4 sums of a product of (${m}, ${k}) and (${k}, ${n})`,
        ...fetches,
        ...dot,
        `${head} {`,
        this.#code.text(),
        '}',
        '',
      ].join('\n'),
      inputs: [this.#lhs.source, this.#rhs.source],
      outputs,
      texels: blocksOf(this.#plan),
      operations: steps * (20 * rows + 24),
    };
  }

  #multiply(): void {
    const code = this.#code;
    const { rowBlocks, columnBlocks, matrices, parts, chunk, summed } = this.#plan;
    const place = decoded(code, 'index', [parts, matrices, rowBlocks, columnBlocks], this.#features.software);
    const [part, matrix, rowBlock, column] = place as [string, string, string, string];
    const steps = Math.floor(this.#product.k / 4);
    const most = summed > 1 ? summed : steps;
    const isCut = parts > 1;
    const first = isCut ? code.keep('int', 'first', times(part, chunk)) : '0';
    const end = isCut ? code.keep('int', 'end', `min(${first} + ${chunk}, ${most})`) : `${most}`;
    this.#sums = range(this.#plan.rows).map(() => code.keep(this.#vector, 'sum', `${this.#vector}(0)`));
    if (summed === 1) {
      this.#open(matrix, rowBlock, column, first);
      this.#steps(first, end);
      this.#rest(isCut ? `if (${part} == ${parts - 1})` : '');
      return;
    }
    const number = code.name('b');
    code.block(`for (int ${number} = ${first}; ${number} < ${end}; ${number}++)`, () => {
      this.#open(matrix, rowBlock, column, '0', number);
      this.#steps('0', `${steps}`);
      this.#rest('');
    });
  }

  #steps(first: string, end: string): void {
    const code = this.#code;
    if (end === '0') return;
    const step = code.name('k');
    code.block(`for (int ${step} = ${first}; ${step} < ${end}; ${step}++)`, () => {
      this.#step(4);
      for (const lines of [...this.#left, this.#right]) lines.advance();
    });
  }

  /** What is left of k, which is no step. */
  #rest(head: string): void {
    const rest = this.#product.k % 4;
    if (rest > 0) this.#code.block(head, () => this.#step(rest));
  }

  /** Names the coordinates of everything that is fetched. */
  #open(matrix: string, rowBlock: string, column: string, first: string, summand?: string): void {
    const code = this.#code;
    const { batch, m, n } = this.#product;
    const { rows } = this.#plan;
    const own = summand === undefined ? batch : batch.slice(1);
    const decodedOwn = own.length > 1 ? decoded(code, matrix, own, this.#features.software) : [matrix];
    const number = summand === undefined ? decodedOwn : [summand, ...decodedOwn];
    const baseOf = ({ offset, batch: strides }: Texels): string => {
      const sum = plus(offset, ...strides.map((stride, i) => times(number[i]!, stride)));
      return /^\w+$/.test(sum) ? sum : code.keep('int', 'base', sum);
    };
    const linesOf = (name: string, side: Texels, count: number, extent: number) => {
      const plan = {
        count,
        line: side.line,
        step: side.along === 'k' ? 1 : 4 * side.line,
        length: side.length,
        alignment: [side.offset, ...side.batch].reduce(gcd, 0),
        along: side.along === 'k',
        total: side.total,
        rowShift: this.#features.rowShift,
        ...(side.along === 'k' && extent % count !== 0 ? { last: extent - 1 } : {}),
      };
      return (base: string, start: string, within: string): Lines =>
        new Lines(code, name, plan, base, start, within);
    };
    const [lhs, rhs] = [this.#lhs, this.#rhs];
    const left = baseOf(lhs);
    if (lhs.along === 'k') this.#left = [linesOf('left', lhs, rows, m)(left, times(rowBlock, rows), first)];
    else {
      const lines = linesOf('left', lhs, 4, m);
      const texel = times(rowBlock, rows / 4);
      this.#left = range(rows / 4).map((i) => lines(left, times(first, 4), plus(texel, i)));
    }
    const right = baseOf(rhs);
    const lines = linesOf('right', rhs, 4, n);
    this.#right =
      rhs.along === 'k' ? lines(right, times(column, 4), first) : lines(right, times(first, 4), column);
  }

  /** `count` terms of every sum. */
  #step(count: number): void {
    const code = this.#code;
    const [lhs, rhs] = [this.#lhs, this.#rhs];
    const vector = this.#vector;
    const y = range(rhs.along === 'k' ? 4 : count).map((i) => code.keep(vector, 'y', this.#right.fetch(i)));
    /** The elements of lhs in each row, for each k. */
    const left = this.#left;
    const across =
      lhs.along === 'k'
        ? []
        : left.map((lines) => range(count).map((i) => code.keep(vector, 'x', lines.fetch(i))));
    for (const [row, sum] of this.#sums.entries()) {
      let elements: readonly string[];
      if (lhs.along === 'k') {
        const x = code.keep(vector, 'x', left[0]!.fetch(row));
        elements = range(count).map((i) => `${x}.${components[i]}`);
      } else elements = across[row >> 2]!.map((x) => `${x}.${components[row & 3]}`);
      code.line(`${sum} += ${rhs.along === 'k' ? this.#dots(elements, y) : weighted(elements, y)};`);
    }
  }

  /** A product with each of four columns. */
  #dots(elements: readonly string[], y: readonly string[]): string {
    const count = elements.length;
    if (count === 1) return `${elements[0]} * ${this.#vector}(${y.map((each) => `${each}.x`).join(', ')})`;
    const swizzle = count === 4 ? '' : `.${components.slice(0, count).join('')}`;
    const x =
      this.#lhs.along === 'k'
        ? `${elements[0]!.split('.')[0]}${swizzle}`
        : `${this.#vector.replace('4', `${count}`)}(${elements.join(', ')})`;
    const dot = this.#vector === 'vec4' ? 'dot' : 'integer_dot';
    const dots = y.map((each) => `${dot}(${x}, ${each}${swizzle})`);
    return `${this.#vector}(${dots.join(', ')})`;
  }
}

const weighted = (elements: readonly string[], y: readonly string[]): string =>
  elements.map((element, i) => `${element} * ${y[i]}`).join(' + ');

/** GLSL has it for floats alone. */
const integerDot = [2, 3, 4]
  .map((size) => {
    const terms = components.slice(0, size).map((c) => `a.${c} * b.${c}`);
    return `uint integer_dot(uvec${size} a, uvec${size} b) {
  return ${terms.join(' + ')};
}
`;
  })
  .join('');
