import { defaultCapabilities } from '@tutti/core/backend';
import { casesFor, type KernelCase, kernelCases, mathCases, randomCase } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { verifyKernel } from '../src/compiler/verify.ts';
import { interpretKernel } from '../src/testing/index.ts';

const all = (): KernelCase[] => [...kernelCases(), ...mathCases({ size: 1 << 15 })];
const withRandom = (): KernelCase[] => [
  ...all(),
  ...Array.from({ length: 20 }, (_, seed) => randomCase(seed, { simple: seed % 2 === 0 })),
];

test('cases have names of their own', () => {
  const names = withRandom().map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

test('kernels of cases keep what is promised to a device that offers what they need', () => {
  const little = { ...defaultCapabilities, rowPrograms: false, multipleOutputs: false, scatterStores: false };
  for (const { kernel, needs } of all()) {
    const needed = Object.fromEntries(needs.map((need) => [need, true]));
    verifyKernel(kernel, { ...little, buffersPerKernel: 24, ...needed });
  }
});

test('a device gets the cases that it can do', () => {
  const simple = casesFor({ rowPrograms: false, multipleOutputs: false, scatterStores: false }, withRandom());
  expect(simple.every(({ needs }) => needs.length === 0)).toBe(true);
  expect(casesFor(defaultCapabilities, withRandom())).toHaveLength(withRandom().length);
});

test('what the interpreter gives is right, and anything else is not', () => {
  const every = withRandom();
  for (let i = 0; i < every.length; i += 41) {
    const { name, kernel, scalars, contents, check } = every[i]!;
    const right = contents();
    interpretKernel(kernel, right, scalars);
    expect(check(right)).toBeUndefined();
    const stored = kernel.phases.flatMap((phase) => (phase.kind === 'map' ? phase.stores : []))[0]!.buffer;
    const wrong = right.map((buffer) => buffer.slice());
    wrong[stored]!.forEach((value, k) => {
      wrong[stored]![k] = Number(value === 0);
    });
    expect(check(wrong), name).toContain(name);
  }
});
