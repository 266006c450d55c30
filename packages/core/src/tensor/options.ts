/** Options are looked at before anything is done: a misspelt one that was passed over would be found out much later. */
import { ArgumentError } from '../backend/index.ts';
import { closestName } from '../backend/suggest.ts';
import { describe, isPromise } from './describe.ts';

/** The names of some options. As a table, one that is missing or too many does not compile. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/**
 * Refuses options that are no object, or have a name that does not exist. Undefined is the absence of options.
 *
 * @throws ArgumentError
 *
 * @example
 * const names: OptionNames<ReduceOptions> = { keepDim: true };
 * checkOptions('sum', options, names);
 */
export function checkOptions<Options>(
  op: string,
  options: Options | undefined,
  names: OptionNames<NoInfer<Options>>,
): void {
  if (options === undefined) return;
  // This runs with every operation: what is good is found out without making an object.
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    refuseValue(op, options, names);
  let known = 0;
  for (const name in options) {
    if ((names as Readonly<Record<string, unknown>>)[name] === true) known++;
    else refuseName(op, options, name, names);
  }
  if (known === 0 && Object.getPrototypeOf(options) !== Object.prototype && describe(options) !== 'an object')
    refuseValue(op, options, names);
}

/** As {@link checkOptions}, where there have to be some. @throws ArgumentError */
export function requireOptions<Options>(
  op: string,
  options: Options | undefined,
  names: OptionNames<NoInfer<Options>>,
): void {
  if (options === undefined) refuseValue(op, options, names);
  checkOptions(op, options, names);
}

/**
 * Refuses an object of options behind the last argument of a function that takes none. Anything else may stand there, as the
 * index and the array do in `functions.map(jit)`.
 *
 * @throws ArgumentError
 */
export function refuseOptions(op: string, others: readonly unknown[], fix: string): void {
  const [options] = others;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return;
  const [name] = Object.keys(options);
  const what = name === undefined ? '' : `, and there is none called ${JSON.stringify(name)}`;
  throw new ArgumentError(`${op}: it takes no options${what}`, { op, received: options, fix });
}

/** Options that are often given by position elsewhere, by the kind of value that stands in their place. */
const usual: Readonly<Record<string, readonly string[]>> = {
  boolean: ['keepDim', 'training', 'causal', 'bias', 'strict'],
  string: ['dtype', 'reduction', 'approximate'],
  number: [
    'lr',
    'stride',
    'value',
    'delta',
    'p',
    'correction',
    'batchSize',
    'padding',
    'size',
    'steps',
    'gamma',
  ],
  array: ['shape', 'stride', 'milestones'],
  Generator: ['generator'],
  Device: ['device'],
  Tensor: ['mask', 'weight', 'bias'],
  Variable: ['mask', 'weight', 'bias'],
};

/** A value as it would be written, where that is short. */
function written(value: unknown): string {
  if (Array.isArray(value) && value.length <= 8 && value.every((each) => typeof each === 'number'))
    return `[${value.join(', ')}]`;
  return typeof value === 'object' ? '...' : describe(value);
}

function refuseValue(op: string, options: unknown, names: object): never {
  const known = Object.keys(names);
  const kind = Array.isArray(options)
    ? 'array'
    : typeof options === 'object'
      ? (options?.constructor?.name ?? '')
      : typeof options;
  const guess = usual[kind]?.find((name) => known.includes(name));
  const example = guess ? `{ ${guess}: ${written(options)} }` : `{ ${known[0]}: ... }`;
  throw new ArgumentError(`${op}: expected an object of options, received ${describe(options)}`, {
    op,
    received: options,
    fix: isPromise(options)
      ? 'await it first'
      : `${guess ? `did you mean ${example}?` : `write ${example}.`} ${listed(op, known)}`,
  });
}

function refuseName(op: string, options: object, name: string, names: object): void {
  if (!Object.hasOwn(options, name)) return; // a method, or what a program put into every object
  const known = Object.keys(names);
  if (describe(options) !== 'an object' && !known.some((each) => Object.hasOwn(options, each)))
    refuseValue(op, options, names);
  const guess = closestName(name, known);
  throw new ArgumentError(`${op}: there is no option ${JSON.stringify(name)}`, {
    op,
    received: name,
    fix: `${guess ? `did you mean ${guess}? ` : ''}${listed(op, known)}`,
  });
}

const listed = (op: string, known: readonly string[]): string =>
  `${op} takes the option${known.length === 1 ? '' : 's'} ${known.join(', ')}`;

/** What is thrown for an option whose value is none of those that it takes. */
export const refusedOption = (op: string, name: string, value: unknown, fix: string): ArgumentError =>
  new ArgumentError(`${op}: ${name} is ${describe(value)}`, {
    op,
    received: value,
    fix: isPromise(value) ? 'await it first' : fix,
  });
