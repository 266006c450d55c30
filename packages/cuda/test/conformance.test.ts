/** The suite on an emulated device. Its kernels take minutes to compile, so part of it runs here: `pnpm conformance` runs all. */
import { conformance, deviceModes, withoutRoutines } from '@tutti/conformance';
import { tellLeftOut } from '@tutti/testbed';
import { expect, it } from 'vitest';
import { createCudaBackend } from '../src/index.ts';
import { emulation } from './support/device.ts';

const emulated = createCudaBackend(emulation);

it('conforms in every mode', async () => {
  const report = await conformance({ backend: emulated, modes: deviceModes, every: 12, randomGraphs: 4 });
  tellLeftOut('on an emulated device', report);
  expect(report.summary['cuda-emulated']).toMatchObject({ fail: 0, unsupported: 0, notRun: 0 });
  expect(report.summary).not.toHaveProperty('cuda');
}, 900_000);

const decomposed = withoutRoutines(emulated);
it.each(['matmul', 'conv', 'Attention'])(
  'conforms without its routines: %s',
  async (filter) => {
    const modes = ['eager', 'gradient'] as const;
    const report = await conformance({ backend: decomposed, filter, modes, every: 20 });
    tellLeftOut(`without routines, ${filter}`, report);
  },
  300_000,
);
