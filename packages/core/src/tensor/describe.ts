/** Values in messages. */

/** True for whatever can be awaited. */
export const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

/** The name of an object's class; empty for plain objects, in every realm. */
function className(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return '';
  return value.constructor?.name ?? '';
}

/** A value in a message: short, whatever it is. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (isPromise(value)) return 'a promise';
  const name = className(value);
  if (name === '') return 'an object';
  return `${/^([AEIO]|HTML)/.test(name) ? 'an' : 'a'} ${name}`;
}
