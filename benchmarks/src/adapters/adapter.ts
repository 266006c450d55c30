import type { Operands } from '../operands.ts';
import type { Work } from '../work.ts';

/** One library behind one face. Adapters import their library inside `open`, so that importing it can be timed. */
export interface Adapter {
  readonly name: string;
  /** Imports the library and makes it ready to compute. */
  open(): Promise<Session>;
}

export interface Session {
  /** What it runs on, and how it waits for a result, in one line. Read after `prepare`. */
  readonly description: string;
  /**
   * Puts the operands on the device and compiles what can be; a string says why the library cannot do this work. `iterations`: how
   * often a run queues the work before it waits, for adapters that can.
   */
  prepare(work: Work, operands: Operands, iterations: number): Promise<Prepared | string>;
}

export interface Prepared {
  /** Runs the work. When it returns (or its promise resolves) the result exists on the device. */
  run(): Promise<void> | void;
  /** How often `run` runs the work. Default 1. */
  readonly iterations?: number | undefined;
  /** What `run` consists of, to be timed by itself as well. */
  readonly parts?: Readonly<Record<string, () => Promise<void>>> | undefined;
  /** Waits for what `run` may leave behind, outside the timing. */
  settle?(): Promise<void>;
  /** The results of a run, one after the other, in the reference's layout. */
  result(): Promise<Float32Array>;
  /** Kernels that the work comes to, done once, where the library can tell. */
  kernels?(): Promise<number>;
  /** The times of those kernels, in order, where the library and its device can tell. */
  profile?(): Promise<readonly KernelTime[]>;
}

export interface KernelTime {
  readonly kernel: string;
  readonly milliseconds: number;
}

/** The three losses that are compared: those of a fresh model's first steps. */
export async function losses(steps: number, step: () => Promise<number>): Promise<Float32Array> {
  const values: number[] = [];
  for (let i = 0; i < steps; i++) values.push(await step());
  return Float32Array.from(values);
}
