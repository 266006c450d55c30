/** The suite tested by broken devices: each planted fault must be caught. */
import { registerBackend, unregisterBackend } from '@tutti/core';
import {
  type Backend,
  type BackendFactory,
  InternalError,
  type Kernel,
  type Program,
} from '@tutti/core/backend';
import type { OpCase } from '../cases/case.ts';
import { cases } from '../cases/index.ts';
import { delegating } from '../run/delegate.ts';
import { runConformance } from '../run/suite.ts';
import { type Fault, faults } from './faults.ts';
import { rewriteKernel } from './rewrite.ts';

/** What a fault changes about a device. */
function changes(inner: Backend, fault: Fault): Partial<Backend> {
  const kernels = new WeakMap<Program, Kernel>();
  return {
    compile: (kernel) => {
      const program = inner.compile(fault.rewrites ? rewriteKernel(kernel, fault.rewrites) : kernel);
      kernels.set(program, kernel);
      return program;
    },
    joint: () => undefined, // so that each of its parts has the fault
    routine: (anchor) => inner.routine(fault.anchor ? fault.anchor(anchor) : anchor),
    ...fault.device?.(inner, (program) => kernels.get(program)),
  };
}

const faultyName = 'faulty';

/** What the suite made of one faulty device. */
export interface FaultResult {
  readonly fault: string;
  readonly caught: boolean;
  /** The case that caught it first, or why it could not be planted. */
  readonly by: string;
  readonly applicable: boolean;
}

/** Enough operations to meet every fault; the whole suite is larger. */
const watched: readonly string[] = [
  'add',
  'sub',
  'mul',
  'maximum',
  'lt',
  'rightShift',
  'remainder',
  'neg',
  'round',
  'exp',
  'cast',
  'relu',
  'sum',
  'max',
  'argMax',
  'transpose',
  'slice',
  'pad',
  'expand',
  'concat',
  'matmul',
  'linear',
  'scatter',
  'scatterAdd',
  'softmax',
];

const reduced = (): OpCase[] =>
  watched.map((name) => {
    const found = cases.find((opCase) => opCase.name === name);
    if (found) return found;
    throw new InternalError(`the fault test watches ${name}, which is no case`);
  });

async function detect(factory: BackendFactory, fault: Fault | undefined): Promise<string | undefined> {
  registerBackend(delegating(factory, faultyName, (inner) => (fault ? changes(inner, fault) : {})));
  try {
    const { report } = await runConformance({
      backends: [faultyName],
      cases: reduced(),
      modes: ['eager', 'random'],
      randomGraphs: 12,
      stopAtFailure: true,
    });
    const failure = report.results.find(
      (result) => result.backend === faultyName && result.status === 'fail',
    );
    return failure && `${failure.case} ${failure.dtype} ${failure.mode}`;
  } finally {
    await unregisterBackend(faultyName);
  }
}

/** Whether the device has a routine for anything: a matrix product is what all of them have. */
async function hasRoutines(factory: BackendFactory): Promise<boolean> {
  const device = await factory.open(0);
  const side = 64;
  const operand = { dtype: 'float32', offset: 0, batch: [], row: side, column: 1 } as const;
  const buffer = { dtype: 'float32', length: side * side } as const;
  try {
    return (
      device.routine({
        kind: 'dot',
        name: 'probe',
        batch: [],
        m: side,
        n: side,
        k: side,
        lhs: operand,
        rhs: operand,
        type: 'f32',
        scalars: [],
        buffers: [
          { ...buffer, access: 'read' },
          { ...buffer, access: 'read' },
          { ...buffer, access: 'write' },
        ],
      }) !== undefined
    );
  } finally {
    device.dispose();
  }
}

/**
 * Plants every fault in a backend, one after the other, and runs a reduced suite on it. The backend itself must pass.
 *
 * @throws InternalError when the suite fails without a fault: nothing can be learnt then.
 */
export async function plantFaults(
  factory: BackendFactory,
  chosen: readonly Fault[] = faults,
): Promise<readonly FaultResult[]> {
  const sound = await detect(factory, undefined);
  if (sound)
    throw new InternalError(`the backend fails ${sound} with no fault planted`, {
      fix: 'make it pass the suite first',
    });
  const routines = await hasRoutines(factory);
  const results: FaultResult[] = [];
  for (const fault of chosen) {
    if (fault.needsRoutines && !routines) {
      results.push({
        fault: fault.name,
        caught: false,
        applicable: false,
        by: 'the backend has no routines',
      });
      continue;
    }
    const by = await detect(factory, fault);
    results.push({ fault: fault.name, caught: by !== undefined, applicable: true, by: by ?? 'nothing' });
  }
  return results;
}

/** The results as a table for people. */
export function formatFaults(results: readonly FaultResult[]): string {
  const width = Math.max(...results.map(({ fault }) => fault.length));
  const lines = results.map(({ fault, caught, applicable, by }) => {
    const verdict = caught ? 'caught by' : applicable ? 'NOT CAUGHT' : 'not planted:';
    return `${fault.padEnd(width)}  ${verdict} ${by}`;
  });
  const applicable = results.filter((result) => result.applicable);
  return [
    ...lines,
    `${applicable.filter(({ caught }) => caught).length} of ${applicable.length} faults caught`,
  ].join('\n');
}
