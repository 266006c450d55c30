import { defaultCapabilities } from '@tutti/core/backend';
import {
  type BufferContents,
  casesFor,
  type JointCase,
  jointCases,
  type KernelCase,
  kernelCases,
  mathCases,
  randomCase,
  runProgram,
} from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { verifyJoint, verifyKernel } from '../src/compiler/verify.ts';
import { interpreterBackend, interpretKernel } from '../src/testing/index.ts';

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

test('joint kernels of cases keep what is promised to a device that runs them', () => {
  for (const { joint, buffers } of jointCases()) {
    const places = buffers.map((_, i) => `${i}`);
    verifyJoint(joint, places, { ...defaultCapabilities, jointBuffers: places.length });
  }
});

test('a joint kernel does to each part what its body does', async () => {
  const device = await interpreterBackend().open(0);
  const [{ joint, buffers, contents, scalars }] = jointCases() as [JointCase];
  const got = await runProgram(device, device.joint!(joint)!, { buffers }, contents(), scalars);
  const all = contents();
  for (const [p, { points, origins }] of joint.parts.entries()) {
    const [parameter, moment, gradient, corrections] = all.slice(4 * p, 4 * p + 4) as [
      BufferContents,
      BufferContents,
      BufferContents,
      BufferContents,
    ];
    for (let i = 0; i < points; i++) {
      moment[i] = 2 * moment[i]! + gradient[i]!;
      parameter[i] = parameter[i]! - scalars[p]! * moment[i]! * corrections[origins[3]!]!;
    }
  }
  expect(got).toEqual(all);
  expect(new Set(scalars).size).toBeGreaterThan(1);
});

test('a joint case tells what is wrong', () => {
  for (const { contents, check } of jointCases()) expect(check(contents())).toMatch(/of part \d+ is/);
});
