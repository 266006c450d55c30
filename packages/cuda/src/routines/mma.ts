/**
 * Products of tiles on tensor cores (`mma.sync`), with sums in float32: operands of float16, bfloat16, or float32 rounded to TF32.
 *
 * The tile of a block is cut into one of WM x WN for each warp, and that into fragments of 16 x 8: a warp reads WM / 16 + WN / 16
 * matrices of 16 x 16 (`ldmatrix.x4`) for WM * WN / 128 products of 16 x 8 x 16. With 64 x 64 that is 8 reads for 32 products, with
 * 64 x 32 6 for 16. Sums take WM * WN / 32 registers: 128 or 64.
 *
 * `ldmatrix` wants eight rows of 16 bytes from anywhere, so that tiles stay in the order of memory; those whose lines run along rows
 * of lhs or columns of rhs come transposed (`.trans`), but for TF32, where words are read one by one.
 *
 * Sums leave through shared memory, 16 rows of a warp at a time, so that a thread has four neighbouring columns, and a warp writes
 * whole lines of rows.
 */
import type { Core, WriteRun } from './core.ts';
import { overRuns, type RunWidth } from './epilogue.ts';
import { block, lines, unrolled } from './text.ts';
import type { Format, TileMemory } from './tile-memory.ts';

/** The tile of a block, how many bytes of the contraction it takes at once, and how warps share it. */
export interface MmaShape {
  readonly rows: number;
  readonly columns: number;
  readonly depthBytes: 64 | 128;
  readonly warpsDown: number;
  readonly warpsAcross: number;
  readonly stages: number;
  readonly resident: number;
}

export const mmaThreads = ({ warpsDown, warpsAcross }: MmaShape): number => 32 * warpsDown * warpsAcross;

/** @param sums The name of the sums. */
export function mmaCore(
  shape: MmaShape,
  left: TileMemory,
  right: TileMemory,
  computeCapability: number,
  sums = 'sums',
): Core {
  const { rows, columns, warpsDown, warpsAcross } = shape;
  const text = new MmaText(shape, left, right, computeCapability, sums);
  return {
    rows,
    columns,
    threads: mmaThreads(shape),
    resident: shape.resident,
    resultBytes: warpsDown * warpsAcross * 16 * text.stripPitch * 4,
    declare: () => text.declare(),
    multiply: (a, b) => text.multiply(a, b),
    check: () => text.check(),
    results: (width, write) => text.results(width, write),
  };
}

/** The lane's place in a tile: the line of the rows that it names for `ldmatrix`, and how pieces are permuted there. */
export function fragmentPlace(
  name: 'a' | 'b',
  { major, pitch, permutation, format }: TileMemory,
  tile: string,
): string {
  const warp = name === 'a' ? 'warp_row' : 'warp_column';
  if (format === 'tf32' && major === 'outer')
    return `const unsigned char* const ${name}_tile = ${tile} + lane % 4 * ${pitch} + (${warp} + lane / 4) * 4;`;
  // The four matrices: lhs has rows before steps, rhs steps before columns; what is transposed has its lines the other way round.
  const linesFirst = (name === 'a') === (major === 'k');
  const line = linesFirst ? 'lane % 16' : 'lane % 8 + lane / 16 * 8';
  const piece = linesFirst ? 'lane / 16' : 'lane / 8 % 2';
  const first = major === 'k' ? `(${warp} + ${name}_line)` : `${name}_line`;
  const { shift, mask } = permutation!;
  return lines(
    `const int ${name}_line = ${line};`,
    `const int ${name}_piece = ${piece}${major === 'k' ? '' : ` + ${warp} / 8`};`,
    `const int ${name}_swap = ${name}_line >> ${shift} & ${mask};`,
    `const unsigned char* const ${name}_tile = ${tile} + ${first} * ${pitch};`,
  );
}

/**
 * Reads a matrix of 16 x 16 elements (TF32: 16 x 8) at step `s`: fragment `i` of lhs, or fragments `2 * i` and `2 * i + 1` of rhs.
 *
 * @param target Four registers.
 */
export function fragmentText(
  name: 'a' | 'b',
  { major, pitch, format }: TileMemory,
  i: string,
  target: string,
): string {
  if (format === 'tf32' && major === 'outer') {
    // Registers of lhs count rows first, those of rhs steps first.
    const [step, other] = name === 'a' ? ['e / 2', 'e % 2'] : ['e % 2', 'e / 2'];
    const at = `${name}_tile + (s * 8 + ${step} * 4) * ${pitch} + (${i} * 16 + ${other} * 8) * 4`;
    return unrolled('e', 4, `${target}[e] = tutti_f32_to_tf32(*(const float*)(${at}));`);
  }
  const at =
    major === 'k'
      ? `${name}_tile + ${i} * ${16 * pitch} + ((s * 2 + ${name}_piece) ^ ${name}_swap) * 16`
      : `${name}_tile + s * ${16 * pitch} + ((${i} * 2 + ${name}_piece) ^ ${name}_swap) * 16`;
  const read = `tutti_ldmatrix_x4${major === 'k' ? '' : '_trans'}(${target}, ${at});`;
  if (format !== 'tf32') return read;
  const rounded = `${target}[e] = tutti_f32_to_tf32(__uint_as_float(${target}[e]));`;
  return lines(read, unrolled('e', 4, rounded));
}

/** Adds the product of two fragments to `sums`. */
export function productText(
  format: Format,
  computeCapability: number,
  [sums, a, b]: readonly [sums: string, a: string, b: string],
): string {
  if (format === 'tf32') return `tutti_mma_m16n8k8_tf32(${sums}, ${a}, ${b}, ${sums});`;
  if (format === 'bf16' || computeCapability >= 80)
    return `tutti_mma_m16n8k16_${format}(${sums}, ${a}, ${b}, ${sums});`;
  return lines(
    `tutti_mma_m16n8k8_f16(${sums}, ${a}, ${b}, ${sums});`,
    `tutti_mma_m16n8k8_f16(${sums}, ${a} + 2, ${b} + 1, ${sums});`,
  );
}

class MmaText {
  readonly #left: TileMemory;
  readonly #right: TileMemory;
  readonly #warpsAcross: number;
  readonly #warpRows: number;
  readonly #warpColumns: number;
  readonly #computeCapability: number;
  readonly #sums: string;

  constructor(shape: MmaShape, left: TileMemory, right: TileMemory, computeCapability: number, sums: string) {
    this.#sums = sums;
    this.#left = left;
    this.#right = right;
    this.#warpsAcross = shape.warpsAcross;
    this.#warpRows = shape.rows / shape.warpsDown;
    this.#warpColumns = shape.columns / shape.warpsAcross;
    this.#computeCapability = computeCapability;
  }

  /** Floats from one row of a strip to the next. */
  get stripPitch(): number {
    return this.#warpColumns + 4;
  }

  get #fragments(): readonly [down: number, across: number] {
    return [this.#warpRows / 16, this.#warpColumns / 8];
  }

  declare(): string {
    const [down, across] = this.#fragments;
    return lines(
      'const int lane = thread % 32, warp = thread / 32;',
      `const int warp_row = warp / ${this.#warpsAcross} * ${this.#warpRows};`,
      `const int warp_column = warp % ${this.#warpsAcross} * ${this.#warpColumns};`,
      `float ${this.#sums}[${down}][${across}][4] = {};`,
    );
  }

  multiply(left: string, right: string): string {
    const [down, across] = this.#fragments;
    const { format } = this.#left;
    const steps = this.#left.depth / (2 * this.#left.lanes);
    const product = productText(format, this.#computeCapability, [
      `${this.#sums}[i][j]`,
      'a[i]',
      'b[j / 2] + j % 2 * 2',
    ]);
    return lines(
      fragmentPlace('a', this.#left, left),
      fragmentPlace('b', this.#right, right),
      unrolled(
        's',
        steps,
        `unsigned a[${down}][4], b[${across / 2}][4];`,
        unrolled('i', down, fragmentText('a', this.#left, 'i', 'a[i]')),
        unrolled('j', across / 2, fragmentText('b', this.#right, 'j', 'b[j]')),
        unrolled('i', down, unrolled('j', across, product)),
      ),
    );
  }

  check(): string {
    const [down, across] = this.#fragments;
    const checks = unrolled('e', 4, `broken |= ${this.#sums}[i][j][e] != ${this.#sums}[i][j][e];`);
    return unrolled('i', down, unrolled('j', across, checks));
  }

  results(width: RunWidth, write: WriteRun): string {
    const [down, across] = this.#fragments;
    const pitch = this.stripPitch;
    const perRow = this.#warpColumns / 4;
    const at = (row: number): string => `strip + (lane / 4 + ${row}) * ${pitch} + j * 8 + lane % 4 * 2`;
    return lines(
      '__syncthreads();',
      `float* const strip = (float*)shared_memory + warp * ${16 * pitch};`,
      unrolled(
        'i',
        down,
        unrolled(
          'j',
          across,
          `*(float2*)(${at(0)}) = make_float2(${this.#sums}[i][j][0], ${this.#sums}[i][j][1]);`,
          `*(float2*)(${at(8)}) = make_float2(${this.#sums}[i][j][2], ${this.#sums}[i][j][3]);`,
        ),
        '__syncwarp();',
        '#pragma unroll 1',
        block(
          `for (int p = 0; p < ${(16 * perRow) / 32}; p++)`,
          'const int number = lane + p * 32;',
          `const int line = number / ${perRow}, at = number % ${perRow} * 4;`,
          `const tutti_pack<float, 4> run = tutti_load<4>(strip + line * ${pitch} + at);`,
          'const int row = warp_row + i * 16 + line;',
          overRuns(4, width, (c) =>
            lines(
              'const int column = warp_column + at + c;',
              write(
                'row',
                'column',
                Array.from({ length: width }, (_, n) => `run.at[${c(n)}]`),
              ),
            ),
          ),
        ),
        '__syncwarp();',
      ),
    );
  }
}
