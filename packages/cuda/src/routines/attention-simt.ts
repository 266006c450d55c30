/**
 * Attention on CUDA cores, in float32: see attention-text.ts for the steps.
 *
 *     scores (queries, keys) = query tile x key tile          both along the width, 4 x 4 scores for each thread
 *     output (queries, columns) += weights x value tile       weights go through shared memory
 *
 * The lanes that share queries are neighbours in a warp, so that maxima and sums of a row meet by shuffles. Values of a tile are on
 * their way (`cp.async`) while scores are formed, and the next keys while values are weighed. Shared memory holds the queries of the
 * block, a tile of keys, of values and of weights: 67 KiB for 64 x 64 of width 64, 74 KiB for 64 x 32 of width 128.
 *
 * Registers: 16 scores, and for each thread 4 rows of a sixteenth (or an eighth) of the columns.
 */
import type { AttentionAnchor } from '@tutti/core/backend';
import type { CudaProgram } from '../program.ts';
import { type AttentionName, attentionShapes, attentionTiles } from './attention-plan.ts';
import {
  attentionBody,
  attentionSides,
  blocksOf,
  inverseText,
  lowest,
  resultRun,
  scoreText,
} from './attention-text.ts';
import { runWidth } from './epilogue.ts';
import { assemble } from './finish.ts';
import { simtCore, simtThreads } from './simt.ts';
import { Source } from './source.ts';
import { block, lines, unrolled } from './text.ts';

export function attentionSimtProgram(anchor: AttentionAnchor, name: AttentionName): CudaProgram {
  const { valueWidth } = anchor;
  const source = new Source(anchor, anchor.mask ? 4 : 3);
  const tiles = attentionTiles(anchor, attentionShapes[name]);
  const threads = simtThreads(tiles.scores);
  const scores = simtCore(tiles.scores, tiles.query, tiles.key, 'scores');
  const output = simtCore(tiles.output, tiles.weights, tiles.value);
  const { rows, columns: step } = tiles.scores;
  const body = attentionBody(anchor, rows, step, {
    ...attentionSides(source, anchor, tiles, threads),
    declare: lines(
      output.declare(),
      'float top[4], total[4];',
      unrolled('i', 4, `top[i] = ${lowest};`, 'total[i] = 0.0f;'),
    ),
    scores: lines('float scores[4][4] = {};', block('', scores.multiply('query_tile', 'key_tile'))),
    softmax: softmaxText(source, anchor, step, tiles.output.threadColumns, tiles.weights),
    output: output.multiply('weight_tile', 'value_tile'),
    results: lines(
      unrolled('i', 4, 'total[i] = inverse_of(total[i]);'),
      output.results(
        runWidth(valueWidth),
        resultRun(source, anchor, (text) => `${text} * total[i]`),
      ),
    ),
  });
  const comment = `Attention: a block has ${rows} queries, and takes ${step} keys at a time.`;
  const stage = source.stage({
    comment,
    functions: inverseText,
    body,
    blocks: blocksOf(anchor, rows),
    threads,
    sharedBytes: tiles.bytes,
  });
  return assemble(anchor, [stage], 0, `attention by tiles of ${name} on CUDA cores`);
}

/** Scores to weights, in shared memory. */
function softmaxText(
  source: Source,
  anchor: AttentionAnchor,
  step: number,
  columns: number,
  weights: { readonly at: (line: string, piece: string) => string },
): string {
  const across = step / 4;
  const hops = Math.log2(across);
  const shuffled = (value: string): string => `__shfl_xor_sync(0xffffffffu, ${value}, ${across / 2} >> hop)`;
  return unrolled(
    'i',
    4,
    'const int query = first_query + y * 4 + i;',
    'float largest = top[i];',
    unrolled(
      'j',
      4,
      'const int key = first_key + x * 4 + j;',
      `scores[i][j] = ${scoreText(source, anchor, 'scores[i][j]', step)};`,
      'largest = fmaxf(largest, scores[i][j]);',
    ),
    unrolled('hop', hops, `largest = fmaxf(largest, ${shuffled('largest')});`),
    `const float base = largest == ${lowest} ? 0.0f : largest;`,
    'const float shrink = expf(top[i] - base);',
    'tutti_pack<float, 4> weights;',
    unrolled('j', 4, 'weights.at[j] = expf(scores[i][j] - base);'),
    'float added = (weights.at[0] + weights.at[1]) + (weights.at[2] + weights.at[3]);',
    unrolled('hop', hops, `added += ${shuffled('added')};`),
    'total[i] = total[i] * shrink + added;',
    'top[i] = largest;',
    unrolled('j', columns, 'sums[i][j] *= shrink;'),
    `tutti_store<4>((float*)(weight_tile + ${weights.at('y * 4 + i', 'x')}), weights);`,
  );
}
