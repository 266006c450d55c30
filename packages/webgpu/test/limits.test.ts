/** What happens at the limits that every WebGPU device has. */
import type { Anchor } from '@tutti/core/backend';
import { expect, it } from 'vitest';
import { WebgpuBackend } from '../src/backend.ts';
import type { StageBinding, WgslProgram } from '../src/program.ts';
import { openDevice } from '../src/runtime/device.ts';
import { adapter } from './support/device.ts';
import { program } from './support/programs.ts';

/** Reads `buffers` buffers, and has a workspace. */
function wide(buffers: number): WgslProgram {
  const bindings: StageBinding[] = Array.from({ length: buffers }, (_, index) => ({
    source: { kind: 'buffer', index },
    access: 'read',
  }));
  bindings.push({ source: { kind: 'workspace' }, access: 'readWrite' });
  const lines = bindings.map(({ access }, i) => {
    const kind = access === 'read' ? 'read' : 'read_write';
    return `@group(0) @binding(${i}) var<storage, ${kind}> b${i}: array<u32>;`;
  });
  const code = `${lines.join('\n')}\n@compute @workgroup_size(1) fn main() { b${buffers}[0] = b0[0]; }`;
  return program('wide', [{ code, bindings, workgroups: [1, 1, 1] }], { workspaceBytes: 16 });
}

const operand = { dtype: 'float32', offset: 0, batch: [], row: 2, column: 1 } as const;
const buffer = { dtype: 'float32', length: 4, access: 'read' } as const;
const anchor: Anchor = {
  kind: 'dot',
  name: 'product',
  batch: [],
  m: 2,
  n: 2,
  k: 2,
  lhs: operand,
  rhs: operand,
  type: 'f32',
  buffers: [buffer, buffer, { ...buffer, access: 'write' }],
  scalars: [],
};

it.each([
  [7, true],
  [8, false],
])('a routine with %i buffers and a workspace is taken: %s', async (buffers, taken) => {
  const device = await openDevice(await adapter(), true);
  const backend = new WebgpuBackend(device, {
    compileKernel: () => wide(1),
    routine: () => wide(buffers),
  });
  try {
    const routine = backend.routine(anchor);
    expect(routine !== undefined).toBe(taken);
    await routine?.ready;
    expect(backend.failure).toBe(undefined);
  } finally {
    backend.dispose();
  }
});
