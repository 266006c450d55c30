import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cudaEmulator, emulatorEnvironment, settingsProblem } from '../src/index.ts';

describe('emulatorEnvironment', () => {
  it('says nothing where nothing is asked for', () => expect(emulatorEnvironment({})).toEqual({}));

  it('has a variable for each setting', () =>
    expect(
      emulatorEnvironment({
        devices: 2,
        capability: 80,
        multiprocessors: 4,
        memory: 1e6,
        streams: 'lazy',
        order: 'shuffled',
        seed: 3,
        timeout: 5,
        cache: 'kept/here',
        leaks: true,
        statistics: true,
        sanitize: true,
      }),
    ).toEqual({
      TUTTI_CUDA_EMULATOR_DEVICES: '2',
      TUTTI_CUDA_EMULATOR_CAPABILITY: '80',
      TUTTI_CUDA_EMULATOR_MULTIPROCESSORS: '4',
      TUTTI_CUDA_EMULATOR_MEMORY: '1000000',
      TUTTI_CUDA_EMULATOR_STREAMS: 'lazy',
      TUTTI_CUDA_EMULATOR_ORDER: 'shuffled:3',
      TUTTI_CUDA_EMULATOR_TIMEOUT: '5',
      TUTTI_CUDA_EMULATOR_CACHE: 'kept/here',
      TUTTI_CUDA_EMULATOR_LEAKS: 'report',
      TUTTI_CUDA_EMULATOR_STATISTICS: 'report',
      TUTTI_CUDA_EMULATOR_SANITIZE: 'address',
    }));

  it('lists faults in one variable', () =>
    expect(
      emulatorEnvironment({
        order: 'reverse',
        faults: {
          noDevice: false,
          noPools: true,
          launchFailure: 3,
          slowStream: { stream: 2, milliseconds: 10 },
        },
      }),
    ).toEqual({
      TUTTI_CUDA_EMULATOR_ORDER: 'reverse',
      TUTTI_CUDA_EMULATOR_FAULTS: 'no-pools,launch-failure:3,slow-stream-2:10',
    }));
});

describe('settingsProblem', () => {
  it('has nothing against what emulatorEnvironment says', () => {
    const environment = emulatorEnvironment({
      devices: 2,
      capability: 80,
      multiprocessors: 4,
      memory: 1e6,
      streams: 'eager',
      order: 'shuffled',
      seed: 3,
      timeout: 0,
      cache: 'kept/here',
      leaks: true,
      statistics: true,
      sanitize: true,
      faults: {
        noDevice: true,
        init: 1,
        driverVersion: 11080,
        context: 2,
        noPools: true,
        allocate: 1,
        pinned: 1,
        create: 1,
        graph: 1,
        module: 1,
        launch: 1,
        launchFailure: 1,
        illegalAddress: 1,
        compile: 1,
        blasHeuristic: 1,
        blas: 1,
        slow: 5,
        slowStream: { stream: 2, milliseconds: 10 },
      },
    });
    expect(settingsProblem(environment)).toBeUndefined();
  });

  it('has nothing against other variables, nor against one that is empty', () => {
    expect(
      settingsProblem({ TUTTI_DEVICE: 'x', TUTTI_CUDA_EMULATOR_MEMORY: '', A: undefined }),
    ).toBeUndefined();
  });

  it.each([
    ['DEVICE', '2', /no setting of the emulator: settings are DEVICES, /],
    ['DEVICES', 'two', /is two, which is not a whole number/],
    ['MEMORY', '10MB', /which is not a whole number of bytes/],
    ['MEMORY', '-1', /which is not a whole number of bytes/],
    ['STREAMS', 'slow', /which is not eager or lazy/],
    ['ORDER', 'shuffled:', /which is not forward/],
    ['LEAKS', '1', /which is not report/],
    ['SANITIZE', 'memory', /which is not address/],
    ['FAULTS', 'nonsense:1', /which is not name:number.*allocate/],
    ['FAULTS', 'allocate', /which is not name:number/],
    ['FAULTS', 'allocate:first', /which is not name:number/],
    ['FAULTS', 'slow-stream:3', /which is not name:number/],
    ['FAULTS', 'allocate-2:3', /which is not name:number/],
    ['FAULTS', 'launch:1,,graph:2', /which is not name:number/],
  ])('%s=%s is refused', (name, text, message) => {
    expect(settingsProblem({ [`TUTTI_CUDA_EMULATOR_${name}`]: text })).toMatch(message);
  });
});

describe('cudaEmulator', () => {
  it('gives libraries that are there, or the reason why none are', () => {
    const emulator = cudaEmulator();
    if ('missing' in emulator) expect(emulator.missing).toMatch(/CUDA emulator/);
    else expect(Object.values(emulator).map((path) => existsSync(path))).toEqual([true, true, true]);
  });
});
