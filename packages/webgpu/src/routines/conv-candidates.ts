/** Which programs for a convolution are worth timing, and for which convolutions the answer is the same. */
import {
  type ConvAnchor,
  type ConvOperand,
  type ConvPart,
  convParts,
  pointsOf,
  product,
  tapsOf,
} from '@tutti/core/backend';
import type { Candidates, ShaderFeatures, WgslProgram } from '../program.ts';
import { type ConvMethod, convRoutine, methodOf } from './conv.ts';
import { type GemmShape, planGemm } from './conv-gemm-plan.ts';

/** Convolutions of fewer products are over before a timer notices. */
const fewProducts = 2 ** 27;

const shapes: readonly GemmShape[] = ['64x64', '128x64', '128x128', '32x128', '32x32'];

/** Undefined for software, whose behaviour is known, and for what takes no time. */
export function convCandidates(anchor: ConvAnchor, features: ShaderFeatures): Candidates | undefined {
  if (features.software) return undefined;
  const parts = convParts(anchor);
  if (!parts || productsOf(anchor, parts) < fewProducts) return undefined;
  const usual = methodOf(anchor, parts, features);
  if (usual === 'tile') return undefined;
  const first = parts.find((part) => tapsOf(part) > 0)!;
  const chosen = planGemm(anchor, first, parts.length === 1, features)?.shape;
  const methods: readonly ConvMethod[] = [...(chosen ? [chosen] : []), ...shapes, 'tile'];
  const variants = new Map<string, WgslProgram>();
  for (const method of new Set(methods)) {
    const program = convRoutine(anchor, features, method);
    if (program) variants.set(method, program);
  }
  return { key: classOf(anchor, parts), buffers: anchor.buffers, variants };
}

function productsOf(anchor: ConvAnchor, parts: readonly ConvPart[]): number {
  const { batch, groups, inChannels, outChannels } = anchor;
  const terms = parts.reduce((sum, part) => sum + pointsOf(part) * tapsOf(part), 0);
  return batch * groups * inChannels * outChannels * terms;
}

/** Sizes within a factor of two are of one class; strides and dtypes are as they are. */
function classOf(anchor: ConvAnchor, parts: readonly ConvPart[]): string {
  const rough = (size: number): number => 2 ** Math.round(Math.log2(size));
  const { batch, groups, inChannels, outChannels, outSize } = anchor;
  const pixels = rough(batch * product(outSize));
  const depth = rough(inChannels * Math.max(...parts.map(tapsOf)));
  const sizes = `${rough(groups)} of ${pixels} pixels, ${rough(outChannels)} channels, ${depth} terms`;
  const side = ({ dtype, outer, inner }: ConvOperand): string =>
    `${dtype} by ${inner < outer ? 'rows' : 'columns'}`;
  const steps = `stride ${anchor.stride.join('x')}, dilation ${anchor.inputDilation.join('x')}`;
  return `conv f32, ${sizes}, ${steps}, ${side(anchor.lhs)}, ${side(anchor.rhs)}`;
}
