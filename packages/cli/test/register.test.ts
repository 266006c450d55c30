import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder, tutti } from './support.ts';

/** A module in a folder of its own, with these contents. */
function moduleOf(source: string): string {
  const file = join(temporaryFolder(), 'backend.mjs');
  writeFileSync(file, source);
  return file;
}

const brass = `export const brass = {
  name: 'brass',
  priority: 1,
  probe: async () => ({ available: false, reason: 'the mutes are in', fix: 'take them out' }),
  open: async () => { throw new Error('never'); },
};`;

describe('--register', () => {
  it('makes a backend known to every command, before or behind its name', async () => {
    const file = moduleOf(brass);
    const doctor = await tutti(['--register', file, 'doctor', '--json']);
    const { backends } = JSON.parse(doctor.stdout);
    expect(backends.at(-1)).toMatchObject({ name: 'brass', package: null, reason: 'the mutes are in' });
    const train = await tutti(['train', 'mnist', '--device', 'brass', '--register', file]);
    expect(train).toMatchObject({
      code: 1,
      stderr:
        'error [TUTTI_BACKEND_UNAVAILABLE]: device brass is not available: the mutes are in\n' +
        '  fix: take them out\n',
    });
  });

  it.each([
    ['exports nothing of the kind', 'export const x = 1;', 'this module exports no backend'],
    ['throws', "throw new Error('crash');", 'it does not load: crash'],
    [
      'exports half a backend',
      "export default { name: 'Half', probe() {}, open() {} };",
      'its `name` is not a word',
    ],
  ])('refuses a module that %s', async (_, source, message) => {
    const { code, stderr } = await tutti(['doctor', '--register', moduleOf(source)]);
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
    expect(stderr).toContain('\n  fix: ');
  });
});
