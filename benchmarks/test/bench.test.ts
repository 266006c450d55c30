import { describe, expect, it } from 'vitest';
import { parseOptions } from '../src/options.ts';
import { bench, benchToFile, benchWith } from './bench.ts';

describe('pnpm bench', () => {
  it('measures, checks and compares with the peers', () => {
    const { report, stdout } = benchToFile('--peers', '--filter', 'matmul 64');
    for (const library of ['tutti', 'tfjs-wasm', 'jax-js'])
      expect(stdout).toMatch(new RegExp(`${library} .* ms .* GFLOP/s`));
    expect(report.cases).toHaveLength(1);
    const { measurements } = report.cases[0]!;
    expect(measurements['tutti']!.kernels).toBe(1);
    expect(measurements['tfjs-wasm']!.ratio).toBeGreaterThan(0);
    expect(measurements['jax-js']!.samples[0]).toHaveLength(5);
    expect(report.libraries[1]).toMatch(/^@tensorflow\/tfjs-backend-wasm \d/);
  }, 120_000);

  it('measures pages of a browser, on the same adapter', () => {
    const { report, stdout } = benchToFile('--suite', 'webgpu', '--peers', '--filter', 'first', '--profile');
    const { measurements } = report.cases[0]!;
    expect(Object.keys(measurements)).toEqual(['tutti', 'tfjs-webgpu', 'onnxruntime-web', 'jax-js']);
    for (const each of Object.values(measurements)) expect(each).toMatchObject({ status: 'measured' });
    expect(measurements['tutti']!.profile).toHaveLength(1);
    expect(measurements['jax-js']!.ratio).toBeGreaterThan(0);
    const adapter = /^@jax-js\/jax [\d.]+, (.*);/.exec(report.libraries[3]!)![1]!;
    expect(report.libraries).toHaveLength(4);
    for (const line of report.libraries) expect(line).toContain(adapter);
    expect(stdout).toContain(report.libraries.join('\n'));
  }, 240_000);

  it('measures what it costs Node to queue a plan', () => {
    const { report, stdout } = benchToFile('--suite', 'webgpu', '--peers', '--filter', 'queueing');
    expect(report.cases[0]).toMatchObject({ place: 'dawn', measurements: { tutti: { kernels: 500 } } });
    expect(stdout).toMatch(/tutti .* us\/kernel/);
  }, 120_000);

  it('measures micro on the CPU, whatever the default device is', () => {
    const { status, stdout } = benchWith(
      { TUTTI_DEVICE: 'nothing-of-this-name' },
      ...['--filter', 'matmul 64', '--rounds', '1'],
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/device cpu: /);
  }, 60_000);

  it('a filter that fits nothing is an error', () => {
    const { status, stderr } = bench('--filter', 'glissando');
    expect(status).toBe(2);
    expect(stderr).toMatch(/^error \[TUTTI_ARGUMENT\]: --filter glissando: /);
  });
});

describe('options', () => {
  it('have defaults', () => {
    expect(parseOptions([])).toEqual({
      suite: 'micro',
      peers: false,
      filter: '',
      rounds: 3,
      json: undefined,
      profile: false,
      small: false,
      device: undefined,
      python: expect.stringMatching(/^python3?$/),
    });
  });

  it('choose a suite', () => {
    expect(parseOptions(['--suite', 'webgpu', '--profile'])).toMatchObject({
      suite: 'webgpu',
      profile: true,
    });
  });

  it('may follow the two dashes that pnpm passes on', () => {
    expect(parseOptions(['--', '--peers'])).toMatchObject({ peers: true });
  });

  it.each([
    [['--suite', 'macro'], 'no such suite'],
    [['--rounds', '0'], 'not an integer of at least 1'],
    [['--peer'], 'peer'],
    [['--small'], 'the suite micro has one size'],
    [['--suite', 'webgpu', '--device', 'cuda'], 'the suite webgpu does not run on it'],
    [['--suite', 'cuda', '--device', 'cpu'], 'the suite cuda does not run on it'],
  ])('%j is an error', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});
