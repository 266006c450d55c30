/** A machine without an NVIDIA driver: what is said, and that nothing else is taken. */
import { describe, expect, it } from 'vitest';
import { small, tutti } from './support.ts';

/** Also where there is one. */
const noDriver = { TUTTI_CUDA_DRIVER: '/nowhere/libcuda.so.1' };

/** What `tutti doctor` says of CUDA. */
async function doctor(
  env: Record<string, string>,
): Promise<{ available: boolean; reason: string; fix: string }> {
  const { stdout } = await tutti(['doctor', '--json'], { env });
  return JSON.parse(stdout).backends.find(({ name }: { name: string }) => name === 'cuda');
}

describe('without an NVIDIA driver', () => {
  it('`tutti doctor` says so in one line, with what to do in the next', async () => {
    const { code, stdout } = await tutti(['doctor'], { env: noDriver });
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^cuda +not available: (the driver that TUTTI_CUDA_DRIVER names, \/nowhere\/libcuda\.so\.1, was not found|.*addon.*)\n.*\n +fix: \S.*$/m,
    );
  });

  it.each([
    ['TUTTI_DEVICE=cuda', [], { TUTTI_DEVICE: 'cuda' }, 'TUTTI_DEVICE: '],
    ['--device cuda', ['--device', 'cuda'], {}, ''],
  ])('%s fails with what `tutti doctor` says, and takes no other device', async (_, flags, env, place) => {
    const { reason, fix } = await doctor(noDriver);
    const { code, stdout, stderr } = await tutti(['train', 'mnist', ...flags, ...small], {
      env: { ...noDriver, ...env },
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `error [TUTTI_BACKEND_UNAVAILABLE]: ${place}device cuda is not available: ${reason}\n  fix: ${fix}\n`,
    );
  });

  it('the automatic choice takes another, and says why', async () => {
    const { stderr, stdout } = await tutti(['doctor'], { env: { ...noDriver, TUTTI_DEVICE: 'auto' } });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^default +(?!cuda)\w+$/m);
  });
});
