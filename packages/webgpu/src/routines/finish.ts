/**
 * The last stage of routines whose sums lie in scratch memory: adds parts in order, applies the epilogue, stores. It is a kernel like
 * those of the compiler, with the workspace for its first buffer.
 */
import { type Anchor, finishKernel, resultElements } from '@tutti/core/backend';
import { compileKernel } from '../kernels/index.ts';
import type { ShaderFeatures, StageBinding, WgslProgram, WgslStage } from '../program.ts';

/** A program of these stages, for this anchor. */
export function assemble(
  anchor: Anchor,
  stages: readonly WgslStage[],
  workspaceBytes: number,
  variant: string,
): WgslProgram {
  return {
    name: anchor.name,
    stages,
    scalarTypes: anchor.scalars,
    workspaceBytes,
    source: () => `// ${variant}\n${stages.map(({ code }) => code).join('\n')}`,
  };
}

/** Sums of nothing: every element is the epilogue of zero. */
export function zeroProgram(anchor: Anchor, features: ShaderFeatures): WgslProgram {
  const elements = resultElements(anchor);
  return assemble(anchor, elements === 0 ? [] : finishStages(anchor, features, 0), 0, 'zero');
}

/**
 * The result from `parts` arrays of sums that follow each other in the workspace, from its start on: each is as long as the result,
 * in its order, and of the anchor's type.
 */
export function finishStages(anchor: Anchor, features: ShaderFeatures, parts: number): readonly WgslStage[] {
  const kernel = finishKernel(anchor, parts);
  return compileKernel(kernel, features).stages.map((stage) => ({
    ...stage,
    bindings: stage.bindings.map(
      (binding): StageBinding =>
        binding.source.kind === 'buffer' ? { ...binding, source: sourceOf(binding.source.index) } : binding,
    ),
  }));
}

/** The kernel's buffers are the workspace and the anchor's from the result on. */
const sourceOf = (index: number): StageBinding['source'] =>
  index === 0 ? { kind: 'workspace' } : { kind: 'buffer', index: index + 1 };
