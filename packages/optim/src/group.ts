import { ArgumentError, DeviceError, DTypeError, Tensor, TraceError, Variable } from '@tutti/core';
import { checkOptions, context, fromHost, type OptionNames } from '@tutti/core/graph';
import { isIterable, isModule, requireVariable, withoutParameters } from './parameters.ts';

/** Parameters that are trained with the same settings, and the settings that differ from the optimiser's. */
export type GroupInput<Settings> = { readonly parameters: Iterable<Variable> } & Partial<Settings>;

/** What an optimiser trains: parameters, or groups of them. */
export type ParametersInput<Settings> = Iterable<Variable> | Iterable<GroupInput<Settings>>;

/**
 * Parameters with common settings. The learning rate is data: a float32 scalar on the parameters' device, so that a
 * captured step sees a new rate. The other settings are part of the captured step and do not change.
 */
export class ParameterGroup<Settings extends { readonly lr: number }> {
  readonly parameters: readonly Variable[];
  readonly settings: Readonly<Settings>;
  /** The learning rate as the step reads it. */
  readonly rate: Variable;
  /** The rate that schedules start from: the one at the time when the first schedule was made. */
  initialLr: number | undefined;
  #lr: number;

  constructor(parameters: readonly Variable[], settings: Settings, op: string) {
    this.parameters = parameters;
    this.settings = settings;
    this.#lr = checkRate(settings.lr, op);
    const { device } = parameters[0]!;
    for (const parameter of parameters) checkParameter(parameter, parameters[0]!, op);
    const first = fromHost(Float32Array.of(settings.lr), [], 'float32', device);
    this.rate = new Variable(first, { requiresGrad: false, name: 'lr' });
    first.dispose();
  }

  /** The learning rate. Setting it takes effect at the next step. @throws ArgumentError, TraceError */
  get lr(): number {
    return this.#lr;
  }

  set lr(value: number) {
    checkRate(value, 'lr');
    if (context.trace) {
      throw new TraceError('lr: the learning rate was set inside of a traced function', {
        op: 'lr',
        received: value,
        fix: 'set it, or step the schedule, outside of the function given to jit: the captured step reads the new rate',
      });
    }
    if (value === this.#lr) return;
    this.#lr = value;
    const next = fromHost(Float32Array.of(value), [], 'float32', this.rate.device);
    this.rate.assign(next);
    next.dispose();
  }
}

function checkRate(value: number, op: string): number {
  if (value >= 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new ArgumentError(`${op}: learning rate ${value}`, {
    op,
    received: value,
    fix: 'it is a number of at least 0',
  });
}

function checkParameter(parameter: Variable, first: Variable, op: string): void {
  if (parameter.dtype !== 'float32') {
    throw new DTypeError(`${op}: a parameter of dtype ${parameter.dtype}`, {
      op,
      received: parameter.dtype,
      fix: 'train parameters in float32 and cast them where they are used',
    });
  }
  if (parameter.device.same(first.device)) return;
  throw new DeviceError(`${op}: parameters on ${first.device} and on ${parameter.device} in one group`, {
    op,
    received: parameter.device.id,
    fix: 'make a group for each device',
  });
}

/** What an optimiser needs to know about its settings to read them. */
interface SettingsRule<Settings> {
  readonly name: string;
  check(settings: Settings): void;
}

/**
 * Reads what an optimiser was given. `defaults` has all settings.
 *
 * @throws ArgumentError when there is nothing, or something twice, or a setting that does not exist.
 */
export function makeGroups<Settings extends { readonly lr: number }>(
  input: ParametersInput<Settings>,
  defaults: Settings,
  options: Partial<Settings>,
  { name: op, check }: SettingsRule<Settings>,
): ParameterGroup<Settings>[] {
  const names = Object.fromEntries(
    Object.keys(defaults).map((name) => [name, true]),
  ) as OptionNames<Settings>;
  checkOptions(op, options, names);
  const items = isIterable(input) ? [...input] : [];
  if (items.length === 0) throw withoutParameters(op, input);
  const inputs = items.every((item) => item instanceof Variable)
    ? [{ parameters: items } as unknown as GroupInput<Settings>]
    : (items as GroupInput<Settings>[]);
  const seen = new Set<Variable>();
  return inputs.map((each) => {
    checkGroup(op, each, { ...names, parameters: true });
    const { parameters, ...own } = each;
    const list = isIterable(parameters) ? [...parameters] : [];
    for (const parameter of list) claim(parameter, seen, op);
    if (list.length === 0) {
      throw new ArgumentError(`${op}: a group without parameters`, {
        op,
        received: each,
        fix: 'a group is { parameters: [...], lr?: .. } with at least one variable',
      });
    }
    const settings = { ...defaults, ...options, ...own } as Settings;
    check(settings);
    return new ParameterGroup(list, settings, op);
  });
}

/** @throws ArgumentError unless it is parameters with settings that exist. */
function checkGroup(op: string, group: unknown, names: Readonly<Record<string, true>>): void {
  if (group instanceof Tensor || isModule(group)) requireVariable(op, group);
  if (Array.isArray(group)) {
    throw new ArgumentError(`${op}: an array among the parameters`, {
      op,
      received: group,
      fix: 'pass model.parameters(), a list of variables without names',
    });
  }
  checkOptions(`a group of ${op}`, group as Record<string, unknown>, names);
}

function claim(given: unknown, seen: Set<Variable>, op: string): void {
  const parameter = requireVariable(op, given);
  if (seen.has(parameter)) {
    const name = parameter.name ? ` (${parameter.name})` : '';
    throw new ArgumentError(`${op}: a parameter was given twice${name}`, {
      op,
      received: parameter.name,
      fix: 'each parameter belongs to one group, once',
    });
  }
  seen.add(parameter);
}
