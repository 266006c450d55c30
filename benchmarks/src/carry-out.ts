/** One measurement: one library, one piece of work. The same in a process and in a page. */
import type { Adapter, KernelTime, Prepared } from './adapters/adapter.ts';
import { type Budget, measure, type Timed } from './measure.ts';
import { operandsOf } from './operands.ts';
import type { Work } from './work.ts';

export interface Assignment {
  readonly adapter: string;
  readonly work: Work;
  readonly budget: Budget;
  /** How often the work is queued before it is waited for. */
  readonly iterations: number;
  /** Whether the result is wanted, to be checked. */
  readonly wantResult: boolean;
  /** Whether the times of the kernels are wanted, after the measurement. */
  readonly wantProfile: boolean;
}

export type Answer =
  | {
      readonly status: 'measured';
      readonly description: string;
      /** Milliseconds of the work, done once. */
      readonly samples: readonly number[];
      /** The same of each part of the work that is timed by itself. */
      readonly parts?: Readonly<Record<string, readonly number[]>> | undefined;
      readonly result?: Float32Array | undefined;
      /** Milliseconds from before the import to the result on the host, everything cold. */
      readonly first?: number | undefined;
      readonly kernels?: number | undefined;
      readonly profile?: readonly KernelTime[] | undefined;
    }
  | { readonly status: 'unsupported'; readonly description: string; readonly reason: string }
  /** The library is not on this machine. */
  | { readonly status: 'absent'; readonly reason: string }
  | { readonly status: 'failed' | 'slow'; readonly reason: string };

type Measured = Extract<Answer, { readonly status: 'measured' }>;

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
  const { adapter: name, work, iterations, wantResult, wantProfile } = assignment;
  const adapter = await adapters[name]!();
  const operands = operandsOf(work);
  const start = performance.now();
  const session = await adapter.open();
  const prepared = await session.prepare(work, operands, iterations);
  const { description } = session;
  if (typeof prepared === 'string') return { status: 'unsupported', description, reason: prepared };
  // The result comes first: losses are those of a fresh model.
  const isFirst = work.kind === 'firstResult';
  const result = isFirst || wantResult ? await prepared.result() : undefined;
  const first = result && performance.now() - start;
  const kernels = wantResult ? await prepared.kernels?.() : undefined;
  const timing = isFirst ? { samples: [first!] } : await time(prepared, assignment);
  const profile = wantProfile ? await prepared.profile?.() : undefined;
  return { status: 'measured', description, ...timing, result, first, kernels, profile };
}

async function time(
  prepared: Prepared,
  { budget }: Assignment,
): Promise<Pick<Measured, 'samples' | 'parts'>> {
  const iterations = prepared.iterations ?? 1;
  const once = async (work: Timed): Promise<number[]> =>
    (await measure(work, budget)).map((milliseconds) => milliseconds / iterations);
  const samples = await once(prepared);
  if (!prepared.parts) return { samples };
  const parts: Record<string, readonly number[]> = {};
  for (const [name, run] of Object.entries(prepared.parts)) parts[name] = await once({ run });
  return { samples, parts };
}
