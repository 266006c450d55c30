/** The suite on a device that has nothing beyond what every WebGPU device has; `TUTTI_WEBGPU_LIMITS=default pnpm conformance` runs all. */
import { conformance } from '@tutti/conformance';
import { pollGently, tellLeftOut, useDriver } from '@tutti/testbed';
import { expect, it } from 'vitest';
import { createWebgpuBackend } from '../src/index.ts';

if (await useDriver()) pollGently();

it('conforms with the least limits', async () => {
  const report = await conformance({
    backend: createWebgpuBackend({ limits: 'default' }),
    modes: ['eager', 'gradient', 'random'],
    every: 20,
    randomGraphs: 8,
  });
  tellLeftOut('in Node, with the least limits', report);
  expect(report.summary['webgpu']).toMatchObject({ fail: 0, unsupported: 0, notRun: 0 });
}, 600_000);
