/** Kernels of many shapes. */
import {
  byteTransposeCases,
  coverCases,
  firstExtremeCases,
  gatherCases,
  type KernelCase,
  longReductionCases,
  longSumCases,
  loopCases,
  movedCases,
  orderedCases,
  reductionCases,
  rowCases,
  scatterCases,
  softmaxCases,
} from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import type { ShaderFeatures } from '../src/program.ts';
import { checkKernel, hardware, software } from './support/kernels.ts';

const folded: ShaderFeatures = { ...software, maxWorkgroups: 20 };
const small: ShaderFeatures = { ...hardware, maxInvocations: 64 };
const machines = { software, hardware, folded, small };

/** As `checkKernel`, of programs that stay within the grid of their device. */
async function check(
  each: KernelCase,
  on: Partial<typeof machines> = machines,
  leastStages = 1,
): Promise<void> {
  for (const features of Object.values(on)) {
    const { stages } = compileKernel(each.kernel, features);
    for (const { workgroups } of stages)
      expect(Math.max(...workgroups)).toBeLessThanOrEqual(features.maxWorkgroups);
    expect(stages.length).toBeGreaterThanOrEqual(leastStages);
  }
  await checkKernel(each, on);
}

test.concurrent.each([
  ...coverCases(),
  ...byteTransposeCases(),
  ...rowCases(),
  ...softmaxCases(),
  ...firstExtremeCases(),
  ...longSumCases(),
  ...loopCases(),
])('$name', { timeout: 120_000 }, (each) => check(each));

test.concurrent.each(scatterCases())(
  'the base is a dispatch of its own: $name',
  { timeout: 120_000 },
  (each) => check(each, machines, 2),
);

/** Each is planned for one of the devices, by no rule that a test could follow. */
const one = (cases: readonly KernelCase[]): (readonly [string, KernelCase, keyof typeof machines])[] =>
  cases.map((each, i) => {
    const names = Object.keys(machines) as (keyof typeof machines)[];
    return [each.name, each, names[(Math.imul(i, 0x9e3779b1) >>> 30) % names.length]!] as const;
  });

test.concurrent.each(
  one([...orderedCases(), ...movedCases(), ...gatherCases(), ...reductionCases(), ...longReductionCases()]),
)('%s', { timeout: 120_000 }, (_, each, name) => check(each, { [name]: machines[name] }));
