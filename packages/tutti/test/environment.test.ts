/** TUTTI_DEVICE, which is read at the start of a process. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const program = `
  import { interpreterBackend } from '@tutti/core/testing';
  import { registerBackend, tensor, unregisterBackend } from 'tutti';
  for (const name of ['cuda', 'webgpu']) await unregisterBackend(name); // the machine may have a GPU
  registerBackend(interpreterBackend({ name: 'null', priority: 1, execute: false }));
  const x = tensor([1, 2]);
  try {
    console.log((await x.add(1).data()).length, x.device.id);
  } catch (error) {
    console.log(error.code, error.message);
  }
`;

function run(wish: string | undefined): string {
  const { TUTTI_DEVICE: _, ...env } = process.env;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: import.meta.dirname,
    env: wish === undefined ? env : { ...env, TUTTI_DEVICE: wish },
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout.trim();
}

it('names the device', () => {
  expect(run('null')).toBe('2 null');
  expect(run('cpu')).toBe('2 cpu');
});

it('leaves the choice to the priorities when it is not set, or auto', () => {
  expect(run(undefined)).toBe('2 cpu');
  expect(run('auto')).toBe('2 cpu');
});

it('is said to be what named a device under another spelling', () => {
  const said = run('CPU');
  expect(said).toMatch(/^TUTTI_BACKEND_UNAVAILABLE TUTTI_DEVICE: there is no backend called "CPU"/);
  expect(said).toMatch(/fix: did you mean cpu\? known backends: .*; auto is/);
});

it('is an error when the device is not there, without fallback', () => {
  expect(run('brass')).toMatch(/^TUTTI_BACKEND_UNAVAILABLE TUTTI_DEVICE: .*no backend called "brass"/);
});
