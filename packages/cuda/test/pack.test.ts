/** The `prepack` of the platform's package, with a file that only looks like an addon. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let workspace = '';
let own = '';
const packed = (): boolean => existsSync(join(own, 'tutti_cuda.node'));

beforeEach(() => {
  workspace = realpathSync(mkdtempSync(join(tmpdir(), 'tutti-cuda-pack-')));
  own = join(workspace, 'own');
  mkdirSync(own);
  mkdirSync(join(workspace, 'cuda/build'), { recursive: true });
  cpSync(join(import.meta.dirname, '../scripts'), join(workspace, 'cuda/scripts'), { recursive: true });
  addonFor('2.2.5', '2.9', '2.34');
  packageOf(process.platform);
});
afterEach(() => rmSync(workspace, { recursive: true, force: true }));

/** An addon whose symbols want these versions of the C library. */
function addonFor(...versions: string[]): void {
  const text = versions.map((version) => `\0GLIBC_${version}\0`).join('');
  writeFileSync(join(workspace, 'cuda/build/tutti_cuda.node'), text);
}

function packageOf(system: string): void {
  const manifest = { name: 'the-addon', os: [system], cpu: [process.arch] };
  writeFileSync(join(own, 'package.json'), JSON.stringify(manifest));
}

function prepack(glibc = ''): { status: number | null; errors: string } {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(workspace, 'cuda/scripts/platform-package.mjs')],
    { cwd: own, encoding: 'utf8', env: { ...process.env, TUTTI_CUDA_GLIBC: glibc } },
  );
  return { status, errors: stderr };
}

describe('packing the addon', () => {
  it('takes one that runs wherever Node 20 does', () => {
    addonFor('2.2.5', '2.17', '2.28');
    expect(prepack()).toEqual({ status: 0, errors: '' });
    expect(packed()).toBe(true);
  });

  it('refuses one that asks for a newer C library, and says how to use it here all the same', () => {
    const { status, errors } = prepack();
    expect(status).toBe(1);
    expect(errors).toMatch(/needs glibc 2\.34, and Node 20 runs with 2\.28/);
    expect(errors).toContain(`TUTTI_CUDA_ADDON (${join(workspace, 'cuda/build/tutti_cuda.node')})`);
    expect(errors).toContain('TUTTI_CUDA_GLIBC=2.34 pnpm pack');
    expect(packed()).toBe(false);
  });

  it('takes it for machines that have that C library, where this is said', () => {
    expect(prepack('2.34')).toEqual({ status: 0, errors: '' });
    expect(packed()).toBe(true);
  });

  it.each([
    ['2.31', /needs glibc 2\.34, and TUTTI_CUDA_GLIBC is 2\.31/],
    ['new', /TUTTI_CUDA_GLIBC is new, which is no version/],
  ])('TUTTI_CUDA_GLIBC=%s is not enough', (glibc, message) => {
    expect(prepack(glibc)).toEqual({ status: 1, errors: expect.stringMatching(message) });
    expect(packed()).toBe(false);
  });

  it('refuses the package of another platform, and one without an addon', () => {
    packageOf('aix');
    expect(prepack('2.34')).toMatchObject({ status: 1, errors: expect.stringContaining('packed on aix') });
    packageOf(process.platform);
    rmSync(join(workspace, 'cuda/build/tutti_cuda.node'));
    expect(prepack('2.34')).toMatchObject({ status: 1, errors: expect.stringContaining('not built') });
  });
});
