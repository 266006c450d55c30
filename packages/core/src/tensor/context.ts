/** What the code being run right now is inside of: `noGrad`, a trace, a scope. One set for each JavaScript realm. */
import { DeviceError } from '../backend/index.ts';
import type { Device } from './device.ts';
import type { GraphNode } from './node.ts';
import type { Tensor, Variable } from './tensor.ts';

/** Why something cannot be done inside of a trace, and what to do about it. */
export interface TraceRefusal {
  readonly because: string;
  readonly fix: string;
}

/** What a trace wants to know while a function runs under it. */
export interface TraceObserver {
  /** The node that stands for a variable inside the trace. */
  read(variable: Variable): GraphNode;
  assign(variable: Variable, value: GraphNode): void;
  /** A `.grad` is about to be set: the trace puts the old one back when it ends, and disposes of the new one. */
  setGrad(tensor: Tensor, value: Tensor | undefined): void;
  /**
   * Something is asked for that a trace cannot have: a value, unless `refusal` says what else and what to do. Throws TraceError.
   */
  refuse(what: string, refusal?: TraceRefusal): never;
}

export interface Context {
  gradEnabled: boolean;
  trace: TraceObserver | undefined;
  /** The tensors made in the innermost `scope`, or undefined outside of any. */
  scope: Set<Tensor> | undefined;
  /** True where whoever owns `scope` disposes everything in it at once: those handles need no finaliser, which is dear. */
  transient: boolean;
  /** Variables whose new value has not been computed: the next run computes them too, so that no chain of updates grows. */
  readonly pending: Set<Variable>;
}

export const context: Context = {
  gradEnabled: true,
  trace: undefined,
  scope: undefined,
  transient: false,
  pending: new Set(),
};

let current: Device | undefined;

/** The device that new tensors go to; undefined as long as no backend is registered. */
export const currentDevice = (): Device | undefined => current;

/** The device that new tensors go to. @throws DeviceError */
export function defaultDevice(): Device {
  if (current) return current;
  throw new DeviceError('there is no default device', {
    fix: "import from 'tutti', which registers the installed backends, or call registerBackend(...) first",
  });
}

export function replaceDefaultDevice(device: Device | undefined): void {
  current = device;
}
