import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder, tutti } from './support.ts';

describe('tutti conformance', () => {
  it('prints a table and writes every result', async () => {
    const file = join(temporaryFolder(), 'out.json');
    const { code, stdout, stderr } = await tutti([
      'conformance',
      ...['--backend', 'cpu', '--filter', 'transpose', '--json', file],
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^cpu: [1-9]\d* passed, 0 failed, 0 unsupported, 0 not run$/m);
    const report = JSON.parse(readFileSync(file, 'utf8'));
    expect(Object.keys(report)).toEqual(['devices', 'results', 'summary']);
    expect(report.summary.cpu).toMatchObject({ fail: 0, notRun: 0 });
  });

  it('fails when a backend that was asked for did not run', async () => {
    const { code, stdout } = await tutti(['conformance', '--backend', 'cpu,cuda', '--filter', 'transpose'], {
      env: { TUTTI_CUDA_DRIVER: '/nowhere/libcuda.so.1' },
    });
    expect(code).toBe(1);
    expect(stdout).toMatch(/cuda did not run: .*(TUTTI_CUDA_DRIVER|addon)/);
    expect(stdout).toMatch(/^cuda: 0 passed, 0 failed, 0 unsupported, [1-9]\d* not run$/m);
  });

  it('a backend that nothing knows is an error, before anything is run', async () => {
    const { code, stdout, stderr } = await tutti(['conformance', '--backend', 'cpu,webgp']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error \[TUTTI_ARGUMENT\]: --backend webgp: there is no backend of this name/);
    expect(stderr).toMatch(/fix: did you mean webgpu\? known backends: .*cpu.*--register/);
  });

  it('says which devices there are where a number has none', async () => {
    const { code, stdout } = await tutti(['conformance', '--backend', 'cpu,cpu:7', '--filter', 'transpose']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/cpu:7 did not run: there is no such device; those that are there: .*\bcpu\b/);
  });

  it('runs a part on request, and says what it left out', async () => {
    const selection = ['--modes', 'eager', '--every', '4', '--filter', 'transpose'];
    const { code, stdout } = await tutti(['conformance', '--backend', 'cpu', ...selection]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^left out: modes: .*unfused, jit, /m);
    expect(stdout).toMatch(/^left out: \d+ of \d+ samples: .* every 4th$/m);
  });

  it('a mode that there is none of is an error', async () => {
    const { code, stderr } = await tutti(['conformance', '--modes', 'eager,presto']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error \[TUTTI_ARGUMENT\]: option '--modes.*\n {2}fix: .*eager, unfused, jit/);
  });

  it('a filter that fits nothing is an error', async () => {
    const { code, stderr } = await tutti(['conformance', '--backend', 'cpu', '--filter', 'glissando']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error \[TUTTI_ARGUMENT\]: --filter glissando: /);
  });
});
