import { conformance, faults, formatFaults, plantFaults, withoutRoutines } from '@tutti/conformance';
import { expect, it } from 'vitest';
import { createCpuBackend } from '../src/index.ts';

const backend = createCpuBackend({ threads: 1 });

it('conforms on one thread', async () => {
  const report = await conformance({ backend });
  expect(report.summary['cpu']).toMatchObject({ fail: 0, unsupported: 0, notRun: 0 });
}, 400_000);

const decomposed = withoutRoutines(backend);
it.each(['matmul', 'linear', 'conv', 'Attention'])(
  'conforms without its routines: %s',
  async (filter) => {
    await conformance({ backend: decomposed, filter, modes: ['eager', 'gradient'] });
  },
  100_000,
);

it('would be caught with a fault in its routines', async () => {
  const inRoutines = faults.filter(({ needsRoutines }) => needsRoutines);
  const results = await plantFaults(backend, inRoutines);
  expect(
    results.filter(({ caught }) => !caught),
    formatFaults(results),
  ).toEqual([]);
  expect(results.length).toBeGreaterThan(0);
}, 100_000);
