import { ArgumentError } from '@tutti/core';

/** Throws ArgumentError unless a setting lies where it makes sense; a NaN lies nowhere. */
export function requireThat(
  holds: boolean,
  op: string,
  name: string,
  received: unknown,
  range: string,
): void {
  if (holds) return;
  const shown = typeof received === 'number' ? String(received) : JSON.stringify(received);
  throw new ArgumentError(`${op}: ${name} is ${shown}`, {
    op,
    received,
    fix: `${name} is ${range}`,
  });
}

/** @throws ArgumentError unless the number is finite and at least 0. */
export function requireNotNegative(op: string, settings: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(settings)) {
    requireThat(value >= 0 && value < Number.POSITIVE_INFINITY, op, name, value, 'a number of at least 0');
  }
}
