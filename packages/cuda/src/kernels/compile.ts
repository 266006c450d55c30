/** A kernel as a CUDA program: a stage for each of its segments, or two where a reduction has few results. */
import { IndexAnalysis, type JointKernel, type Kernel, type Segment, segmentsOf } from '@tutti/core/backend';
import type { CudaFeatures, KernelProgram, KernelStage } from '../program.ts';
import { flatStages } from './flat.ts';
import { type LaunchLimits, launchLimits } from './grid.ts';
import { JointText } from './joint-text.ts';
import { type KernelMemory, type KernelParameters, KernelText } from './kernel-text.ts';
import { rowForm } from './row-form.ts';
import { rowStages } from './rows.ts';
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

/** All parts of a joint kernel in a launch, or in as few as their table fits in. */
export function compileJoint(joint: JointKernel, features: CudaFeatures): KernelProgram {
  const { name, body, parts } = joint;
  const compiler = new KernelCompiler(body, features, launchLimits, joint);
  const stages = segmentsOf(body).flatMap((segment) => compiler.stages(segment));
  return {
    name,
    stages,
    scalarTypes: parts.flatMap(() => body.scalars),
    workspaceBytes: 0,
    source: () => stages.map(({ code }) => code).join('\n'),
  };
}

class KernelCompiler {
  readonly #kernel: Kernel;
  readonly #features: CudaFeatures;
  readonly #limits: LaunchLimits;
  readonly #joint: JointKernel | undefined;
  workspaceBytes = 0;

  constructor(kernel: Kernel, features: CudaFeatures, limits: LaunchLimits, joint?: JointKernel) {
    this.#kernel = kernel;
    this.#joint = joint;
    this.#features = features;
    this.#limits = limits;
  }

  stages(segment: Segment): readonly KernelStage[] {
    const { phases } = segment;
    const [phase] = phases;
    const updates = splitUpdates(segment, this.#features);
    if (updates) return this.#row(updates, this.#kernel);
    const analysis = new IndexAnalysis();
    if (phases.length === 1 && phase!.kind === 'map' && phase!.loops.length === 0) {
      const text = this.#text(this.#kernel, { stored: storedBy(segment) });
      return flatStages(segment, this.#kernel.name, text, this.#features, this.#limits, analysis);
    }
    const { plan, widths } = rowForm(segment, this.#kernel, this.#features, analysis);
    // Parts are small, and fill the machine together.
    const split = this.#joint
      ? undefined
      : splitReduction(segment, this.#kernel, plan, widths.get(phase!)!, this.#features);
    if (!split) return this.#row(segment, this.#kernel);
    this.workspaceBytes = Math.max(this.workspaceBytes, split.workspaceBytes);
    return [split.first, split.second].flatMap((each) => this.#row(each, split.parameters, split.workspace));
  }

  #row(
    segment: Segment,
    parameters: KernelParameters,
    workspace: ReadonlyMap<number, number> = new Map(),
  ): readonly KernelStage[] {
    const analysis = new IndexAnalysis();
    const form = rowForm(segment, parameters, this.#features, analysis);
    const text = this.#text(parameters, { stored: storedBy(segment), workspace });
    return rowStages(segment, this.#kernel.name, text, form, this.#limits, analysis);
  }

  #text(parameters: KernelParameters, memory: KernelMemory): KernelText {
    return this.#joint ? new JointText(this.#joint, parameters, memory) : new KernelText(parameters, memory);
  }
}

const storedBy = ({ phases }: Segment): ReadonlySet<number> =>
  new Set(phases.flatMap((phase) => (phase.kind === 'map' ? phase.stores.map(({ buffer }) => buffer) : [])));
