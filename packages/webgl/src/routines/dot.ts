/**
 * Matrix products, in up to four stages:
 *
 *     operands whose texels the core cannot use are written anew       (dot-operands.ts)
 *     blocks of sums, each row of them into a texture of its own       (dot-core.ts)
 *     sums in the order of the result, through the epilogue            (finish.ts)
 */
import {
  ceilDiv,
  type DotAnchor,
  dtypeInfo,
  matrices,
  type Product,
  range,
  resultElements,
  simplifyDot,
} from '@tutti/core/backend';
import { Code } from '../kernels/code.ts';
import type { GlslProgram, ShaderFeatures, StageBuffer } from '../program.ts';
import { blocksOf, type CorePlan, CoreStage } from './dot-core.ts';
import { isDirect, lhsOf, relay, rhsOf, type Texels } from './dot-operands.ts';
import { assemble, finishStage, type SumsSource, sumAt, zeroProgram } from './finish.ts';
import { components, decoded, plus, shiftOf, times } from './text.ts';

/** Undefined for what a kernel like any other does as well. */
export function dotRoutine(anchor: DotAnchor, features: ShaderFeatures): GlslProgram | undefined {
  if (!isTaken(anchor)) return undefined;
  if (resultElements(anchor) === 0 || anchor.k === 0) return zeroProgram(anchor, features);
  const product = simplifyDot(anchor);
  return isWorthwhile(product, features) ? dotProgram(product, features) : undefined;
}

/** Operands hold the type of the sums, and strides are not negative. */
const isTaken = ({ type, lhs, rhs }: DotAnchor): boolean =>
  type !== 'bool' &&
  [lhs, rhs].every(
    ({ dtype, offset, batch, row, column }) =>
      dtypeInfo[dtype].scalar === type && [offset, ...batch, row, column].every((each) => each >= 0),
  );

/** Fewer products are over before a second stage has begun, and shorter sums make as many results as they take terms. */
const fewProducts = 2 ** 14;
const fewTerms = 8;
/** So many rows or columns pay for writing the other operand anew. */
const leastShared = 2;

function isWorthwhile(product: Product, features: ShaderFeatures): boolean {
  const { m, n, k, anchor } = product;
  if (k < fewTerms || matrices(product) * m * n * k < fewProducts) return false;
  const [lhs, rhs] = [lhsOf(product, features), rhsOf(product)];
  const isRead = (side: typeof lhs, uses: number): boolean =>
    uses >= leastShared || isDirect(side, anchor.buffers[side.slot]!);
  return isRead(lhs, n) && isRead(rhs, m);
}

/**
 * Undefined where the epilogue reads more than a stage can, and for a single sum.
 *
 * @param summed Above 1: the extent of the first dimension of the batch, whose products are added.
 */
export function dotProgram(
  product: Product,
  features: ShaderFeatures,
  summed: number = 1,
): GlslProgram | undefined {
  const { anchor } = product;
  const lhs = relay(lhsOf(product, features), product, 0, features);
  const rhs = relay(rhsOf(product), product, lhs.bytes > 0 ? 1 : 0, features);
  const relaid = [lhs, rhs].flatMap(({ bytes }) => (bytes > 0 ? [{ bytes }] : []));
  const plan = planCore(product, lhs.texels, features, summed);
  const sums = range(plan.rows).map((i): StageBuffer => ({ kind: 'scratch', index: relaid.length + i }));
  const core = new CoreStage(product, plan, lhs.texels, rhs.texels, features).emit(sums);
  const finish = finishStage(anchor, sumsOf(product, plan, sums, features), features);
  if (!finish) return undefined;
  const scratch = [...relaid, ...sums.map(() => ({ bytes: blocksOf(plan) * 16, rowShift: plan.shift }))];
  const variant = `product: blocks of ${plan.rows} by 4, k in ${plan.parts} parts`;
  return assemble(anchor, [...lhs.stages, ...rhs.stages, core, finish], scratch, variant);
}

/** Rows of a block: as many as there are outputs on software, which has all registers for one fragment; fewer on a GPU. */
const mostRows = { software: 8, hardware: 4 };
/** Fragments that keep a device busy. */
const fewFragments = { software: 256, hardware: 16384 };
/** Steps below which another part is not worth its sums. */
const leastChunk = { software: 64, hardware: 16 };
const mostParts = 32;
/** Steps of a fragment that are over in time for the next frame. */
const mostSteps = 8192;

function planCore(product: Product, lhs: Texels, features: ShaderFeatures, summed: number): CorePlan {
  const { m, n, k } = product;
  const device = features.software ? 'software' : 'hardware';
  const most = Math.min(mostRows[device], features.maxOutputs);
  const whole = lhs.along === 'across';
  const count = ceilDiv(m, most);
  const rows = whole ? (m <= 4 || most < 8 ? 4 : 8) : ceilDiv(m, count);
  const rowBlocks = ceilDiv(m, rows);
  const columnBlocks = ceilDiv(n, 4);
  const results = matrices(product) / summed;
  const blocks = results * rowBlocks * columnBlocks;
  const steps = Math.max(1, Math.floor(k / 4));
  const wanted = Math.min(
    Math.floor(fewFragments[device] / blocks),
    Math.floor((steps * summed) / leastChunk[device]),
    mostParts,
  );
  const least = ceilDiv(steps * summed, mostSteps);
  const cut = summed > 1 ? summed : steps;
  const chunk = ceilDiv(cut, Math.max(1, wanted, least));
  const parts = ceilDiv(cut, chunk);
  const shift = shiftOf(parts * blocks, columnBlocks);
  return { rows, rowBlocks, columnBlocks, matrices: results, summed, parts, chunk, shift };
}

/** Sums of a block lie at the same place in all textures, one for each of its rows; parts of k lie one after the other. */
function sumsOf(
  product: Product,
  plan: CorePlan,
  textures: readonly StageBuffer[],
  features: ShaderFeatures,
): SumsSource {
  const { n } = product;
  return {
    textures,
    code: (names) =>
      [
        sumAt(product.type, names, plan.parts, blocksOf(plan) / plan.parts, plan.shift),
        n % 4 === 0 ? quadsOfRows(product, plan, features) : quadsAcrossRows(product, plan, features),
      ].join('\n'),
    operations: (10 + 4 * plan.parts) * (n % 4 === 0 ? 1 : 4),
  };
}

/** The row in its block and the number of the block, as texts. */
function placeOf(
  code: Code,
  row: string,
  column: string,
  { m }: Product,
  plan: CorePlan,
  software: boolean,
): { readonly row: string; readonly block: string } {
  const { rows, rowBlocks, columnBlocks, matrices: count } = plan;
  let blockRow: string;
  let inBlock: string;
  if (count === 1 || m % rows === 0) {
    [blockRow, inBlock] = decoded(code, row, [count * rowBlocks, rows], software) as [string, string];
  } else {
    const [matrix, own] = decoded(code, row, [count, m], software) as [string, string];
    const [quotient, rest] = decoded(code, own, [rowBlocks, rows], software) as [string, string];
    [blockRow, inBlock] = [plus(times(matrix, rowBlocks), quotient), rest];
  }
  return { row: inBlock, block: plus(times(blockRow, columnBlocks), column) };
}

function quadsOfRows(product: Product, plan: CorePlan, { software }: ShaderFeatures): string {
  const code = new Code();
  const { m } = product;
  const [row, column] = decoded(code, 'quad', [plan.matrices * m, plan.columnBlocks], software) as [
    string,
    string,
  ];
  const place = placeOf(code, row, column, product, plan, software);
  return `uvec4 sums_of(int quad) {
${code.text()}
  return sum_at(${place.row}, ${place.block});
}`;
}

/** A quad may begin in one row and end in another. */
function quadsAcrossRows(product: Product, plan: CorePlan, { software }: ShaderFeatures): string {
  const code = new Code();
  const { m, n } = product;
  const [row, column] = decoded(code, 'element', [plan.matrices * m, n], software) as [string, string];
  const place = placeOf(code, row, `(${column} >> 2)`, product, plan, software);
  const last = plan.matrices * m * n - 1;
  const lanes = components.map((_, i) => `sum_of(min(first + ${i}, ${last}))`);
  return `uint sum_of(int element) {
${code.text()}
  uvec4 four = sum_at(${place.row}, ${place.block});
  return four[${column} & 3];
}
uvec4 sums_of(int quad) {
  int first = quad << 2;
  return uvec4(${lanes.join(', ')});
}`;
}
