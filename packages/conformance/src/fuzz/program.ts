import { cast, type Tensor, type Variable } from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import type { Input } from '../cases/case.ts';
import { randomInput, viewed, views } from '../cases/inputs.ts';
import { stepNames, steps } from './steps.ts';

/** One step: which, on which of the tensors so far (counted from the newest), with which numbers. */
export interface Instruction {
  readonly step: number;
  readonly x: number;
  readonly y: number;
  readonly p: number;
  readonly q: number;
}

export interface LeafRecipe {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly seed: number;
  /** 0 for a contiguous leaf, else one of the views. */
  readonly view: number;
}

/** A random program: leaves, and a straight line of steps on them. */
export interface RandomProgram {
  readonly leaves: readonly LeafRecipe[];
  readonly body: readonly Instruction[];
}

/** Larger or deeper results are left out: the program goes on with what there is. */
const mostElements = 400;
const mostAxes = 5;

export function leafInputs({ leaves }: RandomProgram): Input[] {
  return leaves.map(({ shape, dtype, seed, view }) => {
    const input = randomInput(shape, dtype, undefined, seed);
    return view === 0 ? input : viewed(input, views[view % views.length]!);
  });
}

const fromNewest = (pool: readonly Tensor[], i: number): Tensor => pool[pool.length - 1 - (i % pool.length)]!;

/** Runs the steps and gives the newest tensors: the results that are compared. */
export function runProgram({ body }: RandomProgram, leaves: readonly Tensor[]): Tensor[] {
  const pool = [...leaves];
  for (const { step, x, y, p, q } of body) {
    const made = steps[stepNames[step % stepNames.length]!]!({
      x: fromNewest(pool, x),
      y: fromNewest(pool, y),
      p,
      q,
    });
    if (made.size <= mostElements && made.rank <= mostAxes) pool.push(made);
  }
  return pool.slice(-3);
}

/** A new value for a variable: its old one, mixed with a number that the program computed. */
export function nextState(variable: Variable | Tensor, results: readonly Tensor[]): Tensor {
  const last = results[results.length - 1]!;
  const level = cast(last, 'float32').clamp(-4, 4);
  const mixed = level.size === 0 ? variable.mul(0.5) : variable.mul(0.5).add(level.mean());
  return cast(mixed, variable.dtype);
}

/** The program as text, for a report. */
export function describeProgram({ leaves, body }: RandomProgram): string {
  const heads = leaves.map(
    ({ shape, dtype, view }) => `${dtype}[${shape.join(',')}]${view ? ` ${views[view % views.length]}` : ''}`,
  );
  const lines = body.map(
    ({ step, x, y, p, q }) => `${stepNames[step % stepNames.length]}(${x}, ${y}; ${p}, ${q})`,
  );
  return [...heads, ...lines].join(' > ');
}
