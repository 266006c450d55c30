/** Words that are no commands: each is an error, and nothing of its submission runs. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { NativeDevice } from '../src/native/binding.ts';
import { bytesOf, Commands, floatsOf, functionOf, long, openDevice, saxpy, submit } from './support/addon.ts';

let device: NativeDevice;
let fn: number;
let address: number;

/** A launch that is right, of which a test spoils a word. */
let right: Uint32Array;

beforeEach(async () => {
  device = openDevice();
  fn = await functionOf(device, saxpy, 'saxpy');
  address = device.allocate(128);
  device.write(address, bytesOf(new Float32Array(32).fill(1)), true);
  right = new Commands().launch(fn, 1, 32, [{ address }, { address }, { float: 1 }, { int: 32 }]).words;
});

const first = (): number => floatsOf(device.readSync(address, 4))[0]!;

/** None of the ways to give commands takes these words, and the launch before them does not run either. */
function refused(words: readonly number[] | Uint32Array, message: RegExp): void {
  const all = Uint32Array.from([...right, ...words]);
  const wrong = expect.objectContaining({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(message),
  });
  expect(() => device.submit(all, all.length)).toThrow(wrong);
  expect(() => device.capture(all, all.length)).toThrow(wrong);
  expect(() => device.time(all, all.length)).toThrow(wrong);
  expect(first()).toBe(1);
}

const spoiled = (place: number, value: number): Uint32Array => {
  const words = right.slice();
  words[place] = value;
  return words;
};

describe('malformed commands', () => {
  it('runs what is right', () => {
    device.submit(right, right.length);
    expect(first()).toBe(2);
    device.submit(right, 0);
    expect(first()).toBe(2);
  });

  it('are cut off', () => {
    for (let length = 1; length < right.length; length++) refused(right.subarray(0, length), /cut off/);
    for (const size of [0, 1, right.length + 1, 0xffffffff]) refused(spoiled(1, size), /cut off/);
  });

  it('have no such code', () => {
    for (const code of [4, 5, 0xffffffff]) refused(spoiled(0, code), /there is no command/);
  });

  it('name no function', () => {
    for (const other of [fn + 1, 0xffffffff]) refused(spoiled(2, other), /there is no function/);
  });

  it('have an impossible grid or block', () => {
    for (const place of [3, 4, 5]) refused(spoiled(place, 0), /grid has 0 blocks/);
    refused(spoiled(3, 0x80000000), /grid has 2147483648/);
    for (const place of [4, 5]) refused(spoiled(place, 65_536), /grid has 65536/);
    for (const place of [6, 7, 8]) {
      refused(spoiled(place, 0), /no threads/);
      refused(spoiled(place, 1025), /more than 1024 threads/);
      refused(spoiled(place, 0xffffffff), /more than 1024 threads/);
    }
    const words = spoiled(6, 1024);
    words[7] = 2;
    refused(words, /more than 1024 threads/);
  });

  it('ask for more shared memory than the function has', () => {
    refused(spoiled(9, 1), /1 bytes of dynamic shared memory/);
    refused(spoiled(9, 0xffffffff), /dynamic shared memory/);
  });

  it('have parameters of another length than they say', () => {
    for (const bytes of [0, 4, 20, 22, 28, 0xffffffff, 0xfffffffc]) {
      refused(spoiled(10, bytes), /bytes of parameters/);
    }
    refused(spoiled(1, right.length - 1), /bytes of parameters/);
    const long = new Uint32Array(11 + 1025);
    long.set(right.subarray(0, 11));
    long[1] = long.length;
    long[10] = 4100;
    refused(long, /4100 bytes of parameters/);
  });

  it('are launches, copies or marks of a wrong length', () => {
    refused([0, 5, 0, 0, 0], /a launch has 5 words/);
    refused([1, 7, 0, 0, 0, 0, 0], /a copy has 7 words/);
    refused([2, 3, 0], /a mark has 3 words/);
  });

  it('copy what is not within one allocation', () => {
    const copy = (target: number, source: number, bytes: number) => [
      ...[1, 8],
      ...long(target),
      ...long(source),
      ...long(bytes),
    ];
    refused(copy(address, address, 129), /not within one allocation/);
    refused(copy(address + 1, address, 128), /not within one allocation/);
    refused(copy(address, 0, 1), /not within one allocation/);
    refused(copy(address, address, 2 ** 52), /not within one allocation/);
    refused([1, 8, ...Array(6).fill(0xffffffff)], /not within one allocation/);
    submit(device, new Commands().copy(0, 0, 0));
  });

  it('have marks where no time is taken', () => {
    const words = new Commands().mark().words;
    expect(() => device.submit(words, 2)).toThrow(/marks are for timing/);
    expect(() => device.capture(words, 2)).toThrow(/marks are for timing/);
  });

  it('are no words at all', () => {
    for (const words of [undefined, null, 1, [0], new Uint8Array(64), new ArrayBuffer(64)]) {
      expect(() => device.submit(words as never, 0)).toThrow(/not a Uint32Array/);
    }
    for (const length of [right.length + 1, -1, 0.5, Number.NaN, 2 ** 40, undefined]) {
      expect(() => device.submit(right, length as number)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
  });

  it('are refused without a crash, whatever they hold', () => {
    let state = 12345;
    const random = (bound: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % bound;
    };
    const values = [0, 1, 2, 3, 8, 11, fn, 0x7fffffff, 0xffffffff, 65_536];
    let refusals = 0;
    for (let round = 0; round < 3000; round++) {
      const words = round % 2 ? right.slice() : Uint32Array.from({ length: random(30) }, () => random(5));
      // Words from the eleventh on are parameters, which nothing can check: an address there may be anything.
      for (let spoils = 1 + random(4); spoils > 0; spoils--) {
        words[random(11)] = values[random(values.length)]!;
      }
      // A copy of no bytes and a mark are right; a launch of a function that exists, with its own parameters, too.
      try {
        device.capture(words, words.length);
      } catch (error) {
        expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
        refusals++;
      }
    }
    expect(refusals).toBeGreaterThan(2500);
    expect(first()).toBe(1);
  });
});
