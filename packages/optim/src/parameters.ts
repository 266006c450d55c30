/** What is given in the place of parameters. */
import { ArgumentError, Variable } from '@tutti/core';
import { describe, isPromise } from '@tutti/core/graph';

export const isIterable = (value: unknown): value is Iterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.iterator in value;

/** Something that has to be asked for its parameters: a module. */
export const isModule = (value: unknown): value is { parameters: () => unknown } =>
  typeof (value as { parameters?: unknown } | null | undefined)?.parameters === 'function';

function remedy(input: unknown): string {
  if (isModule(input)) return 'pass its parameters: model.parameters()';
  if (input instanceof Variable) return 'put it into an array: [variable]';
  if (isPromise(input)) return 'await it first';
  return typeof input === 'function' ? 'call it: model.parameters()' : 'pass model.parameters()';
}

/** The error for something that is no list of parameters, or an empty one. */
export function withoutParameters(op: string, input: unknown): ArgumentError {
  const instead = isIterable(input) ? '' : `, but ${describe(input)}`;
  return new ArgumentError(`${op}: no parameters${instead}`, { op, received: input, fix: remedy(input) });
}

/** @throws ArgumentError unless it is a variable. */
export function requireVariable(op: string, parameter: unknown): Variable {
  if (parameter instanceof Variable) return parameter;
  throw new ArgumentError(`${op}: a parameter that is not a variable: ${describe(parameter)}`, {
    op,
    received: parameter,
    fix: isModule(parameter)
      ? remedy(parameter)
      : 'pass model.parameters(), or variables made with variable(...)',
  });
}
