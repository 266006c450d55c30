/** One measurement: one library, one piece of work. The same in a process and in a page. */
import type { Adapter, KernelTime } from './adapters/adapter.ts';
import { type Budget, measure } from './measure.ts';
import { operandsOf, type Work } from './work.ts';

export interface Assignment {
  readonly adapter: string;
  readonly work: Work;
  readonly budget: Budget;
  /** Whether the result is wanted, to be checked. */
  readonly wantResult: boolean;
  /** Whether the times of the kernels are wanted, after the measurement. */
  readonly wantProfile: boolean;
}

export type Answer =
  | {
      readonly status: 'measured';
      readonly description: string;
      readonly samples: readonly number[];
      readonly result?: Float32Array | undefined;
      /** Milliseconds from before the import to the result on the host, everything cold. */
      readonly first?: number | undefined;
      readonly kernels?: number | undefined;
      readonly profile?: readonly KernelTime[] | undefined;
    }
  | { readonly status: 'unsupported'; readonly description: string; readonly reason: string }
  | { readonly status: 'failed' | 'slow'; readonly reason: string };

/** The adapters of a place, by name. Each imports its library only when it is opened. */
export type Adapters = Readonly<Record<string, () => Promise<Adapter>>>;

/** Never rejects: that something failed is an answer. */
export async function carryOut(assignment: Assignment, adapters: Adapters): Promise<Answer> {
  try {
    return await attempt(assignment, adapters);
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { status: 'failed', reason };
  }
}

async function attempt(assignment: Assignment, adapters: Adapters): Promise<Answer> {
  const { adapter: name, work, budget, wantResult, wantProfile } = assignment;
  const adapter = await adapters[name]!();
  const operands = operandsOf(work);
  const start = performance.now();
  const session = await adapter.open();
  const prepared = await session.prepare(work, operands);
  const { description } = session;
  if (typeof prepared === 'string') return { status: 'unsupported', description, reason: prepared };
  // The result comes first: losses are those of a fresh model.
  const isFirst = work.kind === 'firstResult';
  const result = isFirst || wantResult ? await prepared.result() : undefined;
  const first = result && performance.now() - start;
  const kernels = wantResult ? await prepared.kernels?.() : undefined;
  const samples = isFirst ? [first!] : await measure(prepared, budget);
  const profile = wantProfile ? await prepared.profile?.() : undefined;
  return { status: 'measured', description, samples, result, first, kernels, profile };
}
