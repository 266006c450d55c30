/** The suite in Node. Its kernels take minutes to compile in software, so part of it runs here: `pnpm conformance` runs all. */
import { conformance, deviceModes, withoutRoutines } from '@tutti/conformance';
import { pollGently, tellLeftOut, useDriver } from '@tutti/testbed';
import { expect, it } from 'vitest';
import { webgpu } from '../src/index.ts';

if (await useDriver()) pollGently();

it('conforms in every mode', async () => {
  const report = await conformance({ backend: webgpu, modes: deviceModes, every: 6, randomGraphs: 12 });
  tellLeftOut('in Node', report);
  expect(report.summary['webgpu']).toMatchObject({ fail: 0, unsupported: 0, notRun: 0 });
}, 600_000);

const decomposed = withoutRoutines(webgpu);
it.each(['matmul', 'linear', 'conv', 'Attention'])(
  'conforms without its routines: %s',
  async (filter) => {
    const modes = ['eager', 'gradient'] as const;
    const report = await conformance({ backend: decomposed, filter, modes, every: 20 });
    tellLeftOut(`without routines, ${filter}`, report);
  },
  200_000,
);
