import {
  type AnchorCase,
  attentionCases,
  attentionGradientCases,
  convCases,
  convEmptyCases,
  convPaddingCases,
  dotCases,
  randomConvCases,
  randomDotCases,
} from '@tutti/core/testing';
import { expect, test } from 'vitest';

const all = (): AnchorCase[] => [
  ...dotCases(),
  ...randomDotCases(1, 24),
  ...convCases(),
  ...convPaddingCases(),
  ...convEmptyCases(),
  ...randomConvCases(24),
  ...attentionCases(),
  ...attentionGradientCases(),
];

/** Of all kinds. */
const some = (): AnchorCase[] => all().filter((_, i) => i % 5 === 0);

test('cases have names of their own', () => {
  const names = all().map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

test('buffers are as the anchor says, and the same at each call', () => {
  for (const { name, anchor, contents, scalars } of some()) {
    const [buffers, again] = [contents(), contents()];
    for (const [slot, { length }] of anchor.buffers.entries()) {
      expect(buffers[slot], name).toHaveLength(length);
      const other = buffers[slot]!.findIndex((value, i) => !Object.is(value, again[slot]![i]));
      expect(other, name).toBe(-1);
    }
    expect(scalars, name).toHaveLength(anchor.scalars.length);
  }
});

test('a result that nobody computed is wrong', () => {
  for (const { name, anchor, contents, check } of some()) {
    const out = anchor.buffers.findIndex(({ access }) => access === 'write');
    if (anchor.buffers[out]!.length === 0) continue;
    const found = [0, 1, 3].map((value) => {
      const buffers = contents();
      buffers[out]!.fill(value);
      return check(buffers);
    });
    expect(
      found.some((wrong) => wrong?.startsWith(name)),
      name,
    ).toBe(true);
  }
});
