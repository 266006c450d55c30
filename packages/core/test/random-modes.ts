/** Ways to run a random graph, all of which must agree to the last bit. */

import type { Capabilities } from '../src/backend/index.ts';
import { scope } from '../src/runtime/scope.ts';
import { Tensor } from '../src/tensor/index.ts';
import { interpreterBackend } from '../src/testing/index.ts';
import {
  configure,
  jit,
  memory,
  realize,
  registerBackend,
  setDefaultDevice,
  unregisterBackend,
  Variable,
  variable,
} from './all.ts';
import { interpretedRoutine } from './anchor-kernel.ts';
import { Random } from './random.ts';
import {
  type LeafData,
  makeLeaf,
  type RandomGraphOptions,
  randomGraph,
  randomLeaves,
} from './random-graph.ts';

/** Devices that differ in what they can do. */
const devices: Readonly<
  Record<string, { readonly capabilities?: Partial<Capabilities>; readonly routines?: boolean }>
> = {
  wide: { capabilities: { buffersPerKernel: 64, parallelism: 1 } },
  plain: {},
  joint: { capabilities: { buffersPerKernel: 4, multipleOutputs: false, jointBuffers: 12 } },
  routines: { routines: true, capabilities: { parallelism: 1 } },
  four: { capabilities: { buffersPerKernel: 4, parallelism: 4, reduceSplit: 8 } },
  five: { capabilities: { buffersPerKernel: 5, multipleOutputs: false, parallelism: 1 } },
  six: { capabilities: { buffersPerKernel: 6, rowPrograms: false, multipleOutputs: false }, routines: true },
  least: {
    capabilities: {
      buffersPerKernel: 4,
      rowPrograms: false,
      multipleOutputs: false,
      scatterStores: false,
      parallelism: 8,
      reduceSplit: 4,
    },
  },
};

export const deviceNames: readonly string[] = Object.keys(devices);

export function registerDevices(): void {
  for (const [name, { capabilities, routines }] of Object.entries(devices)) {
    registerBackend(
      interpreterBackend({
        name,
        ...(capabilities ? { capabilities } : {}),
        ...(routines ? { routine: interpretedRoutine } : {}),
      }),
    );
  }
}

export async function unregisterDevices(): Promise<void> {
  for (const name of deviceNames) await unregisterBackend(name);
}

/** Results as they are compared: numbers, with -0 as 0. */
export type Results = readonly (readonly number[])[];

async function read(tensors: readonly Tensor[]): Promise<Results> {
  const data = await Promise.all(tensors.map((x) => x.data()));
  for (const x of tensors) if (!(x instanceof Variable)) x.dispose();
  return data.map((values) => [...values].map((value) => value + 0));
}

interface CaseOptions extends RandomGraphOptions {
  /** So many times the same graph, on values of its own: what devices may run in one launch. */
  readonly copies?: number;
}

export interface RandomCase {
  readonly seed: number;
  readonly leaves: readonly LeafData[];
  readonly options: CaseOptions;
}

export function randomCase(seed: number, options: CaseOptions = {}): RandomCase {
  const leaves = randomLeaves(new Random(seed), options);
  const copy = (turn: number): LeafData[] =>
    leaves.map((leaf) => ({
      ...leaf,
      values: leaf.values.map((_, i, all) => all[(i + turn) % all.length]!),
    }));
  return {
    seed,
    leaves: Array.from({ length: options.copies ?? 1 }, (_, turn) => copy(turn)).flat(),
    options,
  };
}

/** The graph of every copy. The second goes on from a result of the first: not all of them may run at once. */
function grown({ seed, options }: RandomCase, leaves: readonly Tensor[]): Tensor[] {
  const { copies = 1 } = options;
  const each = leaves.length / copies;
  const all: Tensor[][] = [];
  for (let copy = 0; copy < copies; copy++) {
    const own = leaves.slice(copy * each, (copy + 1) * each);
    all.push(randomGraph(seed, copy === 1 ? own.map((leaf) => shifted(leaf, all[0]![0]!)) : own, options));
  }
  return all.flat();
}

/** A tensor, and a small number that another decides. */
const shifted = (x: Tensor, by: Tensor): Tensor =>
  x.dtype === 'bool' ? x : x.add(levelOf(by).cast(x.dtype)).remainder(7);

function levelOf(x: Tensor): Tensor {
  const values = x.cast('float32');
  return (x.size > 0 ? values.max() : values.sum()).remainder(3).abs();
}

type Mode = (one: RandomCase) => Promise<Results>;

const build = (one: RandomCase): Tensor[] => grown(one, one.leaves.map(makeLeaf));

const together: Mode = (one) => read(scope(() => build(one)));

/** All results are one plan's. */
const atOnce: Mode = async (one) => {
  const outputs = scope(() => build(one));
  await realize(...outputs);
  return read(outputs);
};

const unfused: Mode = async (one) => {
  const before = configure({ fusion: false });
  try {
    return await together(one);
  } finally {
    configure(before);
  }
};

/** Some of what is in between is computed first. */
const piecewise: Mode = async (one) => {
  const random = new Random(one.seed + 7);
  const outputs = scope(() => build(one));
  const below = [...new Set(outputs.flatMap((x) => x.node.inputs))].map((node) => new Tensor(node));
  for (const part of below) {
    if (random.chance(0.5)) await realize(part);
    part.dispose();
  }
  for (const x of outputs) if (random.chance(0.3)) await realize(x);
  return read(outputs);
};

/** A plan with the leaves as arguments, run twice. */
const traced: Mode = async (one) => {
  const run = jit((leaves: Tensor[]) => grown(one, leaves));
  try {
    const args = one.leaves.map(makeLeaf);
    await read(await run(args));
    const result = await read(await run(args));
    for (const x of args) x.dispose();
    return result;
  } finally {
    run.dispose();
  }
};

/** Values for the variables of the next call: anything computed that fits. */
function nextValues(states: readonly Tensor[], results: readonly Tensor[]): Tensor[] {
  return states.map((state, i) => {
    const fitting = results.find(
      (x, j) => (i + j) % 3 !== 0 && x.dtype === state.dtype && String(x.shape) === String(state.shape),
    );
    if (fitting) return fitting;
    if (state.dtype === 'bool') return state.logicalNot();
    // Neighbours read each other, so that the order of reads and writes matters.
    const other = states[(i + 1) % states.length]!;
    return state.mul(2).remainder(7).add(levelOf(other).cast(state.dtype));
  });
}

/** Three calls of a step that assigns its leaves, read after the last. */
const stepped =
  (trace: boolean): Mode =>
  async (one) => {
    const states = one.leaves.map((leaf) => {
      const x = makeLeaf(leaf);
      const made = variable(x, { requiresGrad: false });
      x.dispose();
      return made;
    });
    const step = (): Tensor[] => {
      const results = grown(one, states);
      const next = nextValues(states, results);
      for (const [i, state] of states.entries()) state.assign(next[i]!);
      return results;
    };
    const run = jit(step);
    const all: (readonly number[])[] = [];
    try {
      for (let call = 0; call < 3; call++) {
        const results = trace ? await run() : scope(step);
        all.push(...(await read(results)));
      }
      for (const state of states) all.push([...(await state.data())].map((value) => value + 0));
      return all;
    } finally {
      run.dispose();
      for (const state of states) state.dispose();
    }
  };

/** Gradients of a weighted sum of the results. */
const gradients =
  (forwardFirst: boolean): Mode =>
  async (one) => {
    const leaves = one.leaves.map((leaf) => {
      const x = makeLeaf(leaf);
      const made = variable(x);
      x.dispose();
      return made;
    });
    const outputs = scope(() => grown(one, leaves).filter((x) => x.dtype === 'float32'));
    if (forwardFirst) await realize(...outputs);
    scope(() => {
      const total = outputs
        .map((x, i) => x.mul(i + 1).sum())
        .reduce((a, b) => a.add(b), leaves[0]!.sum().mul(0));
      total.backward();
    });
    for (const x of outputs) x.dispose();
    const all: Tensor[] = leaves.flatMap((x) => (x.grad ? [x.grad] : []));
    const result = await read(all);
    for (const x of leaves) x.dispose();
    return result;
  };

export interface Comparison {
  readonly name: string;
  readonly device: string;
  readonly mode: Mode;
  readonly reference: Mode;
  readonly options: CaseOptions;
}

const comparison = (
  name: string,
  mode: Mode,
  reference: Mode = unfused,
  options: CaseOptions = {},
): Comparison[] => deviceNames.map((device) => ({ name, device, mode, reference, options }));

const threeLarge = { copies: 3, steps: 24 };

/** Graphs with equal parts. */
const several: readonly Omit<Comparison, 'device'>[] = [
  { name: 'three at once', mode: atOnce, reference: unfused, options: threeLarge },
  { name: 'three traced at once', mode: traced, reference: unfused, options: threeLarge },
  { name: 'three traced steps', mode: stepped(true), reference: stepped(false), options: threeLarge },
];

const differentiable = { differentiable: true };

export const comparisons: readonly Comparison[] = [
  ...comparison('fused', together),
  ...comparison('unfused', unfused),
  ...comparison('piecewise', piecewise),
  ...comparison('traced', traced),
  ...comparison('traced steps', stepped(true), stepped(false)),
  ...comparison('gradients', gradients(false), gradients(false), differentiable),
  ...comparison('gradients of computed values', gradients(true), gradients(false), differentiable),
  ...several.map((each) => ({ ...each, device: 'joint' })),
];

/** Runs one graph in one way and says how it differs from the reference, on the simplest device; undefined: not at all. */
export async function compareOn(
  { name, device, mode, reference, options }: Comparison,
  seed: number,
): Promise<string | undefined> {
  const one = randomCase(seed, options);
  await setDefaultDevice('plain');
  const expected = await reference(one);
  await setDefaultDevice(device);
  const before = memory()[device]!.buffers;
  const actual = await mode(one);
  const leaked = memory()[device]!.buffers - before;
  for (const [i, values] of expected.entries()) {
    const bad = values.findIndex((value, at) => !Object.is(value, actual[i]?.[at]));
    if (bad >= 0 || values.length !== actual[i]!.length) {
      return `${name} on ${device}, seed ${seed}: result ${i} element ${bad}: ${actual[i]?.[bad]} for ${values[bad]}`;
    }
  }
  return leaked === 0 ? undefined : `${name} on ${device}, seed ${seed}: ${leaked} buffers leaked`;
}
