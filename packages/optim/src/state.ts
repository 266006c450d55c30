/** Saving and loading the state of an optimiser. */
import {
  cast,
  type Device,
  detach,
  noGrad,
  scope,
  slice,
  stack,
  type Tensor,
  TuttiError,
  type Variable,
} from '@tutti/core';
import { fromHost } from '@tutti/core/graph';
import type { GroupState } from './optimizer.ts';

/**
 * What has to be kept to go on with a training: tensors by the parameter's position and PyTorch's word
 * (`0.momentum_buffer`, `3.exp_avg`, `3.step`), and the learning rate of each group.
 */
export interface OptimizerState {
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly lrs: readonly number[];
}

type States = readonly GroupState<{ readonly lr: number }>[];

const stepName = 'step';

export function saveState(states: States): OptimizerState {
  const tensors: Record<string, Tensor> = {};
  noGrad(() => {
    for (const { position, slots, steps, row } of parametersOf(states)) {
      if (steps) tensors[`${position}.${stepName}`] = slice(steps, row);
      for (const [name, variable] of Object.entries(slots)) tensors[`${position}.${name}`] = detach(variable);
    }
  });
  return { tensors, lrs: states.map(({ group }) => group.lr) };
}

export function loadState(states: States, { tensors, lrs }: OptimizerState): void {
  const all = parametersOf(states);
  checkState(all, states.length, tensors, lrs);
  const near = (value: Tensor, variable: Variable): Tensor => {
    const moved = onDevice(value, variable.device)!;
    return moved.dtype === 'float32' ? moved : cast(moved, 'float32');
  };
  noGrad(() =>
    scope(() => {
      for (const { position, slots } of all) {
        for (const [name, variable] of Object.entries(slots)) {
          variable.assign(near(tensors[`${position}.${name}`]!, variable));
        }
      }
      for (const { steps } of states) {
        const rows = all.filter((each) => each.steps === steps);
        if (steps)
          steps.assign(stack(rows.map(({ position }) => near(tensors[`${position}.${stepName}`]!, steps))));
      }
      for (const [i, { group }] of states.entries()) group.lr = lrs[i]!;
    }),
  );
}

/** The value on a device, if it is there or still on the host. */
function onDevice(value: Tensor, device: Device): Tensor | undefined {
  if (value.device.same(device)) return value;
  const { host, shape, dtype } = value.node;
  return host && fromHost(host, shape, dtype, device);
}

interface ParameterState {
  /** Among all parameters of the optimiser. */
  readonly position: number;
  /** Within its group. */
  readonly row: number;
  readonly slots: Readonly<Record<string, Variable>>;
  readonly steps: Variable | undefined;
}

function parametersOf(states: States): ParameterState[] {
  let position = 0;
  return states.flatMap(({ slots, steps }) =>
    slots.map((each, row) => ({ position: position++, row, slots: each, steps })),
  );
}

function checkState(
  all: readonly ParameterState[],
  groups: number,
  tensors: OptimizerState['tensors'],
  lrs: readonly number[],
): void {
  const expected = new Map<string, { shape: readonly number[]; device: Device }>();
  for (const { position, slots, steps } of all) {
    if (steps) expected.set(`${position}.${stepName}`, { shape: [], device: steps.device });
    for (const [name, variable] of Object.entries(slots)) expected.set(`${position}.${name}`, variable);
  }
  const problems: string[] = [];
  const elsewhere: Tensor[] = [];
  for (const [name, { shape, device }] of expected) {
    const value = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
    if (device.failure) refuse([`${name} is on its own device ${device}, which has ended`], fixes.ended);
    if (!value) problems.push(`${name} is missing`);
    else if (String(value.shape) !== String(shape))
      problems.push(`${name} is [${value.shape}], not [${shape}]`);
    else if (!onDevice(value, device)) {
      problems.push(`${name} is on ${value.device}, not on ${device}`);
      elsewhere.push(value);
    }
  }
  for (const name of Object.keys(tensors)) if (!expected.has(name)) problems.push(`${name} is unexpected`);
  if (lrs.length !== groups) problems.push(`${lrs.length} learning rates for ${groups} groups`);
  if (problems.length === 0) return;
  const isLost = elsewhere.some(({ device }) => device.failure);
  refuse(
    problems,
    isLost ? fixes.lost : elsewhere.length === problems.length ? fixes.elsewhere : fixes.different,
  );
}

const fixes = {
  ended: 'module and optimiser are lost with their device: make both anew, and load into those',
  lost: 'a state is lost with its device: keep the bytes of encodeSafetensors(optimizer.stateDict().tensors), and load those',
  elsewhere:
    'move the values first, await value.to(device), or save and load them as bytes, which go to any device',
  different: 'make the optimiser with the parameters, groups and settings of the saved one',
} as const;

function refuse(problems: readonly string[], fix: string): never {
  throw new TuttiError(
    'TUTTI_STATE_DICT',
    `loadStateDict: the state does not fit this optimiser: ${problems.join('; ')}`,
    { op: 'loadStateDict', received: problems, fix },
  );
}
