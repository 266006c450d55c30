import type { Backend, Command, DeviceBuffer, Fence } from '../backend/index.ts';
import type { Plan, PlanStep, Slot } from '../compiler/plan.ts';
import { printPlan } from '../compiler/plan.ts';
import type { Device } from '../tensor/device.ts';
import { allocateAll, type Purpose } from './allocation.ts';
import { settings } from './settings.ts';
import { counters } from './statistics.ts';

/**
 * A plan with its intermediate buffers. Commands are made anew only where a buffer or scalar has changed since the last
 * run, so that a backend can keep what it prepared for them.
 */
export class BoundPlan {
  readonly plan: Plan;
  readonly #device: Device;
  readonly #backend: Backend;
  #temporaries: DeviceBuffer[] | undefined;
  #commands: Command[] = [];

  constructor(plan: Plan, device: Device) {
    this.plan = plan;
    this.#device = device;
    this.#backend = device.backend;
  }

  /** True when programs have to be waited for. */
  get isPending(): boolean {
    return this.plan.steps.some((step) => step.kind === 'run' && step.program.ready !== undefined);
  }

  /** Resolves when all programs can be submitted. */
  async ready(): Promise<void> {
    await Promise.all(this.plan.steps.map((step) => (step.kind === 'run' ? step.program.ready : undefined)));
  }

  /** As `ready`, while the caller waits. False where a program takes another way. @throws KernelError */
  finish(): boolean {
    const programs = this.plan.steps.flatMap((step) => (step.kind === 'run' ? [step.program] : []));
    // Whoever is asked whether it is ready begins to make itself so: in vain, where it can finish at once.
    if (programs.some((program) => !program.finish && program.ready !== undefined)) return false;
    for (const program of programs) program.finish?.();
    return true;
  }

  /** What the memory of an intermediate value is for: it is named after the first that stores to it. */
  #purpose(temporary: number): Purpose {
    const step = this.plan.steps.find(
      (each) =>
        each.kind === 'run' &&
        each.buffers.some(({ kind, index }) => kind === 'temporary' && index === temporary),
    );
    const op = step?.kind === 'run' ? step.ir.name : 'plan';
    return { op, what: 'an intermediate value', device: this.#device };
  }

  run(inputs: readonly DeviceBuffer[], outputs: readonly DeviceBuffer[], scalars: readonly number[]): Fence {
    this.#temporaries ??= allocateAll(this.#backend, this.plan.temporaries, (i) => this.#purpose(i));
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
