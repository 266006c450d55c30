/**
 * The gradient of attention on CUDA cores, in float32: see attention-gradient-text.ts for the passes. A thread has 4 x 4 scores of a
 * tile and as many slopes; weights go through shared memory, as in attention itself. What is walked over lies in shared memory once:
 * scores read it along its lines, and what is added up across them.
 *
 * Shared memory: two tiles of rows, two of columns and the weights; 61 KiB for 64 x 32 of width 64, 110 KiB of width 128.
 */
import type { AttentionGradientAnchor } from '@tutti/core/backend';
import type { CudaProgram, KernelStage } from '../program.ts';
import { type GradientPass, type GradientTiles, gradientTiles } from './attention-gradient-plan.ts';
import {
  blocksOf,
  commentOf,
  gradientRun,
  knownCount,
  knownOf,
  knownText,
  lostText,
  maskedScore,
  type Pass,
  passBody,
  passOf,
  sumsResults,
  weightText,
} from './attention-gradient-text.ts';
import { type AttentionName, attentionShapes } from './attention-plan.ts';
import { inverseText, lowest } from './attention-text.ts';
import { assemble } from './finish.ts';
import { simtCore, simtThreads } from './simt.ts';
import { block, lines, unrolled } from './text.ts';
import { asSteps } from './tile-memory.ts';

export function attentionGradientSimtProgram(
  anchor: AttentionGradientAnchor,
  name: AttentionName,
): CudaProgram {
  const stages = (['sums', ...anchor.of] as const).map((pass) => stageOf(anchor, pass, name));
  return assemble(
    anchor,
    stages,
    4 * knownCount(anchor, false),
    `gradient of attention by tiles of ${name} on CUDA cores`,
  );
}

function stageOf(anchor: AttentionGradientAnchor, name: GradientPass, shape: AttentionName): KernelStage {
  const tiles = gradientTiles(anchor, name, attentionShapes[shape]);
  const { near, nearValue, far, farValue } = tiles.memory;
  const pass = passOf(anchor, name, tiles.scores.rows, tiles.scores.columns);
  const threads = simtThreads(tiles.scores);
  const scores = simtCore(tiles.scores, near, far, 'scores');
  const slopes = nearValue && simtCore(tiles.slopes, nearValue, farValue, 'slopes');
  const products = lines(
    'float scores[4][4] = {};',
    block('', scores.multiply('near_tile', 'far_tile')),
    slopes && 'float slopes[4][4] = {};',
    slopes && block('', slopes.multiply('near_value_tile', 'far_value_tile')),
  );
  const pieces =
    name === 'sums'
      ? {
          declare: lines(scores.declare(), sumsDeclared),
          weights: lines(products, sumsText(pass)),
          output: undefined,
          results: unrolled(
            'i',
            4,
            'const int query = first_query + y * 4 + i;',
            sumsResults(pass, 'x == 0', 'i'),
          ),
        }
      : gradientPieces(pass, tiles, products, threads);
  const body = passBody(pass, tiles.memory, threads, pieces);
  return pass.source.stage({
    comment: commentOf(pass),
    functions: name === 'sums' ? inverseText : '',
    body,
    blocks: blocksOf(pass),
    threads,
    sharedBytes: tiles.memory.bytes,
  });
}

const sumsDeclared = lines(
  'float top[4], total[4], mean[4];',
  unrolled('i', 4, `top[i] = ${lowest};`, 'total[i] = 0.0f;', 'mean[i] = 0.0f;'),
);

/** The largest score so far, and both sums over the keys so far. */
function sumsText(pass: Pass): string {
  const across = pass.step / 4;
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
      `scores[i][j] = ${maskedScore(pass, 'scores[i][j]')};`,
      'largest = fmaxf(largest, scores[i][j]);',
    ),
    unrolled('hop', hops, `largest = fmaxf(largest, ${shuffled('largest')});`),
    `const float base = largest == ${lowest} ? 0.0f : largest;`,
    'const float shrink = expf(top[i] - base);',
    'float added = 0.0f, weighed = 0.0f;',
    unrolled(
      'j',
      4,
      'const float power = expf(scores[i][j] - base);',
      'added += power;',
      'weighed += power * slopes[i][j];',
    ),
    unrolled('hop', hops, `added += ${shuffled('added')};`, `weighed += ${shuffled('weighed')};`),
    'total[i] = total[i] * shrink + added;',
    'mean[i] = mean[i] * shrink + weighed;',
    'top[i] = largest;',
  );
}

function gradientPieces(
  pass: Pass,
  { output: shape, memory }: GradientTiles,
  products: string,
  threads: number,
): { readonly declare: string; readonly weights: string; readonly output: string; readonly results: string } {
  const { rows, columns, weighed } = pass;
  const tile = weighed === 'far' ? memory.far : memory.farValue;
  const output = simtCore(shape, memory.weights!, asSteps(tile));
  const { width, write } = gradientRun(pass);
  const n = rows === 'query' ? 'i' : 'j';
  const weight = weightText(pass, 'score', 'slopes[i][j]', (part) => `${part}[${n}]`, false);
  const weights = unrolled(
    'i',
    4,
    `const int ${rows} = first_${rows} + y * 4 + i;`,
    'tutti_pack<float, 4> weights;',
    unrolled(
      'j',
      4,
      `const int ${columns} = first_${columns} + x * 4 + j;`,
      `const float score = ${maskedScore(pass, 'scores[i][j]')};`,
      `weights.at[j] = ${weight};`,
    ),
    `tutti_store<4>((float*)(weight_tile + ${memory.weights!.at('y * 4 + i', 'x')}), weights);`,
  );
  return {
    declare: lines(
      lostText(pass, threads),
      output.declare(),
      rows === 'query' && knownTexts(pass, 'first_query + y * 4'),
    ),
    weights: lines(products, rows === 'key' && knownTexts(pass, 'first_query + x * 4'), weights),
    output: output.multiply('weight_tile', weighed === 'far' ? 'far_tile' : 'far_value_tile'),
    results: output.results(width, write),
  };
}

/** What is known of four queries of the thread. */
function knownTexts(pass: Pass, first: string): string {
  const parts = knownOf(pass, false);
  return lines(
    `float ${parts.map((part) => `${part}[4]`).join(', ')};`,
    unrolled(
      'n',
      4,
      `const int query = ${first} + n;`,
      `const bool exists = query < ${pass.anchor.queries};`,
      ...parts.map((part) => `${part}[n] = exists ? ${knownText(pass, part, 'query')} : 0.0f;`),
    ),
  );
}
