/**
 * The frame of all tiled products: a block has a tile of rows x columns of the result, and walks along the contraction with a tile of
 * each operand in shared memory.
 *
 * Tiles go through a ring of `stages` buffers: while one is multiplied, the next `stages - 1` are on their way (`cp.async`), or were
 * fetched into registers and are put down after the products. One barrier per tile is enough: behind it the tile has arrived for all
 * threads, and nobody reads the one before any more, whose place is filled next.
 *
 * Blocks are numbered along one axis: parts of the contraction outermost, then matrices (or groups), then tiles, eight rows of tiles
 * at a time, so that blocks that run together share operands in the L2 cache.
 */
import { ceilDiv, InternalError } from '@tutti/core/backend';
import type { KernelStage } from '../program.ts';
import type { Core } from './core.ts';
import type { RunWidth } from './epilogue.ts';
import type { Side } from './operand.ts';
import type { Source } from './source.ts';
import { block, lines, sum, unrolled } from './text.ts';

export interface Cut {
  /** Rows and columns of the result of one matrix. */
  readonly rows: number;
  readonly columns: number;
  readonly matrices: number;
  /** Length of the contraction, of a tile's steps, and of a part, a multiple of those. */
  readonly k: number;
  readonly depth: number;
  readonly chunk: number;
  readonly parts: number;
}

/**
 * What the sides look up when they copy a tile: two slots at the start of shared memory, of which the threads fill one while tiles are
 * copied by the other. A tile's slot is the last bit of its number, `next & 1`.
 */
export interface Table {
  /** Of all slots, and of what else lies there. */
  readonly bytes: number;
  /** Fills the slot of a tile; texts. */
  readonly fill: (tile: string) => string;
}

/** Names that a block's statements know. */
export const place = {
  matrix: 'matrix',
  part: 'part',
  firstRow: 'first_row',
  firstColumn: 'first_column',
} as const;

const rowsTogether = 8;

export interface Contraction {
  readonly comment: string;
  readonly cut: Cut;
  readonly core: Core;
  readonly stages: number;
  readonly left: Side;
  readonly right: Side;
  /** Statements before all others that both sides need. */
  readonly prepare?: string;
  readonly table?: Table;
  /** Functions, before the kernel. */
  readonly functions?: string;
  readonly width: RunWidth;
  /** The sums of a run at names within the block's tile. */
  readonly write: (row: string, column: string, values: readonly string[]) => string;
  /**
   * For a block that has sums which are NaN, instead: stores one result at names within its tile. Its threads go through all of them
   * then, in a loop of its own, which costs the usual way no registers.
   */
  readonly repair?: ((row: string, column: string) => string) | undefined;
}

const sharedBytesOf = (
  stages: number,
  stageBytes: number,
  core: Pick<Core, 'resultBytes'>,
  tableBytes = 0,
): number => Math.max(tableBytes + stages * stageBytes, core.resultBytes);

export function contractionStage(source: Source, contraction: Contraction): KernelStage {
  const { comment, cut, core, stages, left, right, prepare, functions, table, repair } = contraction;
  if (stages < 2) throw new InternalError('a ring of tiles has at least two places');
  const tiles = ceilDiv(cut.rows, core.rows) * ceilDiv(cut.columns, core.columns);
  const stageBytes = left.memory.bytes + right.memory.bytes;
  const body = lines(
    placeText(cut, core),
    prepare,
    left.setup(),
    right.setup(),
    core.declare(),
    loopText(contraction, stageBytes),
    repair && repairText(core, repair),
    core.results(contraction.width, contraction.write),
  );
  return source.stage({
    comment,
    ...(functions ? { functions } : {}),
    body,
    blocks: tiles * cut.matrices * cut.parts,
    threads: core.threads,
    resident: core.resident,
    sharedBytes: sharedBytesOf(stages, stageBytes, core, table?.bytes),
  });
}

function placeText({ rows, columns, matrices, parts }: Cut, core: Core): string {
  const [down, across] = [ceilDiv(rows, core.rows), ceilDiv(columns, core.columns)];
  const tiles = down * across;
  const group = rowsTogether * across;
  const rest = tiles === 1 ? 'blockIdx.x' : `blockIdx.x / ${tiles}u`;
  const inGroup =
    down > rowsTogether
      ? lines(
          `const int group = tile / ${group} * ${rowsTogether};`,
          `const int together = ${down} - group < ${rowsTogether} ? ${down} - group : ${rowsTogether};`,
          `const int tile_row = group + tile % ${group} % together;`,
          `const int tile_column = tile % ${group} / together;`,
        )
      : `const int tile_row = tile % ${down}, tile_column = tile / ${down};`;
  return lines(
    `const int tile = (int)(blockIdx.x % ${tiles}u);`,
    inGroup,
    `const int ${place.firstRow} = tile_row * ${core.rows}, ${place.firstColumn} = tile_column * ${core.columns};`,
    matrices > 1 && `const int ${place.matrix} = (int)(${rest} % ${matrices}u);`,
    parts > 1 && `const int ${place.part} = (int)(blockIdx.x / ${tiles * matrices}u);`,
  );
}

function loopText(contraction: Contraction, stageBytes: number): string {
  const { cut, core, stages, left, right, table } = contraction;
  const memory = (stage: string): string =>
    lines(
      `unsigned char* const left_tile = ${sum('shared_memory', `${table?.bytes ?? 0}`, `${stage} * ${stageBytes}`)};`,
      `unsigned char* const right_tile = left_tile + ${left.memory.bytes};`,
    );
  const fetch = lines(left.fetch('left_tile', 'k'), right.fetch('right_tile', 'k'));
  const put = lines(left.put('left_tile'), right.put('right_tile'));
  const ahead = stages - 1;
  return lines(
    boundsText(cut),
    unrolled(
      'stage',
      ahead,
      'const int next = first + stage;',
      table && lines(table.fill('next'), '__syncthreads();'),
      block('if (next < last)', `const int k = next * ${cut.depth};`, memory('stage'), fetch, put),
      'tutti_cp_async_commit();',
    ),
    table?.fill(`(first + ${ahead})`),
    'int stage = 0;',
    // A short loop that is written out costs registers.
    '#pragma unroll 1',
    block(
      'for (int step = first; step < last; step++)',
      `tutti_cp_async_wait_group<${stages - 2}>();`,
      '__syncthreads();',
      `const int next = step + ${ahead};`,
      `const int target = stage == 0 ? ${ahead} : stage - 1;`,
      block('if (next < last)', `const int k = next * ${cut.depth};`, memory('target'), fetch),
      'tutti_cp_async_commit();',
      table?.fill('(next + 1)'),
      block('', memory('stage'), core.multiply('left_tile', 'right_tile')),
      put && block('if (next < last)', memory('target'), put),
      `stage = stage == ${ahead} ? 0 : stage + 1;`,
    ),
  );
}

function repairText(core: Core, repair: NonNullable<Contraction['repair']>): string {
  return lines(
    'bool broken = false;',
    core.check(),
    block(
      'if (__syncthreads_or(broken))',
      block(
        `for (int element = thread; element < ${core.rows * core.columns}; element += ${core.threads})`,
        `const int row = element / ${core.columns}, column = element % ${core.columns};`,
        repair('row', 'column'),
      ),
      'return;',
    ),
  );
}

/** The tiles of the contraction that a block takes. */
function boundsText({ k, depth, chunk, parts }: Cut): string {
  const total = ceilDiv(k, depth);
  if (parts === 1) return `const int first = 0, last = ${total};`;
  const each = chunk / depth;
  return lines(
    `const int first = ${place.part} * ${each};`,
    `const int last = ${total} - first < ${each} ? ${total} : first + ${each};`,
  );
}
