/**
 * The last stage of a routine: puts sums in the order of the result, applies the epilogue, stores. It is a kernel like those of the
 * compiler; only that where those fetch four elements of a buffer, it calls a function that gathers four sums.
 */
import { type Anchor, finishKernel, resultElements, type ScalarType } from '@tutti/core/backend';
import { compileKernel, compileStage } from '../kernels/index.ts';
import type { GlslProgram, GlslStage, Scratch, ShaderFeatures, StageBuffer } from '../program.ts';

/** Sums in scratch memory. */
export interface SumsSource {
  /** The textures that they lie in. */
  readonly textures: readonly StageBuffer[];
  /** GLSL of `uvec4 sums_of(int quad)`: the bits of results number 4 * quad to 4 * quad + 3. `names` are those of the textures. */
  readonly code: (names: readonly string[]) => string;
  /** About how many operations that takes. */
  readonly operations: number;
}

/** A program of these stages, for this anchor. */
export function assemble(
  anchor: Anchor,
  stages: readonly GlslStage[],
  scratch: readonly Scratch[],
  variant: string,
): GlslProgram {
  return {
    name: anchor.name,
    stages,
    scalarTypes: anchor.scalars,
    scratch,
    source: () => `// ${variant}\n${stages.map(({ code }) => code).join('\n')}`,
  };
}

/** Sums of nothing: every element is the epilogue of zero. */
export function zeroProgram(anchor: Anchor, features: ShaderFeatures): GlslProgram {
  if (resultElements(anchor) === 0) return assemble(anchor, [], [], 'empty');
  const { stages } = compileKernel(finishKernel(anchor, 0), features);
  return assemble(anchor, stages.map(ofAnchor), [], 'zero');
}

const anchorBuffer = (buffer: StageBuffer): StageBuffer =>
  buffer.kind === 'buffer' ? { kind: 'buffer', index: buffer.index + 1 } : buffer;

/** The kernel's buffers are the sums and the anchor's from the result on. */
const ofAnchor = (stage: GlslStage): GlslStage => ({
  ...stage,
  inputs: stage.inputs.map(anchorBuffer),
  outputs: stage.outputs.map(anchorBuffer),
});

/** The stage that makes the result; undefined where it would read more textures than a stage may, and for a single sum. */
export function finishStage(
  anchor: Anchor,
  { textures, code, operations }: SumsSource,
  features: ShaderFeatures,
): GlslStage | undefined {
  if (resultElements(anchor) === 1) return undefined;
  const sums = { buffer: 0, textures, fetch: 'sums_of', code };
  const stage = ofAnchor(compileStage(finishKernel(anchor, 1), features, sums));
  if (stage.inputs.length > features.maxInputs) return undefined;
  return { ...stage, operations: stage.operations + operations };
}

/**
 * GLSL of `uvec4 sum_at(int row, int block)`: four sums, which lie at the same place in all textures, one for each row of a block. Parts
 * of sums lie `distance` texels apart.
 */
export function sumAt(
  type: ScalarType,
  names: readonly string[],
  parts: number,
  distance: number,
  rowShift: number,
): string {
  const fetched = names.map((name, i) => {
    const condition = i < names.length - 1 ? `if (row == ${i}) ` : '';
    return `  ${condition}return texelFetch(${name}, at, 0);`;
  });
  const at = `ivec2 at = ivec2(block & ${2 ** rowShift - 1}, block >> ${rowShift});`;
  const texel = (name: string): string =>
    [`uvec4 ${name}(int row, int block) {`, `  ${at}`, ...fetched, '}', ''].join('\n');
  if (parts === 1) return texel('sum_at');
  const isFloat = type === 'f32';
  const value = (block: string): string => {
    const bits = `part_at(row, ${block})`;
    return isFloat ? `uintBitsToFloat(${bits})` : bits;
  };
  return `${texel('part_at')}
uvec4 sum_at(int row, int block) {
  ${isFloat ? 'vec4' : 'uvec4'} sum = ${value('block')};
  for (int part = 1; part < ${parts}; part++) sum += ${value(`block + part * ${distance}`)};
  return ${isFloat ? 'floatBitsToUint(sum)' : 'sum'};
}
`;
}
