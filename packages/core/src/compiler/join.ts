/**
 * Small kernels that do the same to other data run in one launch: the updates of an optimiser, of which a model has one for every
 * bias and every norm.
 *
 * A kernel waits for others with the same body until something comes that needs what it writes, or writes what it touches;
 * together they take the place of the last of them. Large kernels do not wait: they fill the device by themselves, and what they
 * read would stay in memory.
 */
import {
  type Anchor,
  ExpressionBuilder,
  isElementwise,
  type JointKernel,
  type JointPart,
  type Kernel,
  type Program,
  printKernel,
  visitExpressions,
} from '../backend/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Lowered } from './lower.ts';
import { expressionsOf, rewritePhase } from './merge-dimensions.ts';
import type { Op } from './op.ts';
import { rebuilder } from './rebuild.ts';

export interface JoinOptions {
  /** Most buffers of a joint kernel. */
  readonly jointBuffers: number;
  /** The device's program for one. */
  readonly joint: (kernel: JointKernel) => Program | undefined;
  /** What stands for the memory of a value: values of the same memory have the same. */
  readonly placeOf: (op: Op) => Op;
}

/** What one step of a plan runs. A joint kernel comes with its program. */
export type LoweredStep = Lowered<Kernel | Anchor> | (Lowered<JointKernel> & { readonly program: Program });

/** Most elements of a buffer, and most iterations, of a kernel that may wait for others. */
const mostElements = 2 ** 16;

/** The steps in an order that gives what theirs gives. */
export function joinKernels(
  steps: readonly Lowered<Kernel | Anchor>[],
  options: JoinOptions,
): readonly LoweredStep[] {
  const joiner = new Joiner(options);
  for (const [position, step] of steps.entries()) joiner.add(position, step);
  const joined = joiner.finish();
  return steps.flatMap((step, position): LoweredStep[] => {
    const found = joined.get(position);
    if (found === undefined) return [step];
    return found === 'elsewhere' ? [] : [found];
  });
}

/** A kernel without what is particular to its data. */
interface Form extends JointPart {
  readonly body: Kernel;
  readonly key: string;
}

interface Part {
  readonly position: number;
  readonly step: Lowered<Kernel>;
  readonly form: Form;
}

/** Kernels that wait. No two batches that wait at the same time touch what the other writes, nor do two parts of one. */
class Batch {
  readonly key: string;
  readonly parts: Part[] = [];
  /** What its parts read and write. */
  readonly places = new Set<Op>();

  constructor(key: string) {
    this.key = key;
  }

  get buffers(): number {
    return this.parts.reduce((n, { step }) => n + step.bindings.length, 0);
  }
}

type Joined = (Lowered<JointKernel> & { readonly program: Program }) | 'elsewhere';

class Joiner {
  readonly #options: JoinOptions;
  /** By key. */
  readonly #waiting = new Map<string, Batch>();
  /** Batches that wait, by the memory that they read and write. */
  readonly #readers = new Map<Op, Set<Batch>>();
  readonly #writers = new Map<Op, Set<Batch>>();
  readonly #joined = new Map<number, Joined>();

  constructor(options: JoinOptions) {
    this.#options = options;
  }

  add(position: number, step: Lowered<Kernel | Anchor>): void {
    const { reads, writes } = this.#touched(step);
    for (const place of writes) this.#closeAll(this.#readers.get(place));
    for (const place of [...reads, ...writes]) this.#closeAll(this.#writers.get(place));
    const { kernel } = step;
    if (kernel.kind !== 'kernel' || !isSmall(kernel)) return;
    const form = formOf(kernel);
    const batch = this.#batchFor(form.key, step.bindings.length);
    batch.parts.push({ position, step: { ...step, kernel }, form });
    for (const place of reads) enter(this.#readers, place, batch);
    for (const place of writes) enter(this.#writers, place, batch);
  }

  #touched({ kernel, bindings }: Lowered<Kernel | Anchor>): { reads: Set<Op>; writes: Set<Op> } {
    const reads = new Set<Op>();
    const writes = new Set<Op>();
    for (const [i, { access }] of kernel.buffers.entries()) {
      const place = this.#options.placeOf(bindings[i]!);
      if (access !== 'write') reads.add(place);
      if (access !== 'read') writes.add(place);
    }
    return { reads, writes };
  }

  #batchFor(key: string, buffers: number): Batch {
    let batch = this.#waiting.get(key);
    if (batch && batch.buffers + buffers > this.#options.jointBuffers) {
      this.#close(batch);
      batch = undefined;
    }
    if (!batch) this.#waiting.set(key, (batch = new Batch(key)));
    return batch;
  }

  #closeAll(batches: ReadonlySet<Batch> | undefined): void {
    for (const batch of [...(batches ?? [])]) this.#close(batch);
  }

  #close(batch: Batch): void {
    this.#waiting.delete(batch.key);
    for (const place of batch.places)
      for (const index of [this.#readers, this.#writers]) index.get(place)?.delete(batch);
    const joined = batch.parts.length > 1 ? this.#join(batch.parts) : undefined;
    if (!joined) return;
    const last = batch.parts.at(-1)!.position;
    for (const { position } of batch.parts)
      this.#joined.set(position, position === last ? joined : 'elsewhere');
  }

  #join(parts: readonly Part[]): Joined | undefined {
    const { body } = parts[0]!.form;
    const kernel: JointKernel = {
      kind: 'joint',
      name: body.name,
      body,
      parts: parts.map(({ form: { points, origins } }) => ({ points, origins })),
    };
    const program = this.#options.joint(kernel);
    if (!program) return undefined;
    return {
      kernel,
      bindings: parts.flatMap(({ step }) => step.bindings),
      scalars: parts.flatMap(({ step }) => step.scalars),
      program,
    };
  }

  /** What takes the place of each step that is joined with others. */
  finish(): ReadonlyMap<number, Joined> {
    for (const batch of [...this.#waiting.values()]) this.#close(batch);
    return this.#joined;
  }
}

function enter(index: Map<Op, Set<Batch>>, place: Op, batch: Batch): void {
  batch.places.add(place);
  const batches = index.get(place);
  if (batches) batches.add(batch);
  else index.set(place, new Set([batch]));
}

const extentOf = (variables: Kernel['space']): number => sizeOf(variables.map(({ extent }) => extent));

function isSmall({ buffers, space, phases }: Kernel): boolean {
  const iterations = extentOf(space) * Math.max(...phases.map(({ loops }) => extentOf(loops)));
  return iterations <= mostElements && buffers.every(({ length }) => length <= mostElements);
}

/** The kernel with bounds for its lengths, and with what it reads at a fixed place of a buffer at the buffer's beginning. */
function formOf(kernel: Kernel): Form {
  const builder = new ExpressionBuilder();
  const origins = originsOf(kernel);
  const [own] = isElementwise(kernel) ? kernel.space : [];
  const common = own && { ...own, extent: mostElements };
  const rebuild = rebuilder(builder, (e) => {
    if (e.op === 'index' && e.variable === own) return builder.index(common!);
    if (e.op !== 'load' || !origins[e.buffer] || e.index.op !== 'const') return undefined;
    return builder.load(
      e.type,
      e.buffer,
      builder.int(e.index.value - origins[e.buffer]!),
      e.guard && rebuild(e.guard),
    );
  });
  const body: Kernel = {
    ...kernel,
    buffers: kernel.buffers.map((buffer) => ({ ...buffer, length: mostElements })),
    space: common ? [common] : kernel.space,
    phases: kernel.phases.map((phase) => rewritePhase(phase, rebuild)),
  };
  return { body, key: printKernel(body), points: extentOf(kernel.space), origins };
}

/** For each buffer the first element that is read, where all of them are at fixed places; else 0. */
function originsOf({ buffers, phases }: Kernel): readonly number[] {
  const origins = buffers.map(({ access }) => (access === 'read' ? Number.POSITIVE_INFINITY : 0));
  for (const phase of phases) {
    visitExpressions(expressionsOf(phase), (e) => {
      if (e.op !== 'load') return;
      const at = e.index.op === 'const' && !e.guard ? e.index.value : 0;
      origins[e.buffer] = Math.min(origins[e.buffer]!, at);
    });
  }
  return origins.map((origin) => (Number.isFinite(origin) ? origin : 0));
}
