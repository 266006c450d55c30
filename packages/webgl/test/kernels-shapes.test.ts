/** Kernels of many shapes, in one page: every way in which lanes and copies get their elements. */
import { InternalError, type Kernel } from '@tutti/core/backend';
import {
  byteTransposeCases,
  casesFor,
  coverCases,
  firstExtremeCases,
  gatherCases,
  KernelBuilder,
  type KernelCase,
  longReductionCases,
  longSumCases,
  loopCases,
  movedCases,
  orderedCases,
  reductionCases,
  variable,
} from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import type { ShaderFeatures } from '../src/program.ts';
import { capabilities } from './support/capabilities.ts';
import { checkKernels } from './support/run.ts';

/** Each is planned for software or for hardware, by no rule that a test could follow. */
const check = (cases: readonly KernelCase[]): Promise<void> =>
  checkKernels(cases, (i) => ({ software: Math.imul(i, 0x9e3779b1) < 0 }));

/** By the dtype that their names begin with or go on with. */
const byDType = (cases: readonly KernelCase[]): (readonly [string, KernelCase[]])[] => {
  const groups = new Map<string, KernelCase[]>();
  for (const each of cases) {
    const dtype = each.kernel.buffers[1]!.dtype;
    groups.set(dtype, [...(groups.get(dtype) ?? []), each]);
  }
  return [...groups];
};

test.each([
  ['elements in order, and under guards', orderedCases()],
  ['transposed, shifted, reversed, repeated and padded', movedCases()],
  ['places that are data', gatherCases()],
  [
    'many elements, and transposes of bytes',
    [...casesFor(capabilities, coverCases()), ...byteTransposeCases()],
  ],
  ['NaN and equals', firstExtremeCases()],
  ['windows, several loops and several accumulators', loopCases()],
])('%s', { timeout: 60_000 }, (_, cases) => check(cases));

test.each(byDType(reductionCases()))('every reduction of %s, along rows and columns', (_, cases) =>
  check(cases),
);

test.each(byDType(longReductionCases()))(
  'long loops of %s are gone through in parts',
  (_, cases) => {
    const features: ShaderFeatures = { maxInputs: 14, maxOutputs: 4, rowShift: 12, software: true };
    for (const { name, kernel } of cases) {
      for (const software of [true, false])
        expect(compileKernel(kernel, { ...features, software }).stages, name).toHaveLength(2);
    }
    return check(cases);
  },
  60_000,
);

test('long sums keep their precision', { timeout: 60_000 }, () => checkKernels(longSumCases(3e-6)));

/** Only what fragments cannot do is refused, and by name. */
test('refuses kernels that the capabilities rule out', () => {
  const features: ShaderFeatures = { maxInputs: 14, maxOutputs: 4, rowShift: 12, software: true };
  const i = variable('i', 8);
  const k = new KernelBuilder('elsewhere', [i], 'float32');
  const kernel = k.store(k.b.const('f32', 1));
  const [map] = kernel.phases;
  if (map?.kind !== 'map') throw new TypeError('a map');
  const stores = (store: object): Kernel => ({
    ...kernel,
    phases: [{ ...map, stores: [{ ...map.stores[0]!, ...store }] }],
  });
  const refused = [
    stores({ index: k.add(k.b.index(i), 1) }),
    stores({ mode: 'add' }),
    { ...kernel, phases: [map, map] },
    { ...kernel, phases: [{ ...map, loops: [variable('k', 3)] }] },
    { ...kernel, phases: [{ ...map, stores: [map.stores[0]!, map.stores[0]!] }] },
  ];
  for (const each of refused) expect(() => compileKernel(each, features)).toThrow(InternalError);
  const many = new KernelBuilder('many', [i], 'float32');
  const inputs = Array.from({ length: 15 }, () => many.input('float32', 8)(many.b.index(i)));
  const sum = inputs.reduce((a, x) => many.b.alu('add', 'f32', a, x));
  expect(() => compileKernel(many.store(sum), features)).toThrow(InternalError);
});
