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
import type { TileMemory } from './tile-memory.ts';

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

export function mmaCore(
  shape: MmaShape,
  left: TileMemory,
  right: TileMemory,
  computeCapability: number,
): Core {
  const { rows, columns, warpsDown, warpsAcross } = shape;
  const text = new MmaText(shape, left, right, computeCapability);
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

class MmaText {
  readonly #left: TileMemory;
  readonly #right: TileMemory;
  readonly #warpsAcross: number;
  readonly #warpRows: number;
  readonly #warpColumns: number;
  readonly #computeCapability: number;

  constructor(shape: MmaShape, left: TileMemory, right: TileMemory, computeCapability: number) {
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

  get #isTf32(): boolean {
    return this.#left.format === 'tf32';
  }

  declare(): string {
    const [down, across] = this.#fragments;
    return lines(
      'const int lane = thread % 32, warp = thread / 32;',
      `const int warp_row = warp / ${this.#warpsAcross} * ${this.#warpRows};`,
      `const int warp_column = warp % ${this.#warpsAcross} * ${this.#warpColumns};`,
      `float sums[${down}][${across}][4] = {};`,
    );
  }

  multiply(left: string, right: string): string {
    const [down, across] = this.#fragments;
    const steps = this.#left.depth / (2 * this.#left.lanes);
    return lines(
      this.#start('a', this.#left, left),
      this.#start('b', this.#right, right),
      unrolled(
        's',
        steps,
        `unsigned a[${down}][4], b[${across / 2}][4];`,
        unrolled('i', down, this.#fetch('a', this.#left)),
        unrolled('j', across / 2, this.#fetch('b', this.#right)),
        unrolled('i', down, unrolled('j', across, this.#product())),
      ),
    );
  }

  /** The lane's place in a tile: the line of the rows that it names for `ldmatrix`, and how pieces are permuted there. */
  #start(name: 'a' | 'b', { major, pitch, permutation, format }: TileMemory, tile: string): string {
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

  /** A matrix of 16 x 16 elements (TF32: 16 x 8): fragment `i` of lhs, or fragments `2 * j` and `2 * j + 1` of rhs. */
  #fetch(name: 'a' | 'b', { major, pitch, format }: TileMemory): string {
    const i = name === 'a' ? 'i' : 'j';
    const target = `${name}[${i}]`;
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

  #product(): string {
    const [a, b, sums] = ['a[i]', 'b[j / 2] + j % 2 * 2', 'sums[i][j]'];
    if (this.#isTf32) return `tutti_mma_m16n8k8_tf32(${sums}, ${a}, ${b}, ${sums});`;
    if (this.#left.format === 'bf16' || this.#computeCapability >= 80)
      return `tutti_mma_m16n8k16_${this.#left.format}(${sums}, ${a}, ${b}, ${sums});`;
    return lines(
      `tutti_mma_m16n8k8_f16(${sums}, ${a}, ${b}, ${sums});`,
      `tutti_mma_m16n8k8_f16(${sums}, ${a} + 2, ${b} + 1, ${sums});`,
    );
  }

  check(): string {
    const [down, across] = this.#fragments;
    const sums = unrolled('e', 4, 'broken |= sums[i][j][e] != sums[i][j][e];');
    return unrolled('i', down, unrolled('j', across, sums));
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
          `*(float2*)(${at(0)}) = make_float2(sums[i][j][0], sums[i][j][1]);`,
          `*(float2*)(${at(8)}) = make_float2(sums[i][j][2], sums[i][j][3]);`,
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
