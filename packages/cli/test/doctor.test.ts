import { ArgumentError, defaultCapabilities } from '@tutti/core/backend';
import { driverEnvironment } from '@tutti/testbed';
import { type KnownBackend, registerBackend, registeredBackends, unregisterBackend } from 'tutti';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type BackendReport, examine, describe as text } from '../src/commands/doctor.ts';
import { tutti } from './support.ts';

const never = (): Promise<never> => Promise.reject(new RangeError('nothing is opened'));

const strings: KnownBackend = {
  name: 'strings',
  package: '@tutti/strings',
  runs: 'orchestras',
  included: true,
  planned: false,
  nodeOnly: false,
  factory: {
    name: 'strings',
    priority: 1,
    probe: async () => ({
      available: true,
      devices: [
        {
          description: '14 violins',
          emulated: false,
          capabilities: { ...defaultCapabilities, timing: true },
        },
        {
          description: 'a synthesizer',
          emulated: true,
          capabilities: { ...defaultCapabilities, storage: ['float32'], bytesPerBuffer: 3 * 2 ** 29 },
        },
      ],
    }),
    open: never,
  },
};

const brass: KnownBackend = {
  name: 'brass',
  package: '@tutti/brass',
  runs: 'bands',
  included: false,
  planned: false,
  nodeOnly: false,
  factory: {
    name: 'brass',
    priority: 2,
    probe: async () => ({ available: false, reason: 'no valves were found', fix: 'oil them' }),
    open: never,
  },
};

/** Only these two are registered, so that the machine takes no part. */
beforeEach(async () => {
  for (const { name } of registeredBackends()) await unregisterBackend(name);
  for (const { factory } of [strings, brass]) registerBackend(factory);
});

afterEach(() => vi.unstubAllEnvs());

describe('examine', () => {
  it('reports every registered backend, available or not, best first', async () => {
    const { backends } = await examine([brass, strings]);
    expect(backends).toMatchObject([
      { name: 'brass', available: false, reason: 'no valves were found', fix: 'oil them' },
      { name: 'strings', available: true, devices: [{ id: 'strings' }, { id: 'strings:1' }] },
    ]);
  });

  it('knows nothing but the name of a backend that is not one of those known, or that replaced one', async () => {
    registerBackend({ ...brass.factory });
    const { backends } = await examine([brass]);
    for (const backend of backends) expect(backend).toMatchObject({ package: null, runs: null });
  });

  it('reports a backend whose probe fails', async () => {
    registerBackend({ ...brass.factory, probe: never });
    const [report] = (await examine([])).backends;
    expect(report).toMatchObject({ available: false, reason: 'probing it failed: nothing is opened' });
  });

  it('reports a backend with a wrong setting, which leaves no automatic choice', async () => {
    vi.stubEnv('TUTTI_DEVICE', '');
    const fix = 'set it to 3';
    const probe = () => Promise.reject(new ArgumentError('VALVES is "many"', { received: 'many', fix }));
    registerBackend({ ...brass.factory, probe });
    const report = await examine([]);
    expect(report.automatic).toBe(null);
    expect(report.backends[0]).toMatchObject({ available: false, reason: 'VALVES is "many"', fix });
    expect(text(report)).toContain('default      none: a setting is wrong, see below\n');
  });

  it('reports the variables that are set', async () => {
    vi.stubEnv('TUTTI_BRASS_VALVES', '3');
    vi.stubEnv('TUTTI_DEVICE', 'strings:7');
    vi.stubEnv('TUTTI_THREADS', '');
    const report = await examine([]);
    expect(report.environment).toMatchObject({
      TUTTI_BRASS_VALVES: '3',
      TUTTI_DEVICE: 'strings:7',
      TUTTI_THREADS: null,
    });
    expect(text(report)).toMatch(/^environment .*TUTTI_THREADS not set.*TUTTI_BRASS_VALVES = 3/m);
    expect(text(report)).toMatch(/^default +strings:7, which is not there$/m);
  });

  it('names the automatic choice: the best available, or TUTTI_DEVICE', async () => {
    vi.stubEnv('TUTTI_DEVICE', '');
    expect((await examine([])).automatic).toBe('strings');
    vi.stubEnv('TUTTI_DEVICE', 'brass');
    expect((await examine([])).automatic).toBe('brass');
    vi.stubEnv('TUTTI_DEVICE', 'auto');
    await unregisterBackend('strings');
    expect((await examine([])).automatic).toBe(null);
  });
});

describe('the text', () => {
  it('has devices with limits and dtypes, and reasons with what to do', async () => {
    const lines = text(await examine([brass, strings])).split('\n');
    const at = lines.findIndex((line) => line.startsWith('brass'));
    expect(lines.slice(at)).toEqual([
      'brass        not available: no valves were found',
      '             for: bands',
      '             fix: oil them',
      '',
      'strings      available: 14 violins',
      '             dtypes: float32, float16, bfloat16, int32, uint32, uint8, bool',
      '             limits: 8 buffers in a kernel, 128 MiB in a buffer',
      '             can: row programs, several outputs of a kernel, scatter, times of kernels',
      'strings:1    available: a synthesizer (emulated in software)',
      '             dtypes: float32',
      '             limits: 8 buffers in a kernel, 1.5 GiB in a buffer',
      '             can: row programs, several outputs of a kernel, scatter',
    ]);
    expect(text(await examine([]))).not.toContain('for:');
  });

  it('has the version of Node, the threads, and what WebAssembly can do', async () => {
    const head = text(await examine([strings])).split('\n');
    expect(head[0]).toContain(`Node ${process.version}`);
    expect(head[1]).toMatch(/^processor .*\d threads?$/);
    expect(head[2]).toMatch(/^WebAssembly {2}SIMD, (no )?relaxed SIMD, shared memory$/);
  });
});

describe('tutti doctor', () => {
  it('knows cpu, webgpu, webgl and cuda', async () => {
    const { code, stdout, stderr } = await tutti(['doctor']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^cpu +available: /m);
    for (const name of ['cuda', 'webgpu', 'webgl']) {
      expect(stdout).toMatch(new RegExp(`^${name} +(not )?available: `, 'm'));
    }
  });

  it('--json is the same for programs', async () => {
    const { stdout } = await tutti(['doctor', '--json']);
    const report = JSON.parse(stdout);
    expect(report.backends.map((each: { name: string }) => each.name)).toEqual([
      'cuda',
      'webgpu',
      'webgl',
      'cpu',
    ]);
    expect(report.machine.node).toBe(process.version);
    // The first that no software stands in for.
    const hardware = report.backends.find(
      (each: BackendReport) => each.available && each.devices.some(({ emulated }) => !emulated),
    );
    expect(report.automatic).toBe(hardware.name);
  });

  it('names the adapter of WebGPU, and what stands in for one', async () => {
    const { code, stdout } = await tutti(['doctor'], { env: await driverEnvironment() });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^webgpu +available: \S.+$/m);
    if (/^webgpu.*swiftshader/im.test(stdout)) {
      expect(stdout).toMatch(/^webgpu +available: .*software.* \(emulated in software\)$/m);
    }
  });

  it.runIf(process.platform === 'linux')('says what to install where WebGPU finds no adapter', async () => {
    const env = { ...(await driverEnvironment()), VK_ICD_FILENAMES: '/nowhere.json' };
    const { code, stdout } = await tutti(['doctor'], { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^webgpu +not available: no GPU driver that WebGPU can use was found/m);
    expect(stdout).toMatch(/^ +fix: install a Vulkan driver .*mesa-vulkan-drivers.* and libvulkan1/m);
  });
});
