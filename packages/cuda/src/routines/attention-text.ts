/**
 * What attention on CUDA cores and on tensor cores have in common.
 *
 * A block has a tile of queries of one batch entry and walks over the keys. For each query it holds the largest score so far, the sum of
 * the powers exp(score - largest), and the values weighed by them. When a larger score turns up, both sums are scaled down. Where no
 * score is above -Inf the largest counts as 0, so that nothing comes of -Inf - -Inf; a score of Inf or NaN makes NaN of everything, as
 * in any softmax.
 */
import {
  type AttentionAnchor,
  type AttentionOperands,
  type DotOperand,
  product,
  resultBuffer,
} from '@tutti/core/backend';
import type { WriteRun } from './core.ts';
import { Results, type RunWidth, runWidth } from './epilogue.ts';
import { type OperandPlace, operandSide, type Side, type View } from './operand.ts';
import type { Source } from './source.ts';
import { all, block, lines, sum, times, when } from './text.ts';
import type { TileMemory } from './tile-memory.ts';

/** -Inf as text. */
export const lowest = '__uint_as_float(0xff800000u)';

/** Where an operand begins in the batch entry that `entryText` names. */
const baseOf = ({ offset, batch }: DotOperand): string =>
  sum(`${offset}`, ...batch.map((stride, d) => times(`(Index)batch${d}`, stride)));

/** An element of an operand in the entry, as a value. */
export const elementText = (
  source: Source,
  slot: number,
  operand: DotOperand,
  row: string,
  column: string,
): string =>
  source.load(
    slot,
    sum(baseOf(operand), times(`(Index)${row}`, operand.row), times(`(Index)${column}`, operand.column)),
  );

/** The keys (or queries) of an operand as lines: `outerStride` goes from one to the next. */
export const rowsView = (
  slot: number,
  { dtype, offset, batch, row, column }: DotOperand,
  count: number,
): View => ({
  ...{ slot, dtype, offset, batch },
  outerStride: row,
  outerExtent: count,
  kStride: column,
});

/** Values: keys are what sums run along. */
export const valuesView = ({ dtype, offset, batch, row, column }: DotOperand, width: number): View => ({
  ...{ slot: 2, dtype, offset, batch },
  outerStride: column,
  outerExtent: width,
  kStride: row,
});

/** An operand's place in the entry, for its copies. */
export function placeOf(
  operand: DotOperand,
  name: string,
  first: string,
  k: number,
  threads: number,
): OperandPlace {
  return { name, first, base: baseOf(operand), k, threads };
}

/** The operands of a block, on their way to its tiles. */
export function attentionSides(
  source: Source,
  { query, key, value, queries, keys, width, valueWidth }: AttentionAnchor,
  tiles: { readonly query: TileMemory; readonly key: TileMemory; readonly value: TileMemory },
  threads: number,
): { readonly query: Side; readonly key: Side; readonly value: Side } {
  const places = {
    query: placeOf(query, 'query_rows', 'first_query', width, threads),
    key: placeOf(key, 'key_rows', 'first_key', width, threads),
    value: placeOf(value, 'values', '0', keys, threads),
  };
  return {
    query: operandSide(source, rowsView(0, query, queries), tiles.query, places.query),
    key: operandSide(source, rowsView(1, key, keys), tiles.key, places.key),
    value: operandSide(source, valuesView(value, valueWidth), tiles.value, places.value),
  };
}

/** Statements that name the batch indices of `entry`. */
export function batchText(batch: readonly number[]): string {
  const statements: string[] = [];
  let rest = 'entry';
  for (let d = batch.length - 1; d >= 0; d--) {
    statements.push(`const int batch${d} = ${d === 0 ? rest : `${rest} % ${batch[d]}`};`);
    if (d > 0) {
      statements.push(`const int rest${d} = ${rest} / ${batch[d]};`);
      rest = `rest${d}`;
    }
  }
  return lines(...statements);
}

/** Statements that name the block's `entry`, its batch indices, `first_query`, and `last_key`, where its keys end. */
export function entryText({ batch, queries, keys, causal }: AttentionOperands, rows: number): string {
  const tiles = Math.ceil(queries / rows);
  return lines(
    `const int entry = (int)(blockIdx.x / ${tiles}u);`,
    // With causal masks, later queries have more keys: they begin first.
    `const int first_query = (${tiles - 1} - (int)(blockIdx.x % ${tiles}u)) * ${rows};`,
    causal
      ? `const int last_key = first_query + ${rows} < ${keys} ? first_query + ${rows} : ${keys};`
      : `const int last_key = ${keys};`,
    batchText(batch),
  );
}

export const blocksOf = ({ batch, queries }: AttentionAnchor, rows: number): number =>
  product(batch) * Math.ceil(queries / rows);

/** The score of `query` and `key`, both names, from the product of both; -Inf where it is masked or there is no such key. */
export function scoreText(source: Source, anchor: AttentionOperands, dot: string, tile: number): string {
  const { causal, mask, keys, queries, scale } = anchor;
  const scaled = `${dot} * ${floatText(scale)}`;
  const exists = keys % tile === 0 ? undefined : `key < ${keys}`;
  const seen: (string | undefined)[] = [exists, causal ? 'key <= query' : undefined];
  let score = scaled;
  if (mask) {
    const value = elementText(source, resultBuffer(source.anchor) - 1, mask, 'query', 'key');
    const inside = all(exists, `query < ${queries}`)!;
    if (mask.dtype === 'bool') seen.push(`${inside} && ${value}`);
    else score = `${scaled} + (${inside} ? ${value} : 0.0f)`;
  }
  const condition = all(...seen);
  return condition ? `${condition} ? ${score} : ${lowest}` : score;
}

export const floatText = (value: number): string => {
  const text = `${Math.fround(value)}`;
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
};

/** The pieces that a kernel of attention is made of. */
export interface AttentionPieces {
  readonly query: Side;
  readonly key: Side;
  readonly value: Side;
  /** Names of threads, sums, and what is known of each query. */
  readonly declare: string;
  /** From `query_tile` and `key_tile` to scores. */
  readonly scores: string;
  readonly softmax: string;
  /** Adds the values of `value_tile`, weighed. */
  readonly output: string;
  readonly results: string;
}

/** The walk over the keys: one tile of keys and one of values are on their way while the other is worked on. */
export function attentionBody(
  anchor: AttentionAnchor,
  rows: number,
  step: number,
  pieces: AttentionPieces,
): string {
  const { query, key, value } = pieces;
  return lines(
    entryText(anchor, rows),
    'unsigned char* const query_tile = shared_memory;',
    `unsigned char* const key_tile = query_tile + ${query.memory.bytes};`,
    `unsigned char* const value_tile = key_tile + ${key.memory.bytes};`,
    `unsigned char* const weight_tile = value_tile + ${value.memory.bytes};`,
    copyText(query, 'query_tile', '0'),
    block('', 'const int first_key = 0;', copyText(key, 'key_tile', '0')),
    'tutti_cp_async_commit();',
    pieces.declare,
    '#pragma unroll 1',
    block(
      `for (int first_key = 0; first_key < last_key; first_key += ${step})`,
      copyText(value, 'value_tile', 'first_key'),
      'tutti_cp_async_commit();',
      'tutti_cp_async_wait_group<1>();',
      '__syncthreads();',
      pieces.scores,
      '__syncthreads();',
      block(
        `if (first_key + ${step} < last_key)`,
        `const int next_key = first_key + ${step};`,
        block('', 'const int first_key = next_key;', copyText(key, 'key_tile', '0')),
      ),
      'tutti_cp_async_commit();',
      pieces.softmax,
      'tutti_cp_async_wait_group<1>();',
      '__syncthreads();',
      block('', pieces.output),
      '__syncthreads();',
    ),
    pieces.results,
  );
}

export const copyText = (side: Side, tile: string, k: string): string =>
  block('', side.setup(), `const int k = ${k};`, side.fetch(tile, 'k'), side.put(tile));

/** Stores a run of results that `scaled` gives the texts of, from those of the sums. */
export function resultRun(
  source: Source,
  { queries, valueWidth }: AttentionAnchor,
  scaled: (value: string) => string,
  width: RunWidth = runWidth(valueWidth),
): WriteRun {
  const out = new Results(source, { extent: valueWidth, width });
  return (row, column, values) =>
    lines(
      `const int query = first_query + ${row};`,
      when(
        `query < ${queries} && ${column} < ${valueWidth}`,
        `const Index result_row = (Index)entry * ${queries} + query;`,
        ...values.map((value, n) => `const float value${n} = ${scaled(value)};`),
        out.write(
          'result_row',
          column,
          values.map((_, n) => `value${n}`),
        ),
      ),
    );
}

/** A query that saw no key has a total of 0, and gives NaN. */
export const inverseText: string = block(
  '__device__ __forceinline__ float inverse_of(float total)',
  'return total == 0.0f ? __uint_as_float(0x7fc00000u) : 1.0f / total;',
);
