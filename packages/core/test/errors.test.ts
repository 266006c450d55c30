/** Errors as people and programs see them. */
import { describe, expect, it } from 'vitest';
import * as backend from '../src/backend/index.ts';
import * as t from './all.ts';

type ErrorClass = new (message: string, details?: backend.ErrorDetails) => backend.TuttiError;

const classes = Object.entries<unknown>({ ...backend, ...t }).filter(
  (entry): entry is [string, ErrorClass] =>
    typeof entry[1] === 'function' && entry[1].prototype instanceof backend.TuttiError,
);

describe('every error', () => {
  it.each(classes)('has its name written out: %s', (name, type) => {
    const error = new type('wrong', { op: 'add', fix: 'right' });
    expect(error.name).toBe(name);
    // A program that was minified calls its classes otherwise.
    const l = class extends type {};
    expect(new l('wrong').name).toBe(name);
    expect(String(error)).toBe(`${name}: wrong\n  fix: right`);
    expect(error.stack).toContain(`${name}: wrong`);
    expect(Object.keys(error)).not.toContain('name');
  });

  it('is one of a list that is not empty', () => {
    expect(classes.length).toBeGreaterThan(10);
    expect(new backend.TuttiError('TUTTI_TEST', 'wrong').name).toBe('TuttiError');
  });
});

it('amounts of memory are bytes, and MiB where there are many', () => {
  expect(backend.describeBytes(12)).toBe('12 bytes');
  expect(backend.describeBytes(838860800)).toBe('838860800 bytes (800.0 MiB)');
  expect(() => backend.checkBufferSize(4, 4, 'split')).not.toThrow();
  for (const bytes of [5, -1, 1.5, Number.NaN]) {
    expect(() => backend.checkBufferSize(bytes, 4, 'split')).toThrow(
      expect.objectContaining({ code: 'TUTTI_OUT_OF_MEMORY', received: bytes, fix: 'split' }),
    );
  }
});
