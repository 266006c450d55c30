/**
 * Attention on tensor cores, of float16 and bfloat16: see attention-text.ts for the steps.
 *
 *     scores (queries, keys) = query tile x key tile           a warp has 16 queries and all keys of the tile
 *     output (queries, columns) += weights x value tile        weights stay in registers: sums are laid out as fragments of lhs are
 *
 * Weights are float32 by contract, and a 16-bit float holds only a part of one. So each is cut into two numbers of float16, or three of
 * bfloat16, whose products are added: 22 or 24 bits of it count.
 *
 * A row of scores is spread over four lanes. Values of a tile are on their way (`cp.async`) while scores are formed, and the next keys
 * while values are weighed. Shared memory holds the queries of the block and a tile of keys and of values: 48 KiB for 64 x 64 of width
 * 128. Registers: 32 scores, and half a register for each query of the warp and column of the values: 64 for a width of 128.
 */
import { type AttentionAnchor, range } from '@tutti/core/backend';
import { narrowed, widened } from '../kernels/memory.ts';
import type { CudaFeatures, CudaProgram } from '../program.ts';
import { type AttentionMmaName, attentionMmaShapes, attentionMmaTiles } from './attention-plan.ts';
import {
  attentionBody,
  attentionSides,
  blocksOf,
  elementText,
  inverseText,
  lowest,
  resultRun,
  scoreText,
} from './attention-text.ts';
import { runWidth } from './epilogue.ts';
import { assemble } from './finish.ts';
import { fragmentPlace, fragmentText, mmaCore, mmaThreads, productText } from './mma.ts';
import { Source } from './source.ts';
import { block, lines, unrolled } from './text.ts';
import type { TileMemory } from './tile-memory.ts';

export function attentionMmaProgram(
  anchor: AttentionAnchor,
  format: 'f16' | 'bf16',
  name: AttentionMmaName,
  { computeCapability }: CudaFeatures,
): CudaProgram {
  const { valueWidth } = anchor;
  const source = new Source(anchor, anchor.mask ? 4 : 3);
  const tiles = attentionMmaTiles(anchor, format, attentionMmaShapes[name]);
  const threads = mmaThreads(tiles.scores);
  const scores = mmaCore(tiles.scores, tiles.query, tiles.key, computeCapability, 'scores');
  const output = mmaCore(tiles.output, tiles.query, tiles.value, computeCapability);
  const { rows, columns: step } = tiles.scores;
  const columns = tiles.output.columns / 8;
  const body = attentionBody(anchor, rows, step, {
    ...attentionSides(source, anchor, tiles, threads),
    declare: lines(
      output.declare(),
      'float top[2], total[2];',
      unrolled('r', 2, `top[r] = ${lowest};`, 'total[r] = 0.0f;'),
    ),
    scores: lines(
      `float scores[1][${step / 8}][4] = {};`,
      block('', scores.multiply('query_tile', 'key_tile')),
    ),
    softmax: softmaxText(source, anchor, step, columns),
    output: weighText(
      format,
      computeCapability,
      { name: 'value_tile', memory: tiles.value, parts: 1 },
      step,
      columns,
    ),
    results: lines(
      repairText(source, anchor, { rows, step, columns, threads }),
      unrolled('r', 2, 'const float inverse = inverse_of(total[r]);', scaleText(columns, 'inverse')),
      output.results(
        runWidth(valueWidth),
        resultRun(source, anchor, (text) => text),
      ),
    ),
  });
  const comment = `Attention: a block has ${rows} queries, and takes ${step} keys at a time, on tensor cores.`;
  const stage = source.stage({
    comment,
    functions: inverseText,
    body,
    blocks: blocksOf(anchor, rows),
    threads,
    sharedBytes: tiles.bytes,
  });
  return assemble(anchor, [stage], 0, `attention by tiles of ${name} on tensor cores, ${format}`);
}

/** Scales the sums of row `r` of the lane's two. */
export const scaleText = (columns: number, factor: string): string =>
  unrolled('j', columns, unrolled('c', 2, `sums[0][j][r * 2 + c] *= ${factor};`));

/** Scores to weights, in their registers. */
function softmaxText(source: Source, anchor: AttentionAnchor, step: number, columns: number): string {
  const shuffled = (value: string): string => `__shfl_xor_sync(0xffffffffu, ${value}, 2 >> hop)`;
  const score = 'scores[0][j][r * 2 + c]';
  const each = (...body: readonly string[]): string => unrolled('j', step / 8, unrolled('c', 2, ...body));
  return unrolled(
    'r',
    2,
    'const int query = first_query + warp_row + lane / 4 + r * 8;',
    'float largest = top[r];',
    each(
      'const int key = first_key + j * 8 + lane % 4 * 2 + c;',
      `${score} = ${scoreText(source, anchor, score, step)};`,
      `largest = fmaxf(largest, ${score});`,
    ),
    unrolled('hop', 2, `largest = fmaxf(largest, ${shuffled('largest')});`),
    `const float base = largest == ${lowest} ? 0.0f : largest;`,
    'const float shrink = expf(top[r] - base);',
    'float added = 0.0f;',
    each(`${score} = expf(${score} - base);`, `added += ${score};`),
    unrolled('hop', 2, `added += ${shuffled('added')};`),
    'total[r] = total[r] * shrink + added;',
    'top[r] = largest;',
    scaleText(columns, 'shrink'),
  );
}

/** Numbers of 16 bits that hold one of float32, added. */
export const partsOf = (format: 'f16' | 'bf16'): 2 | 3 => (format === 'f16' ? 2 : 3);

/** Tiles that are weighed: one of 16-bit values, or parts of float32 after each other. */
export interface WeighedTile {
  readonly name: string;
  readonly memory: TileMemory;
  readonly parts: number;
}

/** Adds the values of a tile, weighed by `scores`. */
export function weighText(
  format: 'f16' | 'bf16',
  computeCapability: number,
  { name, memory, parts: tileParts }: WeighedTile,
  step: number,
  columns: number,
): string {
  const dtype = format === 'f16' ? 'float16' : 'bfloat16';
  const parts = partsOf(format);
  const place = (part: number): string =>
    fragmentPlace('b', memory, part === 0 ? name : `${name} + ${part * memory.bytes}`);
  /** What is less than a part of the last part of a weight is left out. */
  const weigh = (part: number): string =>
    unrolled(
      'j',
      columns / 2,
      'unsigned b[4];',
      fragmentText('b', memory, 'j', 'b'),
      unrolled('part', parts - part, product(0), product(1)),
    );
  const product = (n: number): string =>
    productText(format, computeCapability, [`sums[0][j * 2 + ${n}]`, 'weights[part]', `b + ${n * 2}`]);
  return lines(
    tileParts === 1 && place(0),
    unrolled(
      's',
      step / 16,
      `unsigned weights[${parts}][4];`,
      unrolled(
        'e',
        4,
        'float low = scores[0][s * 2 + e / 2][e % 2 * 2], high = scores[0][s * 2 + e / 2][e % 2 * 2 + 1];',
        unrolled(
          'part',
          parts,
          `const unsigned short first = ${narrowed(dtype, 'low')}, second = ${narrowed(dtype, 'high')};`,
          'weights[part][e] = (unsigned)first | ((unsigned)second << 16);',
          `low -= ${widened(dtype, 'first')};`,
          `high -= ${widened(dtype, 'second')};`,
        ),
      ),
      ...(tileParts === 1 ? [weigh(0)] : range(tileParts).map((part) => block('', place(part), weigh(part)))),
    ),
  );
}

/**
 * A value of Inf makes NaN with a part of its weight that is 0. A block with sums that are NaN for no other reason forms all of its
 * results again, as the contract has it, one after the other.
 */
function repairText(
  source: Source,
  anchor: AttentionAnchor,
  tile: {
    readonly rows: number;
    readonly step: number;
    readonly columns: number;
    readonly threads: number;
  },
): string {
  const { queries, width, valueWidth } = anchor;
  const { rows, step, columns, threads } = tile;
  const left = elementText(source, 0, anchor.query, 'query', 'e');
  const right = elementText(source, 1, anchor.key, 'key', 'e');
  const overKeys = (...body: readonly string[]): string =>
    block(
      'for (int key = 0; key < last_key; key++)',
      'float dot = 0.0f;',
      block(`for (int e = 0; e < ${width}; e++)`, `dot = fmaf(${left}, ${right}, dot);`),
      `const float score = ${scoreText(source, anchor, 'dot', step)};`,
      ...body,
    );
  const write = resultRun(source, anchor, (text) => text, 1);
  const nan = 'broken |= sums[0][j][e] != sums[0][j][e] && total[e / 2] == total[e / 2];';
  return lines(
    'bool broken = false;',
    unrolled('j', columns, unrolled('e', 4, nan)),
    block(
      'if (__syncthreads_or(broken))',
      block(
        `for (int element = thread; element < ${rows * valueWidth}; element += ${threads})`,
        `const int row = element / ${valueWidth}, column = element % ${valueWidth};`,
        'const int query = first_query + row;',
        `if (query >= ${queries}) break;`,
        `float largest = ${lowest}, sum = 0.0f, weights = 0.0f;`,
        overKeys('largest = fmaxf(largest, score);'),
        `const float base = largest == ${lowest} ? 0.0f : largest;`,
        overKeys(
          'const float weight = expf(score - base);',
          'weights += weight;',
          `sum = fmaf(weight, ${elementText(source, 2, anchor.value, 'key', 'column')}, sum);`,
        ),
        'const float result = sum * inverse_of(weights);',
        block('', write('row', 'column', ['result'])),
      ),
      'return;',
    ),
  );
}
