/**
 * The gradient of attention on tensor cores, of float16 and bfloat16: see attention-gradient-text.ts for the passes. Rows of scores and
 * slopes are spread over four lanes; what is made of them stays in registers, and is cut into parts as the weights of attention are.
 * Slopes have no bound as weights have: those of float16 are multiplied by a power of two for each row, which follows its largest.
 *
 * Registers: 32 scores and 32 slopes (16 for 32 columns), and half a register for each row of the warp and column of the gradient.
 */
import { type AttentionGradientAnchor, resultBuffer } from '@tutti/core/backend';
import type { CudaFeatures, CudaProgram, KernelStage } from '../program.ts';
import {
  exponentText,
  finiteLargest,
  type GradientParts,
  gradientParts,
  growText,
  leastReach,
  unitOf,
} from './attention-gradient-parts.ts';
import {
  type GradientMmaName,
  type GradientPass,
  gradientMmaShapes,
  gradientMmaTiles,
  partsAt,
} from './attention-gradient-plan.ts';
import {
  blocksOf,
  commentOf,
  gradientRun,
  type Known,
  knownOf,
  knownText,
  lostText,
  maskedScore,
  type Pass,
  type PassMemory,
  type PassPieces,
  passBody,
  passOf,
  sumsResults,
  weightText,
} from './attention-gradient-text.ts';
import { scaleText, weighText } from './attention-mma.ts';
import { inverseText, lowest } from './attention-text.ts';
import type { Core } from './core.ts';
import { assemble } from './finish.ts';
import { mmaCore, mmaThreads } from './mma.ts';
import { block, lines, unrolled } from './text.ts';
import { asSteps } from './tile-memory.ts';

type Format = 'f16' | 'bf16';

export function attentionGradientMmaProgram(
  anchor: AttentionGradientAnchor,
  format: Format,
  name: GradientMmaName,
  features: CudaFeatures,
): CudaProgram {
  const parts = gradientParts(anchor, format, resultBuffer(anchor));
  const passes = (['sums', ...anchor.of] as const).map((pass) =>
    stageOf(anchor, pass, { format, name, parts, computeCapability: features.computeCapability }),
  );
  const variant = `gradient of attention by tiles of ${name} on tensor cores, ${format}`;
  return assemble(anchor, [...parts.stages, ...passes], parts.bytes, variant);
}

interface Form {
  readonly format: Format;
  readonly name: GradientMmaName;
  readonly parts: GradientParts;
  readonly computeCapability: number;
}

function stageOf(anchor: AttentionGradientAnchor, name: GradientPass, form: Form): KernelStage {
  const { format, parts, computeCapability } = form;
  const tiles = gradientMmaTiles(anchor, name, format, parts.count, gradientMmaShapes[form.name]);
  const { near, nearValue, far, farValue } = tiles.memory;
  const pass = passOf(anchor, name, tiles.scores.rows, tiles.scores.columns);
  const threads = mmaThreads(tiles.scores);
  const scores = mmaCore(tiles.scores, near, far, computeCapability, 'scores');
  const slopes = nearValue && mmaCore(tiles.scores, nearValue, farValue, computeCapability, 'slopes');
  const products = productsText(pass, parts.count, scores, slopes, tiles.memory);
  const pieces: PassPieces =
    name === 'sums'
      ? {
          declare: lines(scores.declare(), sumsDeclared(pass, parts.units)),
          weights: lines(products, sumsText(pass, parts.units)),
          output: undefined,
          results: unrolled('r', 2, rowText(pass), sumsResults(pass, 'lane % 4 == 0', 'r')),
        }
      : gradientPieces(pass, form, products, threads);
  return pass.source.stage({
    comment: commentOf(pass),
    functions: name === 'sums' ? inverseText : '',
    body: passBody(pass, tiles.memory, threads, pieces, parts.of(pass.source)),
    blocks: blocksOf(pass),
    threads,
    // Without a bound ptxas keeps to 128 or 168 registers, and spills a few.
    ...(name === 'key' || form.name === '64x32' ? { resident: 2 } : {}),
    sharedBytes: tiles.memory.bytes,
  });
}

/** Scores of a tile, and the slopes, whose products are added for all parts of the gradient of the result. */
function productsText(
  pass: Pass,
  parts: number,
  scores: Core,
  slopes: Core | undefined,
  { nearValue, farValue }: PassMemory,
): string {
  const count = pass.step / 8;
  const at = partsAt(pass, parts);
  const part = (tile: string, bytes: number, of: number): string =>
    of === 1 ? tile : `${tile} + part * ${bytes}`;
  return lines(
    `float scores[1][${count}][4] = {};`,
    block('', scores.multiply('near_tile', 'far_tile')),
    slopes && `float slopes[1][${count}][4] = {};`,
    slopes && '#pragma unroll 1',
    slopes &&
      block(
        `for (int part = 0; part < ${parts}; part++)`,
        slopes.multiply(
          part('near_value_tile', nearValue!.bytes, at.near),
          part('far_value_tile', farValue.bytes, at.far),
        ),
      ),
  );
}

/** Names of row `r` of the lane's two, and of its column `c` in fragment `j`. */
const rowText = ({ rows }: Pass): string =>
  `const int ${rows} = first_${rows} + warp_row + lane / 4 + r * 8;`;
const columnText = ({ columns }: Pass): string =>
  `const int ${columns} = first_${columns} + j * 8 + lane % 4 * 2 + c;`;

const overColumns = ({ step }: Pass, ...body: readonly string[]): string =>
  unrolled('j', step / 8, unrolled('c', 2, ...body));

const score = 'scores[0][j][r * 2 + c]';
const slope = 'slopes[0][j][r * 2 + c]';

/** Over the four lanes of a row. */
const shuffled = (value: string): string => `__shfl_xor_sync(0xffffffffu, ${value}, 2 >> hop)`;

/** Sets what is known of `query`. */
const knownTexts = (pass: Pass, parts: readonly Known[], name: (part: Known) => string): string =>
  lines(
    `const bool exists = query < ${pass.anchor.queries};`,
    ...parts.map((part) => `${name(part)} = exists ? ${knownText(pass, part, 'query')} : 0.0f;`),
  );

const sumsDeclared = (pass: Pass, units: boolean): string =>
  lines(
    `float top[2], total[2], mean[2]${units ? ', unit[2]' : ''};`,
    unrolled(
      'r',
      2,
      `top[r] = ${lowest};`,
      'total[r] = 0.0f;',
      'mean[r] = 0.0f;',
      units &&
        lines(
          rowText(pass),
          knownTexts(pass, ['unit'], (part) => `${part}[r]`),
        ),
    ),
  );

/** The largest score so far, and both sums over the keys so far. */
const sumsText = (pass: Pass, units: boolean): string =>
  unrolled(
    'r',
    2,
    rowText(pass),
    'float largest = top[r];',
    overColumns(
      pass,
      columnText(pass),
      `${score} = ${maskedScore(pass, score)};`,
      `largest = fmaxf(largest, ${score});`,
    ),
    unrolled('hop', 2, `largest = fmaxf(largest, ${shuffled('largest')});`),
    `const float base = largest == ${lowest} ? 0.0f : largest;`,
    'const float shrink = expf(top[r] - base);',
    'float added = 0.0f, weighed = 0.0f;',
    overColumns(
      pass,
      `const float power = expf(${score} - base);`,
      'added += power;',
      `weighed += power * ${slope};`,
    ),
    unrolled('hop', 2, `added += ${shuffled('added')};`, `weighed += ${shuffled('weighed')};`),
    'total[r] = total[r] * shrink + added;',
    `mean[r] = mean[r] * shrink + weighed${units ? ' * unit[r]' : ''};`,
    'top[r] = largest;',
  );

function gradientPieces(
  pass: Pass,
  { format, name, parts, computeCapability }: Form,
  products: string,
  threads: number,
): PassPieces {
  const tiles = gradientMmaTiles(pass.anchor, pass.name, format, parts.count, gradientMmaShapes[name]);
  const { near, far, farValue } = tiles.memory;
  const tile =
    pass.weighed === 'far'
      ? { name: 'far_tile', memory: asSteps(far), parts: 1 }
      : { name: 'far_value_tile', memory: asSteps(farValue), parts: parts.count };
  const output = mmaCore(tiles.output, near, tile.memory, computeCapability);
  const columns = tiles.output.columns / 8;
  const { width, write } = gradientRun(pass);
  const known = knownOf(pass, parts.units);
  const isScaled = format === 'f16';
  return {
    declare: lines(
      lostText(pass, threads),
      output.declare(),
      pass.rows === 'query' && knownOfRows(pass, known),
      isScaled && `unsigned reach[2] = {${leastReach}, ${leastReach}};`,
    ),
    weights: lines(products, weightsText(pass, known), isScaled && reachText(pass, columns)),
    output: weighText(format, computeCapability, tile, pass.step, columns),
    results: lines(isScaled && unitsText(columns), output.results(width, write)),
  };
}

const knownOfRows = (pass: Pass, known: readonly Known[]): string =>
  lines(
    `float ${known.map((part) => `${part}[2]`).join(', ')};`,
    unrolled(
      'r',
      2,
      rowText(pass),
      knownTexts(pass, known, (part) => `${part}[r]`),
    ),
  );

/** From scores and slopes to what is weighed, in place of the scores. */
function weightsText(pass: Pass, known: readonly Known[]): string {
  const isQuery = pass.rows === 'query';
  const at = (part: Known): string => (isQuery ? `${part}[r]` : part);
  const weight = weightText(pass, 'score', slope, at, known.includes('unit'));
  const weigh = lines(`const float score = ${maskedScore(pass, score)};`, `${score} = ${weight};`);
  if (isQuery) return unrolled('r', 2, rowText(pass), overColumns(pass, columnText(pass), weigh));
  const ofColumn = knownTexts(pass, known, (part) => `const float ${part}`);
  return overColumns(pass, columnText(pass), ofColumn, unrolled('r', 2, rowText(pass), weigh));
}

/** Brings the weights of a row near to 2^15, and its sums with them when a larger one turns up. */
const reachText = (pass: Pass, columns: number): string =>
  unrolled(
    'r',
    2,
    'float largest = 0.0f;',
    overColumns(pass, finiteLargest(score)),
    unrolled('hop', 2, `largest = fmaxf(largest, ${shuffled('largest')});`),
    exponentText('exponent', 'largest'),
    block(
      'if (exponent > reach[r])',
      'const unsigned apart = exponent - reach[r];',
      'const float shrink = apart < 0x3f800000u ? __uint_as_float(0x3f800000u - apart) : 0.0f;',
      scaleText(columns, 'shrink'),
      'reach[r] = exponent;',
    ),
    `const float grow = ${growText('reach[r]')};`,
    overColumns(pass, `${score} *= grow;`),
  );

const unitsText = (columns: number): string =>
  unrolled('r', 2, `const float unit_of_row = ${unitOf('reach[r]')};`, scaleText(columns, 'unit_of_row'));
