import { nextNodeId } from '../tensor/node.ts';

/** Counts since the program started. A step that is really replayed moves only `plansRun` and `stepsRun`. */
export interface Statistics {
  /** Nodes added to lazy graphs. */
  readonly graphNodes: number;
  /** Plans compiled (not found in a cache). */
  readonly plansBuilt: number;
  readonly plansRun: number;
  /** Kernels, routines and copies submitted. */
  readonly stepsRun: number;
  /** Times that `jit` traced a function. */
  readonly traces: number;
}

/** @internal */
export const counters: { plansBuilt: number; plansRun: number; stepsRun: number; traces: number } = {
  plansBuilt: 0,
  plansRun: 0,
  stepsRun: 0,
  traces: 0,
};

export const statistics = (): Statistics => ({ graphNodes: nextNodeId(), ...counters });
