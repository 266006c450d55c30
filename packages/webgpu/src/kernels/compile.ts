/** A kernel as a WGSL program: a stage for each of its segments. */
import { IndexAnalysis, type Kernel, type Segment, segmentsOf } from '@tutti/core/backend';
import type { ShaderFeatures, WgslProgram, WgslStage } from '../program.ts';
import { flatGroup, flatStage } from './flat.ts';
import { groupOfPoints } from './forms.ts';
import { rowStage } from './rows.ts';

export function compileKernel(kernel: Kernel, features: ShaderFeatures): WgslProgram {
  const stages = segmentsOf(kernel).map((segment) => stageOf(segment, kernel, features));
  return {
    name: kernel.name,
    stages,
    scalarTypes: kernel.scalars,
    workspaceBytes: 0,
    source: () => stages.map(({ code }) => code).join('\n'),
  };
}

function stageOf(segment: Segment, kernel: Kernel, features: ShaderFeatures): WgslStage {
  const analysis = new IndexAnalysis();
  const { space, phases } = segment;
  if (phases.length > 1 || phases[0]!.loops.length > 0 || phases[0]!.kind === 'reduce') {
    return rowStage(segment, kernel, features, analysis);
  }
  const group = flatGroup(segment, kernel, analysis);
  // Words of consecutive points that are no row of a dimension are made point by point.
  if (!group && groupOfPoints(space, phases, kernel, analysis) > 1) {
    return rowStage(segment, kernel, features, analysis);
  }
  return flatStage(segment, group, kernel, features, analysis);
}
