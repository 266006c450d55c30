import type { ConvAnchor } from '@tutti/core/backend';
import {
  type ConvCase,
  type ConvOptions,
  convAnchor,
  convCases,
  convEmptyCases,
  convLayers,
  convPaddingCases,
  generator,
  randomConvCases,
} from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { forwardProgram } from '../src/routines/conv-forward.ts';
import { reduceProgram } from '../src/routines/conv-reduce.ts';
import { routine } from '../src/routines/index.ts';
import { check, checkCase } from './routines-harness.ts';

const text = (a: ConvAnchor): string => {
  const { kind: _k, name: _n, buffers: _b, scalars: _s, type: _t, ...rest } = a;
  return JSON.stringify(rest);
};

const isEmpty = ({ buffers, inSize, inChannels }: ConvAnchor): boolean =>
  buffers.some(({ length }) => length === 0) || inSize.includes(0) || inChannels === 0;

function verify(options: ConvOptions, seed: number): void {
  const anchor = convAnchor(options);
  const program = routine(anchor);
  expect(program, text(anchor)).toBeDefined();
  check(anchor, program!, generator(seed), text(anchor));
  // The choice between the two is one of speed: both must be right for any shape.
  if (isEmpty(anchor)) return;
  check(anchor, forwardProgram(anchor), generator(seed), `forward ${text(anchor)}`);
  check(anchor, reduceProgram(anchor), generator(seed), `reduce ${text(anchor)}`);
}

/** By the routine that is chosen, and by both. */
function verifyCase(each: ConvCase): void {
  const { anchor } = each;
  const program = routine(anchor);
  expect(program, text(anchor)).toBeDefined();
  checkCase(each, program!);
  if (isEmpty(anchor) || anchor.buffers.some(({ dtype }) => dtype !== 'float32')) return;
  checkCase(each, forwardProgram(anchor));
  checkCase(each, reduceProgram(anchor));
}

/** Only one to three axes are taken. */
const declined = ['no axis', 'four axes'];
const isTaken = (name: string): boolean => !declined.includes(name.replace(', not all finite', ''));

describe('conv', () => {
  it.each(
    [...convCases(), ...convPaddingCases(), ...convEmptyCases(), ...randomConvCases(24)].filter(({ name }) =>
      isTaken(name),
    ),
  )('$name', verifyCase);

  it.each(Object.keys(convLayers).filter(isTaken))('is as exact as float32 allows: %s', (name) => {
    const { epilogue: _e, dtypes: _d, ...plain } = convLayers[name]!;
    verify(plain, 1);
    verify({ ...plain, flip: !plain.flip, spread: false }, 2);
  });

  it('leaves to others what has no axis, and what has more than three', () => {
    for (const name of declined) expect(routine(convAnchor(convLayers[name]!))).toBeUndefined();
  });

  it.each([0, 1, 2, 3, 4, 5])('matches the reference on random convolutions, part %i', (part) => {
    const random = generator(100 + part);
    const int = (from: number, to: number): number => from + Math.floor(random() * (to - from + 1));
    for (let round = 0; round < 60; round++) {
      const dims = int(1, 3);
      const axes = <T>(make: () => T): T[] => Array.from({ length: dims }, make);
      const large = dims === 3 ? 7 : dims === 2 ? 14 : 60;
      const options: ConvOptions = {
        batch: int(1, 3),
        groups: random() < 0.3 ? int(2, 3) : 1,
        inChannels: random() < 0.2 ? int(20, 60) : int(1, 6),
        outChannels: random() < 0.2 ? int(20, 40) : int(1, 9),
        inSize: axes(() => int(1, large)),
        kernelSize: axes(() => (random() < 0.15 ? int(4, 8) : int(1, 3))),
        stride: axes(() => (random() < 0.6 ? 1 : int(2, 3))),
        padLow: axes(() => (random() < 0.4 ? 0 : int(-1, 3))),
        padHigh: axes(() => int(-1, 3)),
        inputDilation: axes(() => (random() < 0.7 ? 1 : int(2, 3))),
        kernelDilation: axes(() => (random() < 0.6 ? 1 : int(2, 3))),
        swapLhs: random() < 0.3,
        swapRhs: random() < 0.3,
        spread: random() < 0.15,
        flip: random() < 0.2,
      };
      verify(options, part * 1000 + round);
    }
  });
});
