import { add, noGrad, ShapeError, scope, slice, type Tensor, Variable, zeros, zerosLike } from '@tutti/core';
import { fromHost } from '@tutti/core/graph';
import { dropGradient } from './gradient.ts';
import { makeGroups, type ParameterGroup, type ParametersInput } from './group.ts';
import { loadState, type OptimizerState, saveState } from './state.ts';

/** Tensors by name. */
export type Slots = Readonly<Record<string, Tensor>>;

/** What a rule computes the new value of one parameter from. */
export interface UpdateInput<Settings> {
  readonly value: Tensor;
  readonly gradient: Tensor;
  readonly slots: Slots;
  /** Scalars of this parameter, from `shared`. */
  readonly shared: Slots;
  /** The learning rate, a scalar. */
  readonly rate: Tensor;
  readonly settings: Settings;
}

/** The mathematics of an optimiser: pure functions of tensors. */
export interface UpdateRule<Settings> {
  readonly name: string;
  /** @throws ArgumentError for settings that make no sense. */
  check(settings: Settings): void;
  /** Names of the tensors kept for each parameter. They start at 0. */
  slots(settings: Settings): readonly string[];
  /** Whether the steps of each parameter are counted. */
  counts(settings: Settings): boolean;
  /** Values that depend on the step alone, for all parameters at once: steps (P), from 1 on -> each (P). */
  shared(steps: Tensor, settings: Settings): Slots;
  update(input: UpdateInput<Settings>): { readonly value: Tensor; readonly slots: Slots };
}

/** A group with the state of its parameters. */
export interface GroupState<Settings extends { readonly lr: number }> {
  readonly group: ParameterGroup<Settings>;
  readonly slots: readonly Readonly<Record<string, Variable>>[];
  /** How many steps each parameter has had, float32 (P). */
  readonly steps: Variable | undefined;
}

/**
 * Base of the optimisers. `step()` reads the parameters' gradients and assigns new values, eagerly or inside of `jit`. All
 * state is made with the optimiser, so that a captured step finds it.
 */
export abstract class Optimizer<Settings extends { readonly lr: number } = { readonly lr: number }> {
  readonly groups: readonly ParameterGroup<Settings>[];
  readonly #rule: UpdateRule<Settings>;
  readonly #states: readonly GroupState<Settings>[];

  /**
   * `defaults` names every setting that there is, and `options` are those of them that were chosen.
   *
   * @throws ArgumentError when there are no parameters, one comes twice, or a setting is out of its range or not known.
   */
  constructor(
    rule: UpdateRule<Settings>,
    parameters: ParametersInput<Settings>,
    defaults: Settings,
    options: Partial<Settings> = {},
  ) {
    this.#rule = rule;
    this.groups = makeGroups(parameters, defaults, options, rule);
    this.#states = this.groups.map((group) => makeState(rule, group));
  }

  /** The learning rate of the first group. Setting it sets that of all groups, from the next step on. */
  get lr(): number {
    return this.groups[0]!.lr;
  }

  set lr(value: number) {
    for (const group of this.groups) group.lr = value;
  }

  /**
   * One update of every parameter that has a gradient. The others, and what is kept for them, stay as they are.
   *
   * @throws ShapeError for a gradient of another shape than its parameter.
   */
  step(): void {
    noGrad(() =>
      scope(() => {
        for (const state of this.#states) this.#stepGroup(state);
      }),
    );
  }

  /** Drops the gradients of all parameters and gives their memory back. */
  zeroGrad(): void {
    for (const { parameters } of this.groups) parameters.forEach(dropGradient);
  }

  /** The state as it is now; later steps do not change it. The tensors are the caller's to dispose of. */
  stateDict(): OptimizerState {
    return saveState(this.#states);
  }

  /**
   * Goes on from a saved state. On an error nothing has changed.
   *
   * @throws TuttiError with the code TUTTI_STATE_DICT when names, shapes or the number of groups do not fit.
   */
  loadStateDict(state: OptimizerState): void {
    loadState(this.#states, state);
  }

  /** Gives the memory of the state back; the parameters stay. */
  dispose(): void {
    for (const { group, slots, steps } of this.#states) {
      group.rate.dispose();
      steps?.dispose();
      for (const slot of slots) for (const variable of Object.values(slot)) variable.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #stepGroup({ group, slots, steps }: GroupState<Settings>): void {
    const { parameters, rate, settings } = group;
    const due = parameters.map((parameter) => parameter.grad !== undefined);
    if (!due.includes(true)) return;
    const counted = steps && add(steps, increment(due, rate));
    const shared = counted ? this.#rule.shared(counted, settings) : {};
    if (counted) steps.assign(counted);
    for (const [i, parameter] of parameters.entries()) {
      const gradient = parameter.grad;
      if (!gradient) continue;
      checkGradient(this.#rule.name, parameter, gradient);
      const mine = Object.fromEntries(Object.entries(shared).map(([name, all]) => [name, slice(all, i)]));
      const old = slots[i]!;
      const next = this.#rule.update({
        value: parameter,
        gradient,
        slots: old,
        shared: mine,
        rate,
        settings,
      });
      for (const [name, variable] of Object.entries(old)) variable.assign(next.slots[name]!);
      parameter.assign(next.value);
    }
  }
}

/** 1 for each parameter that takes part in this step. */
function increment(due: readonly boolean[], near: Tensor): Tensor | number {
  if (due.every(Boolean)) return 1;
  return fromHost(Float32Array.from(due, Number), [due.length], 'float32', near.device);
}

function checkGradient(op: string, parameter: Variable, gradient: Tensor): void {
  const { shape } = parameter;
  if (
    gradient.shape.length === shape.length &&
    gradient.shape.every((extent, axis) => extent === shape[axis])
  )
    return;
  throw new ShapeError(`${op}: gradient of shape [${gradient.shape}] for a parameter of shape [${shape}]`, {
    op,
    received: gradient.shape,
    fix: 'a gradient set by hand has the shape of its parameter',
  });
}

function makeState<Settings extends { readonly lr: number }>(
  rule: UpdateRule<Settings>,
  group: ParameterGroup<Settings>,
): GroupState<Settings> {
  const { parameters, settings } = group;
  const { device } = parameters[0]!;
  const names = rule.slots(settings);
  const slots = parameters.map((parameter) =>
    Object.fromEntries(names.map((name) => [name, startAtZero(zerosLike(parameter), name)])),
  );
  const steps = rule.counts(settings)
    ? startAtZero(zeros([parameters.length], { device }), 'step')
    : undefined;
  return { group, slots, steps };
}

function startAtZero(value: Tensor, name: string): Variable {
  const result = new Variable(value, { requiresGrad: false, name });
  value.dispose();
  return result;
}
