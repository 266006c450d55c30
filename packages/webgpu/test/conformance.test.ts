/** The suite in Node. Its kernels take minutes to compile in software, so part of it runs here: `pnpm conformance` runs all. */
import { conformance, deviceModes, withoutRoutines } from '@tutti/conformance';
import { pollGently, useDriver } from '@tutti/testbed';
import { expect, it } from 'vitest';
import { webgpu } from '../src/index.ts';
import { tell } from './support/conformance.ts';

if (await useDriver()) pollGently();

it('conforms in every mode', async () => {
  const report = await conformance({ backend: webgpu, modes: deviceModes, every: 6, randomGraphs: 12 });
  tell('in Node', report);
  expect(report.summary['webgpu']).toMatchObject({ fail: 0, unsupported: 0, notRun: 0 });
}, 600_000);

const decomposed = withoutRoutines(webgpu);
it.each(['matmul', 'linear', 'conv', 'Attention'])(
  'conforms without its routines: %s',
  async (filter) => {
    await conformance({ backend: decomposed, filter, modes: ['eager', 'gradient'], every: 20 });
  },
  200_000,
);
