/** Learning rates as functions of the number of steps taken. A "step" is whatever `step()` is called for: a batch or an epoch. */
import { ArgumentError } from '@tutti/core';
import { describe, type OptionNames, requireOptions } from '@tutti/core/graph';
import { requireThat } from './check.ts';

/** What a schedule needs of an optimiser. */
export interface Scheduled {
  readonly groups: readonly { lr: number; initialLr: number | undefined }[];
}

/** The learning rate after some steps, from the one at the start. */
export type RateRule = (step: number, initial: number) => number;

/**
 * Base of the schedules. The rate of step 0 is set at once; each `step()` sets that of the next one. Call it after
 * `optimizer.step()`, outside of a function given to `jit`: the captured step reads the new rate.
 */
export abstract class Schedule {
  readonly #optimizer: Scheduled;
  readonly #rule: RateRule;
  #step = 0;

  constructor(optimizer: Scheduled, rule: RateRule) {
    if (!Array.isArray((optimizer as Scheduled | undefined)?.groups)) {
      throw new ArgumentError(`${new.target.name}: expected an optimiser, received ${describe(optimizer)}`, {
        op: new.target.name,
        received: optimizer,
        fix: `the optimiser comes first: new ${new.target.name}(optimizer, ...)`,
      });
    }
    this.#optimizer = optimizer;
    this.#rule = rule;
    for (const group of optimizer.groups) group.initialLr ??= group.lr;
    this.#apply();
  }

  /** Steps taken. */
  get steps(): number {
    return this.#step;
  }

  /** The learning rate that the first group has now. */
  get lr(): number {
    return this.#optimizer.groups[0]!.lr;
  }

  /** The learning rate after `step` steps for a group that starts with `initial`. */
  lrAt(step: number, initial: number): number {
    return this.#rule(step, initial);
  }

  step(): void {
    this.#step++;
    this.#apply();
  }

  stateDict(): { step: number } {
    return { step: this.#step };
  }

  /** Goes on from a saved state, and sets its rate. @throws ArgumentError */
  loadStateDict({ step }: { readonly step: number }): void {
    requireThat(
      Number.isInteger(step) && step >= 0,
      'loadStateDict',
      'step',
      step,
      'an integer of at least 0',
    );
    this.#step = step;
    this.#apply();
  }

  /** Drives this schedule's optimiser, for a schedule made of others. @internal */
  drives(optimizer: Scheduled): boolean {
    return this.#optimizer === optimizer;
  }

  #apply(): void {
    for (const group of this.#optimizer.groups) group.lr = this.#rule(this.#step, group.initialLr!);
  }
}

const requireGamma = (op: string, gamma: number): void =>
  requireThat(gamma >= 0 && gamma < Number.POSITIVE_INFINITY, op, 'gamma', gamma, 'a number of at least 0');
const requireCount = (op: string, name: string, value: number): void =>
  requireThat(Number.isInteger(value) && value >= 1, op, name, value, 'an integer of at least 1');

/** `lr = initial * factor(step)` */
export class LambdaLR extends Schedule {
  constructor(optimizer: Scheduled, factor: (step: number) => number) {
    super(optimizer, (step, initial) => initial * factor(step));
  }
}

export interface StepOptions {
  /** Steps with one rate. */
  readonly size: number;
  /** Default 0.1. */
  readonly gamma?: number;
}

const stepOptions: OptionNames<StepOptions> = { size: true, gamma: true };

/** `lr = initial * gamma^floor(step / size)` */
export class StepLR extends Schedule {
  constructor(optimizer: Scheduled, options: StepOptions) {
    requireOptions('StepLR', options, stepOptions);
    const { size, gamma = 0.1 } = options;
    requireCount('StepLR', 'size', size);
    requireGamma('StepLR', gamma);
    super(optimizer, (step, initial) => initial * gamma ** Math.floor(step / size));
  }
}

export interface MultiStepOptions {
  /** The steps at which the rate changes. */
  readonly milestones: readonly number[];
  /** Default 0.1. */
  readonly gamma?: number;
}

const multiStepOptions: OptionNames<MultiStepOptions> = { milestones: true, gamma: true };

/** `lr = initial * gamma^(number of milestones that are at most step)` */
export class MultiStepLR extends Schedule {
  constructor(optimizer: Scheduled, options: MultiStepOptions) {
    requireOptions('MultiStepLR', options, multiStepOptions);
    const { milestones, gamma = 0.1 } = options;
    const legal =
      Array.isArray(milestones) &&
      milestones.every((milestone) => Number.isInteger(milestone) && milestone >= 0);
    requireThat(legal, 'MultiStepLR', 'milestones', milestones, 'a list of integers of at least 0');
    requireGamma('MultiStepLR', gamma);
    const passed = (step: number): number => milestones.filter((milestone) => milestone <= step).length;
    super(optimizer, (step, initial) => initial * gamma ** passed(step));
  }
}

export interface ExponentialOptions {
  readonly gamma: number;
}

const exponentialOptions: OptionNames<ExponentialOptions> = { gamma: true };

/** `lr = initial * gamma^step` */
export class ExponentialLR extends Schedule {
  constructor(optimizer: Scheduled, options: ExponentialOptions) {
    requireOptions('ExponentialLR', options, exponentialOptions);
    const { gamma } = options;
    requireGamma('ExponentialLR', gamma);
    super(optimizer, (step, initial) => initial * gamma ** step);
  }
}

export interface CosineOptions {
  /** Steps until the rate is at its lowest. */
  readonly steps: number;
  /** The lowest rate. Default 0. */
  readonly min?: number;
}

const cosineOptions: OptionNames<CosineOptions> = { steps: true, min: true };

/** `lr = min + (initial - min) * (1 + cos(pi * step / steps)) / 2`; after `steps` it rises again, with period `2 * steps`. */
export class CosineAnnealingLR extends Schedule {
  constructor(optimizer: Scheduled, options: CosineOptions) {
    requireOptions('CosineAnnealingLR', options, cosineOptions);
    const { steps, min = 0 } = options;
    requireCount('CosineAnnealingLR', 'steps', steps);
    requireThat(min >= 0, 'CosineAnnealingLR', 'min', min, 'a number of at least 0');
    super(
      optimizer,
      (step, initial) => min + ((initial - min) * (1 + Math.cos((Math.PI * step) / steps))) / 2,
    );
  }
}

export interface WarmupOptions {
  /** Steps until the rate is `end * initial`. */
  readonly steps: number;
  /** Default 1/3. */
  readonly start?: number;
  /** Default 1. */
  readonly end?: number;
}

const warmupOptions: OptionNames<WarmupOptions> = { steps: true, start: true, end: true };

/** `lr = initial * (start + (end - start) * min(step / steps, 1))` */
export class LinearWarmup extends Schedule {
  constructor(optimizer: Scheduled, options: WarmupOptions) {
    requireOptions('LinearWarmup', options, warmupOptions);
    const { steps, start = 1 / 3, end = 1 } = options;
    requireCount('LinearWarmup', 'steps', steps);
    requireThat(
      start >= 0 && end >= 0,
      'LinearWarmup',
      'start and end',
      [start, end],
      'numbers of at least 0',
    );
    super(optimizer, (step, initial) => initial * (start + (end - start) * Math.min(step / steps, 1)));
  }
}

export interface SequentialOptions {
  /** The steps at which the next schedule starts. */
  readonly milestones: readonly number[];
}

const sequentialOptions: OptionNames<SequentialOptions> = { milestones: true };

/**
 * One schedule after the other: schedule i + 1 starts, with its own step 0, at milestone i. Only the sequence is stepped.
 *
 * @throws ArgumentError unless there is one milestone fewer than schedules, they rise, and all have this optimiser.
 * @example
 * const warmup = new LinearWarmup(optimizer, { steps: 100 });
 * const cosine = new CosineAnnealingLR(optimizer, { steps: 900 });
 * const schedule = new SequentialLR(optimizer, [warmup, cosine], { milestones: [100] });
 */
export class SequentialLR extends Schedule {
  constructor(optimizer: Scheduled, schedules: readonly Schedule[], options: SequentialOptions) {
    requireOptions('SequentialLR', options, sequentialOptions);
    const { milestones } = options;
    const rising =
      Array.isArray(milestones) &&
      milestones.every((each, i) => Number.isInteger(each) && each > (milestones[i - 1] ?? 0));
    const fits = milestones.length === schedules.length - 1;
    requireThat(
      rising && fits,
      'SequentialLR',
      'milestones',
      milestones,
      'rising integers, one fewer than schedules',
    );
    if (!schedules.every((schedule) => schedule.drives(optimizer))) {
      throw new ArgumentError('SequentialLR: a schedule of another optimiser', {
        op: 'SequentialLR',
        fix: 'make all schedules for the optimiser that the sequence is for',
      });
    }
    super(optimizer, (step, initial) => {
      const active = milestones.filter((milestone) => milestone <= step).length;
      return schedules[active]!.lrAt(step - (milestones[active - 1] ?? 0), initial);
    });
  }
}
