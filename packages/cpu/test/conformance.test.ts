import { conformance, formatFaults, plantFaults } from '@tutti/conformance';
import { expect, it } from 'vitest';
import { createCpuBackend } from '../src/index.ts';

it('conforms on one thread', async () => {
  const report = await conformance({ backend: createCpuBackend({ threads: 1 }) });
  expect(report.summary['cpu']).toMatchObject({ fail: 0, unsupported: 0, notRun: 0 });
}, 400_000);

it('would be caught with any of the known faults, those in routines included', async () => {
  const results = await plantFaults(createCpuBackend({ threads: 1 }));
  expect(
    results.filter(({ caught }) => !caught),
    formatFaults(results),
  ).toEqual([]);
}, 400_000);
