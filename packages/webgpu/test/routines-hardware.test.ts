/**
 * What is generated for hardware, from the public operations down, on whatever device there is. The tiles of matrix products take
 * minutes to compile in software: routines-dot.test.ts has them.
 */
import { conformance } from '@tutti/conformance';
import type { BackendFactory } from '@tutti/core/backend';
import { expect, it } from 'vitest';
import { WebgpuBackend } from '../src/backend.ts';
import { webgpu } from '../src/index.ts';
import { compileKernel } from '../src/kernels/index.ts';
import type { ShaderFeatures } from '../src/program.ts';
import { routine } from '../src/routines/index.ts';
import { openDevice } from '../src/runtime/device.ts';
import { adapter } from './support/device.ts';

const asHardware = (features: ShaderFeatures): ShaderFeatures => ({ ...features, software: false });
const asked: string[] = [];

const hardware: BackendFactory = {
  name: 'hardware',
  priority: 0,
  probe: () => webgpu.probe(),
  open: async () =>
    new WebgpuBackend(await openDevice(await adapter(), false), {
      compileKernel: (kernel, features) => compileKernel(kernel, asHardware(features)),
      routine(anchor, features) {
        const program = routine(anchor, asHardware(features));
        if (program) asked.push(anchor.kind);
        return program;
      },
    }),
};

it.each([
  ['conv2d', 'conv'],
  ['scaledDotProductAttention', 'attention'],
])(
  '%s conforms',
  async (filter, kind) => {
    await conformance({
      backend: hardware,
      filter,
      modes: ['eager', 'gradient'],
      every: 12,
      randomGraphs: 0,
    });
    expect(asked).toContain(kind);
  },
  300_000,
);
