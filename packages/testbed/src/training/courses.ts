/** Courses of training: the losses of one step after the other, on the default device. */
import { registerBackend, setDefaultDevice } from '@tutti/core';
import { interpreterBackend } from '@tutti/core/testing';
import { batch, network, type Step } from './network.ts';

/** Losses differ by rounding alone, relative to their size. */
export const courseTolerance = 1e-5;
/** After an interruption the moments start anew, so that the course is close and not the same. */
export const resumedTolerance = 0.02;

/** The largest relative difference of two courses. */
export const courseDifference = (got: readonly number[], want: readonly number[]): number =>
  got.length === want.length ? Math.max(...want.map((value, i) => Math.abs(got[i]! / value - 1))) : Infinity;

async function train(step: Step, count: number): Promise<number[]> {
  const [first, second] = batch();
  using x = first;
  using y = second;
  const losses: number[] = [];
  for (let i = 0; i < count; i++) {
    const loss = await step(x, y);
    losses.push(await loss.item());
    loss.dispose();
  }
  return losses;
}

/** The course of a new network, of which nothing is left. */
export async function course(count: number): Promise<number[]> {
  const { step, dispose } = network();
  const losses = await train(step, count);
  dispose();
  return losses;
}

const interpreter = interpreterBackend();

/** What it should be: that of the reference interpreter, which is the default device afterwards. */
export async function referenceCourse(count: number): Promise<number[]> {
  registerBackend(interpreter);
  await setDefaultDevice('interpreter');
  return course(count);
}

/** Trains for rounds of steps; what was checked along the way is settled after each round. */
export interface Rounds {
  run(count: number): Promise<void>;
  /** How often the step was traced. */
  traces(): number;
}

export function rounds(): Rounds {
  const { step } = network();
  const [x, y] = batch();
  return {
    async run(count) {
      for (let i = 0; i < count; i++) (await step(x, y)).dispose();
      const last = await step(x, y);
      await last.item();
      last.dispose();
    },
    traces: () => step.stats.traces,
  };
}

/** A course of six steps whose device is lost after three. */
export interface Interrupted {
  readonly losses: readonly number[];
  /** What a step, and a look at a parameter, end with on the lost device. */
  readonly failures: readonly unknown[];
  /** Whether the device that it went on with is another one, and works. */
  readonly another: boolean;
}

/** @param id What the default device is set to, at first and again. */
export async function interruptedCourse(id: string, lose: () => void): Promise<Interrupted> {
  const { backend } = await setDefaultDevice(id);
  const { step, parameters } = network();
  const losses = await train(step, 3);
  const saved = await Promise.all(parameters.map((each) => each.data() as Promise<Float32Array>));
  lose();
  const failures = [await reason(train(step, 1)), await reason(parameters[0]!.data())];
  const again = (await setDefaultDevice(id)).backend;
  losses.push(...(await train(network(saved).step, 3)));
  return { losses, failures, another: again !== backend && again.failure === undefined };
}

const reason = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );
