/**
 * What the gradient of attention on CUDA cores and on tensor cores have in common: passes over queries and keys that form the weights
 * again, tile by tile, so that only what is known of each query is kept between them.
 *
 *     sums     for each query the largest score, one over the sum of the powers, and the mean m of the slopes p = g v^T of its weights
 *     query    a block has queries, and walks over keys: adds w (p - m) times keys
 *     key      a block has keys, and walks over queries: adds w (p - m) times queries
 *     value    a block has keys, and walks over queries: adds w times gradients of the result
 *
 * Every sum has its thread and its order: nothing is added in memory.
 */
import {
  type AttentionGradientAnchor,
  type DotOperand,
  gradientElements,
  product,
  resultBuffer,
} from '@tutti/core/backend';
import { type GradientPass, type PassPlan, partsAt, passPlans } from './attention-gradient-plan.ts';
import { batchText, copyText, floatText, lowest, placeOf, rowsView, scoreText } from './attention-text.ts';
import type { WriteRun } from './core.ts';
import { Results, type RunWidth, runWidth } from './epilogue.ts';
import { operandSide } from './operand.ts';
import { Source } from './source.ts';
import { block, lines, when } from './text.ts';
import type { TileMemory } from './tile-memory.ts';

/** Where the gradient of the result lies: as it is given, or in parts of 16 bits. */
export interface GradientPart {
  readonly operand: DotOperand;
  /** In place of the command's buffer. */
  readonly pointer?: string;
}

/** One pass of one kernel: its tile, and what it has. */
export interface Pass extends PassPlan {
  readonly name: GradientPass;
  readonly anchor: AttentionGradientAnchor;
  readonly source: Source;
  /** Rows of a block, and columns of a step. */
  readonly tileRows: number;
  readonly step: number;
  /** What is walked over. */
  readonly columns: 'query' | 'key';
}

export function passOf(
  anchor: AttentionGradientAnchor,
  name: GradientPass,
  tileRows: number,
  step: number,
): Pass {
  const plan = passPlans[name];
  return {
    ...{ ...plan, name, anchor, tileRows, step },
    source: new Source(anchor, resultBuffer(anchor)),
    columns: plan.rows === 'query' ? 'key' : 'query',
  };
}

/** Says what a block does. */
export function commentOf({ name, tileRows, step, columns }: Pass): string {
  const what = name === 'sums' ? 'What is known of queries' : `The gradient with respect to the ${name}`;
  return `${what}: a block has ${tileRows} rows, and takes ${step} ${columns === 'key' ? 'keys' : 'queries'} at a time.`;
}

export const countOf = ({ queries, keys }: AttentionGradientAnchor, of: 'query' | 'key'): number =>
  of === 'query' ? queries : keys;

export const blocksOf = ({ anchor, rows, tileRows }: Pass): number =>
  product(anchor.batch) * Math.ceil(countOf(anchor, rows) / tileRows);

/** What is known of a query, in the workspace. `unit` is what the parts of the gradient of its result are multiplied by. */
export type Known = 'base' | 'inverse' | 'mean' | 'unit';

const known: readonly Known[] = ['base', 'inverse', 'mean', 'unit'];

/** Elements of the workspace that are known of queries. */
export const knownCount = ({ batch, queries }: AttentionGradientAnchor, units: boolean): number =>
  (units ? 4 : 3) * product(batch) * queries;

/** What is known of the query that `row` numbers in its batch entry. */
export function knownText(
  { anchor, source }: Pick<Pass, 'anchor' | 'source'>,
  part: Known,
  row: string,
): string {
  const { batch, queries } = anchor;
  const first = known.indexOf(part) * product(batch) * queries;
  return `${source.workspace('float')}[${first}ll + (Index)entry * ${queries} + ${row}]`;
}

/** Statements that name the block's `entry` and batch indices, its first row, and where its columns begin and end. */
function placeText({ anchor, rows, columns, tileRows }: Pass): string {
  const { batch, causal } = anchor;
  const tiles = Math.ceil(countOf(anchor, rows) / tileRows);
  const end = countOf(anchor, columns);
  const isQuery = rows === 'query';
  // With causal masks, later queries have more keys, and earlier keys more queries: they begin first.
  const tile = `(int)(blockIdx.x % ${tiles}u)`;
  return lines(
    `const int entry = (int)(blockIdx.x / ${tiles}u);`,
    `const int first_${rows} = ${isQuery ? `(${tiles - 1} - ${tile})` : tile} * ${tileRows};`,
    `const int begin = ${causal && !isQuery ? 'first_key' : '0'};`,
    causal && isQuery
      ? `const int end = first_query + ${tileRows} < ${end} ? first_query + ${tileRows} : ${end};`
      : `const int end = ${end};`,
    batchText(batch),
  );
}

/** Tiles of operands; those of the gradient of the result are as many as it has parts. */
export interface PassMemory {
  readonly near: TileMemory;
  readonly nearValue: TileMemory | undefined;
  readonly far: TileMemory;
  readonly farValue: TileMemory;
}

/** Copies of operands to their tiles. */
interface Copies {
  readonly near: string;
  readonly far: string;
  readonly farValue: string;
}

function copiesOf(
  { anchor, source, rows, columns, slopes }: Pass,
  memory: PassMemory,
  threads: number,
  parts: readonly GradientPart[],
): Copies {
  const { query, key, value, width, valueWidth } = anchor;
  type Copied = GradientPart & { readonly slot: number; readonly k: number };
  const copy = (
    of: 'query' | 'key',
    { slot, operand, pointer, k }: Copied,
    tile: TileMemory,
    to: string,
  ): string => {
    const view = { ...rowsView(slot, operand, countOf(anchor, of)), ...(pointer ? { pointer } : {}) };
    const place = placeOf(operand, `rows_${slot}`, `first_${of}`, k, threads);
    return copyText(operandSide(source, view, tile, place), to, '0');
  };
  const scored = { query: { slot: 0, operand: query, k: width }, key: { slot: 1, operand: key, k: width } };
  const valued = {
    query: parts.map((part) => ({ ...part, slot: 3, k: valueWidth })),
    key: [{ slot: 2, operand: value, k: valueWidth }],
  };
  const values = (of: 'query' | 'key', tile: TileMemory, to: string): string =>
    lines(...valued[of].map((part, i) => copy(of, part, tile, i === 0 ? to : `(${to} + ${i * tile.bytes})`)));
  return {
    near: lines(
      copy(rows, scored[rows], memory.near, 'near_tile'),
      slopes && values(rows, memory.nearValue!, 'near_value_tile'),
    ),
    far: copy(columns, scored[columns], memory.far, 'far_tile'),
    farValue: values(columns, memory.farValue, 'far_value_tile'),
  };
}

/** Stores what is known of `query`, from its largest score and both sums at `i`, where the condition holds. */
export function sumsResults(pass: Pass, condition: string, i: string): string {
  const put = (part: Known, value: string): string => `${knownText(pass, part, 'query')} = ${value};`;
  return block(
    `if (${condition} && query < ${pass.anchor.queries})`,
    `const float inverse = inverse_of(total[${i}]);`,
    put('base', `top[${i}] == ${lowest} ? 0.0f : top[${i}]`),
    put('inverse', 'inverse'),
    put('mean', `mean[${i}] * inverse`),
  );
}

/** The pieces that a kernel is made of. Tiles have names: near_tile, near_value_tile, far_tile, far_value_tile, weight_tile. */
export interface PassPieces {
  /** Names of threads, sums, and what is known of each row. */
  readonly declare: string;
  /** From tiles to scores and slopes, and from these to weights. */
  readonly weights: string;
  /** Adds what is weighed. */
  readonly output: string | undefined;
  readonly results: string;
}

/** Names the tiles, which lie behind each other. */
function tilesText(
  { near, nearValue, far, farValue }: PassMemory,
  parts: { readonly near: number; readonly far: number },
): string {
  const name = (tile: string, before: string, bytes: number): string =>
    `unsigned char* const ${tile} = ${before} + ${bytes};`;
  return lines(
    'unsigned char* const near_tile = shared_memory;',
    name('near_value_tile', 'near_tile', near.bytes),
    name('far_tile', 'near_value_tile', (nearValue?.bytes ?? 0) * parts.near),
    name('far_value_tile', 'far_tile', far.bytes),
    name('weight_tile', 'far_value_tile', farValue.bytes * parts.far),
  );
}

/** The walk over the columns: what is not weighed is on its way while weights are applied. */
export function passBody(
  pass: Pass,
  memory: PassMemory,
  threads: number,
  pieces: PassPieces,
  parts: readonly GradientPart[] = [{ operand: pass.anchor.gradient }],
): string {
  const { columns, step, weighed } = pass;
  const { near, far, farValue } = copiesOf(pass, memory, threads, parts);
  const first = `first_${columns}`;
  const next = (...copies: readonly (string | false)[]): string =>
    lines(
      block(
        `if (${first} + ${step} < end)`,
        `const int next = ${first} + ${step};`,
        block('', `const int ${first} = next;`, ...copies),
      ),
      'tutti_cp_async_commit();',
    );
  return lines(
    placeText(pass),
    tilesText(memory, partsAt(pass, parts.length)),
    near,
    block('if (begin < end)', `const int ${first} = begin;`, far, farValue),
    'tutti_cp_async_commit();',
    pieces.declare,
    '#pragma unroll 1',
    block(
      `for (int ${first} = begin; ${first} < end; ${first} += ${step})`,
      'tutti_cp_async_wait_group<0>();',
      '__syncthreads();',
      pieces.weights,
      '__syncthreads();',
      next(weighed !== 'far' && far, weighed !== 'farValue' && farValue),
      pieces.output && block('', pieces.output),
      pieces.output && '__syncthreads();',
      weighed && next(weighed === 'far' ? far : farValue),
    ),
    pieces.results,
  );
}

/**
 * The weight of `query` and `key` in a sum, from their score, and from their slope before the unit; 0 where there is no such column.
 *
 * @param at What is known of the query, by name.
 */
export function weightText(
  pass: Pass,
  score: string,
  slope: string,
  at: (part: Known) => string,
  units: boolean,
): string {
  const { anchor, columns, step, slopes } = pass;
  const weight = `expf(${score} - ${at('base')}) * ${at('inverse')}`;
  const inUnits = (text: string): string => (units ? `${text} * ${at('unit')}` : text);
  const text = slopes ? `${weight} * (${inUnits(slope)} - ${at('mean')})` : inUnits(weight);
  const count = countOf(anchor, columns);
  return count % step === 0 ? text : `${columns} < ${count} ? ${text} : 0.0f`;
}

/** What a pass over keys and queries has to know of queries. */
export const knownOf = ({ slopes }: PassPlan, units: boolean): readonly Known[] =>
  known.filter((part) => (part !== 'mean' || slopes) && (part !== 'unit' || units));

export const maskedScore = ({ source, anchor, rows, tileRows, step }: Pass, dot: string): string =>
  scoreText(source, anchor, dot, rows === 'key' ? tileRows : step);

/**
 * Names `lost`: whether a query that a block of keys does not come to, because it is before them, has weights that are NaN. They are
 * of all keys.
 */
export function lostText(pass: Pass, threads: number): string {
  if (!pass.anchor.causal || pass.rows === 'query') return '';
  const inverse = knownText(pass, 'inverse', 'query');
  const before = `begin < ${pass.anchor.queries} ? begin : ${pass.anchor.queries}`;
  return lines(
    'bool any_lost = false;',
    `const int before = ${before};`,
    block(
      `for (int query = thread; query < before; query += ${threads})`,
      `const float inverse = ${inverse};`,
      'any_lost |= inverse != inverse;',
    ),
    'const bool lost = __syncthreads_or(any_lost);',
  );
}

/** Stores a run of a gradient, whose texts of sums it is given. */
export function gradientRun(pass: Pass): { readonly width: RunWidth; readonly write: WriteRun } {
  const { anchor, source, rows, name } = pass;
  const of = name as (typeof anchor.of)[number];
  const extent = name === 'value' ? anchor.valueWidth : anchor.width;
  const before = anchor.of
    .slice(0, anchor.of.indexOf(of))
    .reduce((n, other) => n + gradientElements(anchor, other), 0);
  const widest = runWidth(extent);
  const width = before % widest === 0 ? widest : 1;
  const out = new Results(source, { extent, width, before });
  const count = countOf(anchor, rows);
  const isLost = anchor.causal && rows === 'key';
  const finished = (value: string): string => {
    const scaled = name === 'value' ? value : `${value} * ${floatText(anchor.scale)}`;
    return isLost ? `lost ? __uint_as_float(0x7fc00000u) : ${scaled}` : scaled;
  };
  const write: WriteRun = (row, column, values) =>
    lines(
      `const int own = first_${rows} + ${row};`,
      when(
        `own < ${count} && ${column} < ${extent}`,
        `const Index result_row = (Index)entry * ${count} + own;`,
        ...values.map((value, n) => `const float value${n} = ${finished(value)};`),
        out.write(
          'result_row',
          column,
          values.map((_, n) => `value${n}`),
        ),
      ),
    );
  return { width, write };
}
