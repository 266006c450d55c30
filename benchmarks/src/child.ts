/** The process in which one measurement is made: one library, one piece of work, then it ends. */
import { adapters } from './adapters/index.ts';
import { type Budget, measure } from './measure.ts';
import { operandsOf, type Work } from './work.ts';

export interface Assignment {
  readonly adapter: string;
  readonly work: Work;
  readonly budget: Budget;
  /** Whether the result is wanted, to be checked. */
  readonly wantResult: boolean;
}

export type Answer =
  | {
      readonly status: 'measured';
      readonly description: string;
      readonly samples: readonly number[];
      readonly result?: Float32Array | undefined;
      readonly kernels?: number | undefined;
    }
  | { readonly status: 'unsupported'; readonly description: string; readonly reason: string }
  | { readonly status: 'failed' | 'slow'; readonly reason: string };

async function carryOut({ adapter: name, work, budget, wantResult }: Assignment): Promise<Answer> {
  const adapter = await adapters[name]!();
  const operands = operandsOf(work);
  const start = performance.now();
  const session = await adapter.open();
  const prepared = await session.prepare(work, operands);
  if (typeof prepared === 'string') {
    return { status: 'unsupported', description: session.description, reason: prepared };
  }
  if (work.kind === 'firstResult') {
    const result = await prepared.result();
    const samples = [performance.now() - start];
    return { status: 'measured', description: session.description, samples, result };
  }
  // The result comes first: losses are those of a fresh model.
  const result = wantResult ? await prepared.result() : undefined;
  const kernels = wantResult ? await prepared.kernels?.() : undefined;
  const samples = await measure(prepared, budget);
  return { status: 'measured', description: session.description, samples, result, kernels };
}

function send(answer: Answer): void {
  process.send!(answer, () => process.exit(0));
}

// Nobody waits for an answer any more.
process.once('disconnect', () => process.exit(1));

process.once('message', (assignment: Assignment) => {
  carryOut(assignment).then(send, (error: unknown) => {
    send({
      status: 'failed',
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  });
});
