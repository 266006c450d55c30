/**
 * Convolutions, in four stages:
 *
 *     pixels and weights are written anew                             (conv-operands.ts)
 *     blocks of sums, each channel of them into a texture of its own  (conv-core.ts)
 *     sums in the order of the result, through the epilogue           (finish.ts)
 *
 * Forward and both gradients are one anchor: an input gradient has a dilated input, which is taken apart into lattices; a kernel gradient
 * has few results and long sums, which are made in parts.
 */
import { type ConvAnchor, dtypeInfo, product, range, resultElements } from '@tutti/core/backend';
import { Code } from '../kernels/code.ts';
import type { GlslProgram, ShaderFeatures, StageBuffer } from '../program.ts';
import { blockPoints, ConvCore } from './conv-core.ts';
import { writePixels, writeWeights } from './conv-operands.ts';
import { type ConvPlan, isEmpty, planConv } from './conv-plan.ts';
import { productOf } from './conv-product.ts';
import { dotProgram } from './dot.ts';
import { assemble, finishStage, type SumsSource, sumAt, zeroProgram } from './finish.ts';
import { components, decoded, divided, plus, times } from './text.ts';

/** Fewer products are over before a second stage has begun. */
const fewProducts = 2 ** 16;
const fewTerms = 4;

/** Undefined for what a kernel like any other does as well. */
export function convRoutine(anchor: ConvAnchor, features: ShaderFeatures): GlslProgram | undefined {
  const operands = [anchor.lhs, anchor.rhs];
  if (anchor.type !== 'f32' || !operands.every(({ dtype }) => dtypeInfo[dtype].scalar === 'f32'))
    return undefined;
  const elements = resultElements(anchor);
  const terms = anchor.inChannels * product(anchor.kernelSize);
  if (elements === 0 || terms === 0 || product(anchor.inSize) === 0) return zeroProgram(anchor, features);
  if (elements * terms < fewProducts || terms < fewTerms) return undefined;
  const found = productOf(anchor);
  const program = found && dotProgram(found.product, features, found.summed);
  return program ?? convProgram(anchor, features);
}

/** Undefined where it is no convolution of three axes at most, or the epilogue reads more than a stage can. */
export function convProgram(anchor: ConvAnchor, features: ShaderFeatures): GlslProgram | undefined {
  const plan = planConv(anchor, features);
  if (!plan) return undefined;
  if (plan.lattices.every(isEmpty)) return zeroProgram(anchor, features);
  const pixels = writePixels(plan, 0, features);
  const weights = writeWeights(plan, 1, features);
  const sums = range(plan.rows).map((i): StageBuffer => ({ kind: 'scratch', index: 2 + i }));
  const finish = finishStage(anchor, sumsOf(plan, sums, features), features);
  if (!finish) return undefined;
  const operands = [0, 1].map((index): StageBuffer => ({ kind: 'scratch', index }));
  const core = new ConvCore(plan, pixels, weights, features).emit(operands, sums);
  const scratch = [
    pixels.scratch,
    weights.scratch,
    ...sums.map(() => ({ bytes: plan.blocks * 16, rowShift: plan.shift })),
  ];
  const variant = `convolution: blocks of ${plan.rows} channels by 4, ${plan.lattices.length} lattices, sums in ${product(plan.parts)} parts`;
  return assemble(anchor, [...pixels.stages, ...weights.stages, core, finish], scratch, variant);
}

function sumsOf(plan: ConvPlan, textures: readonly StageBuffer[], { software }: ShaderFeatures): SumsSource {
  const parts = product(plan.parts);
  const { outSize, spread, lattices } = plan;
  const isWhole = outSize[2] % 4 === 0 && lattices.length === 1;
  return {
    textures,
    code: (names) =>
      [
        sumAt('f32', names, parts, plan.blocks / parts, plan.shift),
        isWhole ? quadsOfRows(plan, software) : quadsAcrossRows(plan, software),
      ].join('\n'),
    operations: (10 + 4 * parts) * (isWhole ? 1 : 4 * product(spread)),
  };
}

function quadsOfRows(plan: ConvPlan, software: boolean): string {
  const code = new Code();
  const { anchor, rows, channelBlocks } = plan;
  const points = blockPoints(plan);
  const extents = [anchor.batch * anchor.groups, anchor.outChannels, points];
  const [image, channel, point] = decoded(code, 'quad', extents, software) as [string, string, string];
  const { quotient, remainder } = divided(code, channel, rows, anchor.outChannels, software);
  const block = plus(times(plus(times(image, channelBlocks), quotient), points), point);
  return `uvec4 sums_of(int quad) {
${code.text()}
  return sum_at(${remainder}, ${block});
}`;
}

/** A quad may begin in one row and end in another, and neighbours may be of different lattices. */
function quadsAcrossRows(plan: ConvPlan, software: boolean): string {
  const code = new Code();
  const { anchor, rows, channelBlocks, outSize, spread, points, columnBlocks } = plan;
  const images = anchor.batch * anchor.groups;
  const extents = [images, anchor.outChannels, ...outSize];
  const [image, channel, ...place] = decoded(code, 'element', extents, software) as [
    string,
    string,
    ...string[],
  ];
  const block = divided(code, channel, rows, anchor.outChannels, software);
  const along = place.map((at, d) => divided(code, at, spread[d]!, outSize[d]!, software));
  const lattice = along.map(({ remainder }, d) => (spread[d] === 1 ? '0' : remainder));
  const own = along.map(({ quotient }, d) => (spread[d] === 1 ? place[d]! : quotient));
  const number = plus(times(plus(times(lattice[0]!, spread[1]), lattice[1]!), spread[2]), lattice[2]!);
  const group = plus(times(plus(times(number, images), image), channelBlocks), block.quotient);
  const [z, y, x] = own as [string, string, string];
  const row = plus(times(plus(times(group, points[0]), z), points[1]), y);
  const last = resultElements(anchor) - 1;
  const lanes = components.map((_, i) => `sum_of(min(first + ${i}, ${last}))`);
  return `uint sum_of(int element) {
${code.text()}
  uvec4 four = sum_at(${block.remainder}, ${plus(times(row, columnBlocks), `(${x} >> 2)`)});
  return four[${x} & 3];
}
uvec4 sums_of(int quad) {
  int first = quad << 2;
  return uvec4(${lanes.join(', ')});
}`;
}
