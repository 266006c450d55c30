/** Programs of stages, and the stages that end those whose sums lie in the workspace. */
import { type Anchor, finishKernel, resultBuffer, resultElements } from '@tutti/core/backend';
import { compileKernel } from '../kernels/index.ts';
import {
  type CudaFeatures,
  type CudaProgram,
  type KernelStage,
  type Stage,
  type StageParameter,
  stageText,
} from '../program.ts';

/** @param variant What was chosen, for people. */
export function assemble(
  anchor: Anchor,
  stages: readonly Stage[],
  workspaceBytes: number,
  variant: string,
): CudaProgram {
  return {
    name: anchor.name,
    stages,
    scalarTypes: anchor.scalars,
    workspaceBytes,
    source: () => `// ${variant}\n${stages.map(stageText).join('\n')}`,
  };
}

/** Sums of nothing: every element is the epilogue of zero. */
export function zeroProgram(anchor: Anchor, features: CudaFeatures): CudaProgram {
  const elements = resultElements(anchor);
  return assemble(anchor, elements === 0 ? [] : finishStages(anchor, features, 0), 0, 'zero');
}

/** The most scratch memory that sums in parts may take. */
export const mostWorkspaceBytes: number = 2 ** 30;

/** The stages whose sums go straight to the result, or to `parts` arrays that are then added in order. */
export function withParts(
  anchor: Anchor,
  features: CudaFeatures,
  stages: readonly KernelStage[],
  parts: number,
  variant: string,
): CudaProgram {
  if (parts === 1) return assemble(anchor, stages, 0, variant);
  const bytes = parts * resultElements(anchor) * 4;
  return assemble(
    anchor,
    [...stages, ...finishStages(anchor, features, parts)],
    bytes,
    `${variant}, sums in ${parts} parts`,
  );
}

/** What adds sums that lie in parts at the start of the workspace, and hands them through the epilogue. */
export function finishStages(anchor: Anchor, features: CudaFeatures, parts: number): readonly KernelStage[] {
  // The kernel's buffers are the workspace and the anchor's from the result on.
  const result = resultBuffer(anchor);
  const renumbered = (parameter: StageParameter): StageParameter => {
    if (parameter.kind !== 'buffer') return parameter;
    if (parameter.index === 0) return { kind: 'workspace', byteOffset: 0 };
    return { kind: 'buffer', index: parameter.index - 1 + result };
  };
  return compileKernel(finishKernel(anchor, parts), features).stages.map((stage) => ({
    ...stage,
    parameters: stage.parameters.map(renumbered),
  }));
}
