/** The errors of all packages have their names written out, because classes lose theirs in a program that is minified. */
import * as conformance from '@tutti/conformance';
import * as tutti from 'tutti';
import { expect, it } from 'vitest';

type ErrorClass = typeof tutti.TuttiError;

const { data, nn, optim } = tutti;
const exported = Object.entries<unknown>({ ...tutti, ...data, ...nn, ...optim, ...conformance });
const classes = exported.filter((entry): entry is [string, ErrorClass] => {
  const [, value] = entry;
  return (
    typeof value === 'function' && (value === tutti.TuttiError || value.prototype instanceof tutti.TuttiError)
  );
});

it.each(classes)('%s', (name, { prototype }) => {
  expect(Object.hasOwn(prototype, 'name')).toBe(true);
  expect(prototype.name).toBe(name);
});

it('are those of several packages', () => {
  const names = classes.map(([name]) => name);
  expect(names).toEqual(expect.arrayContaining(['TuttiError', 'StateDictError', 'ConformanceError']));
});
