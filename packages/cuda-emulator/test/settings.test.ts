import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cudaEmulator, emulatorEnvironment } from '../src/index.ts';

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

describe('cudaEmulator', () => {
  it('gives libraries that are there, or the reason why none are', () => {
    const emulator = cudaEmulator();
    if ('missing' in emulator) expect(emulator.missing).toMatch(/CUDA emulator/);
    else expect(Object.values(emulator).map((path) => existsSync(path))).toEqual([true, true, true]);
  });
});
