/** A kernel as a CUDA program: a stage for each of its segments, or two where a reduction has few results. */
import { IndexAnalysis, type Kernel, type Segment, segmentsOf } from '@tutti/core/backend';
import type { CudaFeatures, KernelProgram, KernelStage } from '../program.ts';
import { flatStage } from './flat.ts';
import { type LaunchLimits, launchLimits } from './grid.ts';
import type { KernelParameters } from './kernel-text.ts';
import { rowForm } from './row-form.ts';
import { rowStage } from './rows.ts';
import { splitReduction } from './split-reduction.ts';
import { splitUpdates } from './split-updates.ts';

/** @param limits Of launches; less than those of CUDA in tests. */
export function compileKernel(
  kernel: Kernel,
  features: CudaFeatures,
  limits: LaunchLimits = launchLimits,
): KernelProgram {
  const compiler = new KernelCompiler(kernel, features, limits);
  const stages = segmentsOf(kernel).flatMap((segment) => compiler.stages(segment));
  return {
    name: kernel.name,
    stages,
    scalarTypes: kernel.scalars,
    workspaceBytes: compiler.workspaceBytes,
    source: () => stages.map(({ code }) => code).join('\n'),
  };
}

class KernelCompiler {
  readonly #kernel: Kernel;
  readonly #features: CudaFeatures;
  readonly #limits: LaunchLimits;
  workspaceBytes = 0;

  constructor(kernel: Kernel, features: CudaFeatures, limits: LaunchLimits) {
    this.#kernel = kernel;
    this.#features = features;
    this.#limits = limits;
  }

  stages(segment: Segment): readonly KernelStage[] {
    const { phases } = segment;
    const [phase] = phases;
    const updates = splitUpdates(segment, this.#features);
    if (updates) return [this.#row(updates, this.#kernel)];
    const analysis = new IndexAnalysis();
    if (phases.length === 1 && phase!.kind === 'map' && phase!.loops.length === 0) {
      const memory = { stored: storedBy(segment) };
      const { name } = this.#kernel;
      return [flatStage(segment, name, this.#kernel, memory, this.#features, this.#limits, analysis)];
    }
    const { plan, widths } = rowForm(segment, this.#kernel, this.#features, analysis);
    const split = splitReduction(segment, this.#kernel, plan, widths.get(phase!)!, this.#features);
    if (!split) return [this.#row(segment, this.#kernel)];
    this.workspaceBytes = Math.max(this.workspaceBytes, split.workspaceBytes);
    return [split.first, split.second].map((each) => this.#row(each, split.parameters, split.workspace));
  }

  #row(
    segment: Segment,
    parameters: KernelParameters,
    workspace: ReadonlyMap<number, number> = new Map(),
  ): KernelStage {
    const analysis = new IndexAnalysis();
    const form = rowForm(segment, parameters, this.#features, analysis);
    const memory = { stored: storedBy(segment), workspace };
    return rowStage(segment, this.#kernel.name, parameters, memory, form, this.#limits, analysis);
  }
}

const storedBy = ({ phases }: Segment): ReadonlySet<number> =>
  new Set(phases.flatMap((phase) => (phase.kind === 'map' ? phase.stores.map(({ buffer }) => buffer) : [])));
