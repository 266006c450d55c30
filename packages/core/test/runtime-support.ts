import { afterEach, beforeEach, expect } from 'vitest';
import {
  type Backend,
  type BackendFactory,
  type DeviceBuffer,
  OutOfMemoryError,
  type Program,
} from '../src/backend/index.ts';
import { type InterpreterOptions, interpreterBackend, type Recording } from '../src/testing/index.ts';
import * as t from './all.ts';

/** Records what the device of the current test was given to do. */
export const recording: { -readonly [K in keyof Recording]: Recording[K] } = { kernels: [], commands: [] };

/** A fresh device called `interpreter` as the default of every test, with all kernels checked. */
export function useFreshDevice(
  options: InterpreterOptions = {},
  wrap: (factory: BackendFactory) => BackendFactory = (f) => f,
): void {
  beforeEach(async () => {
    recording.kernels = [];
    recording.commands = [];
    t.configure({ verify: true, fusion: true });
    t.registerBackend(wrap(interpreterBackend({ ...options, recording })));
    await t.setDefaultDevice('interpreter');
  });
  afterEach(() => t.unregisterBackend('interpreter'));
}

export const live = (device = 'interpreter'): t.DeviceMemory => t.memory()[device]!;

/** Checks that `use` gives back all the memory that it takes. */
export async function expectNoLeak(use: () => Promise<void>, device = 'interpreter'): Promise<void> {
  const before = live(device).buffers;
  await use();
  expect(live(device).buffers - before).toBe(0);
}

export const list = async (x: t.Tensor): Promise<number[]> => [...(await x.data())];

export const vector = (...values: number[]): t.Tensor => t.tensor(values);

/** The values of a tensor on the device, where nobody can look at them while a graph is built. */
export async function onDevice(host: t.Tensor): Promise<t.Tensor> {
  const computed = t.detach(host);
  await t.realize(computed);
  host.dispose();
  return computed;
}

/** A device whose allocations can be made to fail, and whose programs may take time to compile. */
export interface Faults {
  /** The allocation, counted from now, that fails; undefined: none. */
  failAt: number | undefined;
  /** Called with each submission. */
  onSubmit: () => void;
  /** How long the next programs take to compile; undefined: no time at all. */
  compiling: Promise<void> | undefined;
  /** Whether they can be compiled while somebody waits. */
  finishes: boolean;
}

export const noFaults = (): Faults => ({
  failAt: undefined,
  onSubmit: () => {},
  compiling: undefined,
  finishes: false,
});

function compiling(program: Program, faults: Faults): Program {
  if (!faults.compiling) return program;
  const later = { ...program, ready: faults.compiling as Promise<void> | undefined };
  const finish = (): void => {
    later.ready = undefined;
  };
  return faults.finishes ? Object.assign(later, { finish }) : later;
}

/** The factory with faults. */
export function faulty(factory: BackendFactory, faults: Faults): BackendFactory {
  const wrap = (backend: Backend): Backend =>
    new Proxy(backend, {
      get(target, name) {
        if (name === 'allocate') {
          return (bytes: number): DeviceBuffer => {
            if (faults.failAt !== undefined && faults.failAt-- === 0)
              throw new OutOfMemoryError('no memory, as planned');
            return target.allocate(bytes);
          };
        }
        if (name === 'submit') {
          return (commands: Parameters<Backend['submit']>[0]) => {
            faults.onSubmit();
            return target.submit(commands);
          };
        }
        if (name === 'compile') {
          return (kernel: Parameters<Backend['compile']>[0]) => {
            const program = target.compile(kernel);
            return compiling(program, faults);
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  return { ...factory, open: async (index) => wrap(await factory.open(index)) };
}
