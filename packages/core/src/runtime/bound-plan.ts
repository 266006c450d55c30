import type { Backend, Command, DeviceBuffer, Fence } from '../backend/index.ts';
import type { Plan, PlanStep, Slot } from '../compiler/plan.ts';
import { printPlan } from '../compiler/plan.ts';
import { settings } from './settings.ts';
import { counters } from './statistics.ts';

/** Buffers of these sizes: all of them, or none. @throws OutOfMemoryError */
export function allocateAll(backend: Backend, sizes: readonly number[]): DeviceBuffer[] {
  const buffers: DeviceBuffer[] = [];
  try {
    for (const bytes of sizes) buffers.push(backend.allocate(bytes));
  } catch (error) {
    for (const buffer of buffers) backend.free(buffer);
    throw error;
  }
  return buffers;
}

/**
 * A plan with its intermediate buffers. Commands are made anew only where a buffer or scalar has changed since the last
 * run, so that a backend can keep what it prepared for them.
 */
export class BoundPlan {
  readonly plan: Plan;
  readonly #backend: Backend;
  #temporaries: DeviceBuffer[] | undefined;
  #commands: Command[] = [];

  constructor(plan: Plan, backend: Backend) {
    this.plan = plan;
    this.#backend = backend;
  }

  /** True when programs have to be waited for. */
  get isPending(): boolean {
    return this.plan.steps.some((step) => step.kind === 'run' && step.program.ready !== undefined);
  }

  /** Resolves when all programs can be submitted. */
  async ready(): Promise<void> {
    await Promise.all(this.plan.steps.map((step) => (step.kind === 'run' ? step.program.ready : undefined)));
  }

  run(inputs: readonly DeviceBuffer[], outputs: readonly DeviceBuffer[], scalars: readonly number[]): Fence {
    this.#temporaries ??= allocateAll(this.#backend, this.plan.temporaries);
    const bound = { input: inputs, output: outputs, temporary: this.#temporaries };
    const resolve = ({ kind, index }: Slot): DeviceBuffer => bound[kind][index]!;
    for (const [i, step] of this.plan.steps.entries()) {
      const next = bind(step, resolve, scalars);
      const last = this.#commands[i];
      if (!last || !sameCommand(last, next)) this.#commands[i] = next;
    }
    counters.plansRun++;
    counters.stepsRun += this.#commands.length;
    if (settings().times && this.#backend.time) {
      const done = this.#timed(this.#commands);
      done.catch(() => {}); // a failed device fails every later read
      return { done };
    }
    return this.#backend.submit(this.#commands);
  }

  async #timed(commands: readonly Command[]): Promise<void> {
    const times = await this.#backend.time!(commands);
    const lines = printPlan(this.plan, 0).split('\n');
    settings().log(times.map((ms, i) => `${ms.toFixed(3).padStart(9)} ms  ${lines[i]}`).join('\n'));
  }

  /** Gives the intermediate buffers back. A later run takes new ones. */
  release(): void {
    for (const buffer of this.#temporaries ?? []) this.#backend.free(buffer);
    this.#temporaries = undefined;
    this.#commands = [];
  }
}

function bind(step: PlanStep, resolve: (slot: Slot) => DeviceBuffer, scalars: readonly number[]): Command {
  if (step.kind === 'copy')
    return { kind: 'copy', source: resolve(step.source), target: resolve(step.target), bytes: step.bytes };
  return {
    kind: 'dispatch',
    program: step.program,
    buffers: step.buffers.map(resolve),
    scalars: step.scalars.map((index) => scalars[index]!),
  };
}

function sameCommand(a: Command, b: Command): boolean {
  if (a.kind === 'copy') return b.kind === 'copy' && a.source === b.source && a.target === b.target;
  if (b.kind !== 'dispatch' || a.program !== b.program) return false;
  return (
    a.buffers.every((buffer, i) => buffer === b.buffers[i]) &&
    a.scalars.every((value, i) => Object.is(value, b.scalars[i]))
  );
}
