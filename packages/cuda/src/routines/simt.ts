/**
 * Products of tiles on CUDA cores, in float32 or in integers that wrap.
 *
 * A thread has TM x TN sums: groups of 4 x 4 whose rows and columns are neighbours, the groups a part of the tile apart. Four steps of
 * the contraction take TM + TN reads of 16 bytes from shared memory for 4 * TM * TN products: with 8 x 8, 16 reads for 256. The
 * threads of a warp have 4 x 8 such places, so that it reads few different rows and columns, most of them for several lanes at once.
 *
 * Registers: TM * TN sums and 4 * TM of the operand that lies along k; 8 x 8 with all addresses stays below 128, which lets two
 * blocks of 256 threads share a multiprocessor.
 */
import type { Core, WriteRun } from './core.ts';
import { overRuns, type RunWidth } from './epilogue.ts';
import { block, lines, unrolled } from './text.ts';
import { formatType, type TileMemory } from './tile-memory.ts';

/** The tile of a block, and what a thread has of it: multiples of 4. */
export interface SimtShape {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly threadRows: number;
  readonly threadColumns: number;
  /** Threads of a warp along columns; 8 unless it says otherwise. */
  readonly lanesAcross?: number;
  readonly stages: number;
  readonly resident: number;
}

export const simtThreads = ({ rows, columns, threadRows, threadColumns }: SimtShape): number =>
  (rows / threadRows) * (columns / threadColumns);

/** @param sums The name of the sums. */
export function simtCore(shape: SimtShape, left: TileMemory, right: TileMemory, sums = 'sums'): Core {
  const { rows, columns, threadRows, threadColumns } = shape;
  const across = columns / threadColumns;
  const type = formatType[left.format];
  const lanesAcross = Math.min(shape.lanesAcross ?? 8, across);
  const lanesDown = 32 / lanesAcross;
  const warpsAcross = across / lanesAcross;
  const text = new SimtText(shape, left, right, sums);
  return {
    rows,
    columns,
    threads: simtThreads(shape),
    resident: shape.resident,
    resultBytes: 0,
    declare: () =>
      lines(
        'const int lane = thread % 32, warp = thread / 32;',
        `const int x = warp % ${warpsAcross} * ${lanesAcross} + lane % ${lanesAcross};`,
        `const int y = warp / ${warpsAcross} * ${lanesDown} + lane / ${lanesAcross};`,
        `${type} ${sums}[${threadRows}][${threadColumns}] = {};`,
      ),
    multiply: (a, b) => text.multiply(a, b),
    check: () =>
      unrolled('i', threadRows, unrolled('j', threadColumns, `broken |= ${sums}[i][j] != ${sums}[i][j];`)),
    results: (width, write) => text.results(width, write),
  };
}

/** Texts of one side: `group` is how far groups of four rows (or columns) are apart. */
interface SideText {
  readonly memory: TileMemory;
  readonly count: number;
  readonly group: number;
  /** The thread's place along the side. */
  readonly place: 'x' | 'y';
  readonly name: 'a' | 'b';
}

class SimtText {
  readonly #shape: SimtShape;
  readonly #left: SideText;
  readonly #right: SideText;
  readonly #type: string;
  readonly #sums: string;

  constructor(shape: SimtShape, left: TileMemory, right: TileMemory, sums: string) {
    const { rows, columns, threadRows, threadColumns } = shape;
    this.#shape = shape;
    this.#sums = sums;
    this.#type = formatType[left.format];
    const group = (extent: number, count: number): number => extent / (count / 4);
    this.#left = { memory: left, count: threadRows, group: group(rows, threadRows), place: 'y', name: 'a' };
    this.#right = {
      memory: right,
      count: threadColumns,
      group: group(columns, threadColumns),
      place: 'x',
      name: 'b',
    };
  }

  #pack(name: string, count: number): string {
    return `tutti_pack<${this.#type}, 4> ${name}[${count}];`;
  }

  #load(target: string, from: string): string {
    return `${target} = tutti_load<4>((const ${this.#type}*)(${from}));`;
  }

  /** The thread's first line in a tile that lies along k; and how its pieces are permuted, which only its place decides. */
  #start({ memory, place, name }: SideText, tile: string): string {
    if (memory.major === 'outer' && memory.permutation)
      return `const unsigned char* const ${name}_tile = ${tile};`;
    if (memory.major === 'outer') return `const unsigned char* const ${name}_tile = ${tile} + ${place} * 16;`;
    return lines(
      `const unsigned char* const ${name}_tile = ${tile} + ${place} * ${4 * memory.pitch};`,
      `const int ${name}_swap = ${place} >> 1 & 3;`,
    );
  }

  /** Line `i` of the thread at piece `c`, in a tile that lies along k. */
  #alongK(side: SideText, i: string): string {
    const { memory, name, group } = side;
    const line = `(${i} % 4 + ${i} / 4 * ${group}) * ${memory.pitch}`;
    return `${name}_tile + ${line} + (c ^ ${name}_swap) * 16`;
  }

  /** Four steps of the thread's lines. */
  #linesOf(side: SideText): string {
    return lines(
      this.#pack(side.name, side.count),
      unrolled('i', side.count, this.#load(`${side.name}[i]`, this.#alongK(side, 'i'))),
    );
  }

  /** One step of the thread's groups, in a tile whose lines are steps. */
  #step({ memory, name, place, count, group }: SideText): string {
    const { pitch, permutation } = memory;
    // Four lines in a row are permuted alike.
    const piece =
      permutation &&
      `((${place} + g * ${group / 4}) ^ (c >> ${permutation.shift - 2} & ${permutation.mask}))`;
    const from = `${name}_tile + (c * 4 + q) * ${pitch} + ${piece ? `${piece} * 16` : `g * ${group * 4}`}`;
    return lines(this.#pack(name, count / 4), unrolled('g', count / 4, this.#load(`${name}[g]`, from)));
  }

  #element({ memory, name }: SideText, i: string): string {
    return memory.major === 'k' ? `${name}[${i}].at[q]` : `${name}[${i} / 4].at[${i} % 4]`;
  }

  #add(a: string, b: string): string {
    const sum = `${this.#sums}[i][j]`;
    return this.#type === 'float' ? `${sum} = fmaf(${a}, ${b}, ${sum});` : `${sum} += ${a} * ${b};`;
  }

  multiply(leftTile: string, rightTile: string): string {
    const [left, right] = [this.#left, this.#right];
    const { threadRows, threadColumns, depth } = this.#shape;
    const alongK = [left, right].map(({ memory }) => memory.major === 'k');
    const steps = alongK.every(Boolean)
      ? lines(
          this.#linesOf(left),
          unrolled(
            'j',
            threadColumns,
            this.#pack('b', 1),
            this.#load('b[0]', this.#alongK(right, 'j')),
            unrolled('q', 4, unrolled('i', threadRows, this.#add('a[i].at[q]', 'b[0].at[q]'))),
          ),
        )
      : lines(
          alongK[0] && this.#linesOf(left),
          alongK[1] && this.#linesOf(right),
          unrolled(
            'q',
            4,
            !alongK[0] && this.#step(left),
            !alongK[1] && this.#step(right),
            unrolled(
              'i',
              threadRows,
              unrolled('j', threadColumns, this.#add(this.#element(left, 'i'), this.#element(right, 'j'))),
            ),
          ),
        );
    return lines(
      this.#start(left, leftTile),
      this.#start(right, rightTile),
      '#pragma unroll 1',
      block(`for (int c = 0; c < ${depth / 4}; c++)`, steps),
    );
  }

  /** Columns outermost: what is found out about a column serves all rows, and need not be kept for later. */
  results(width: RunWidth, write: WriteRun): string {
    const { threadRows, threadColumns } = this.#shape;
    return unrolled(
      'g',
      threadColumns / 4,
      overRuns(4, width, (at) =>
        lines(
          `const int column = x * 4 + g * ${this.#right.group} + c;`,
          unrolled(
            'i',
            threadRows,
            `const int row = y * 4 + i % 4 + i / 4 * ${this.#left.group};`,
            write(
              'row',
              'column',
              Array.from({ length: width }, (_, n) => `${this.#sums}[i][g * 4 + ${at(n)}]`),
            ),
          ),
        ),
      ),
    );
  }
}
