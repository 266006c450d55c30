import { registerBackend, setDefaultDevice, unregisterBackend } from '@tutti/core';
import { formatBytes } from '@tutti/core/backend';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createCudaBackend } from '../src/index.ts';
import { type CudaOptions, settingsOf, unknownVariables } from '../src/options.ts';
import { parseBytes } from '../src/runtime/host.ts';
import { surroundings } from './support/fake.ts';

const settings = (options: CudaOptions, environment: Record<string, string> = {}) =>
  settingsOf(options, surroundings({ environment }));

afterEach(async () => {
  vi.unstubAllEnvs();
  await unregisterBackend('cuda');
});

describe('options', () => {
  it('come before variables, and those before what is usual', () => {
    expect(settings({})).toEqual({
      driver: undefined,
      nvrtc: undefined,
      emulation: false,
      tf32: false,
      graphs: true,
      cacheFolder: '/nowhere/home/.cache/tutti/cuda',
      memoryLimit: undefined,
    });
    const environment = {
      TUTTI_CUDA_DRIVER: '/their/driver',
      TUTTI_CUDA_NVRTC: '/their/nvrtc',
      TUTTI_CUDA_CUBLASLT: '/their/cublaslt',
      TUTTI_CUDA_CACHE: '/their/cache',
      TUTTI_CUDA_PRECISION: 'tf32',
      TUTTI_CUDA_MEMORY_LIMIT: '1.5GiB',
    };
    expect(settings({}, environment)).toMatchObject({
      driver: { path: '/their/driver', by: 'TUTTI_CUDA_DRIVER' },
      nvrtc: { path: '/their/nvrtc', by: 'TUTTI_CUDA_NVRTC' },
      cublaslt: { path: '/their/cublaslt', by: 'TUTTI_CUDA_CUBLASLT' },
      cacheFolder: '/their/cache',
      tf32: true,
      memoryLimit: 1.5 * 2 ** 30,
    });
    const options = {
      driver: '/my/driver',
      nvrtc: '/my/nvrtc',
      cublaslt: '/my/cublaslt',
      cache: '/my/cache',
      precision: 'ieee',
      graphs: 'off',
      memoryLimit: 1000,
    } as const;
    expect(settings(options, environment)).toEqual({
      driver: { path: '/my/driver', by: 'the option driver' },
      nvrtc: { path: '/my/nvrtc', by: 'the option nvrtc' },
      cublaslt: { path: '/my/cublaslt', by: 'the option cublaslt' },
      emulation: false,
      tf32: false,
      graphs: false,
      cacheFolder: '/my/cache',
      memoryLimit: 1000,
    });
  });

  it('switch the cache off, and an emulation keeps nothing unless it is told to', () => {
    expect(settings({ cache: 'off' }).cacheFolder).toBeUndefined();
    expect(settings({}, { TUTTI_CUDA_CACHE: 'OFF' }).cacheFolder).toBeUndefined();
    const emulation = { emulation: true, driver: '/a', nvrtc: '/b' };
    expect(settings(emulation).cacheFolder).toBeUndefined();
    expect(settings({ ...emulation, cache: '/c' }).cacheFolder).toBe('/c');
  });

  it('switch the library of products off, and an emulation has none unless it is told which', () => {
    expect(settings({}, { TUTTI_CUDA_CUBLASLT: 'off' }).cublaslt).toBe('off');
    expect(settings({ cublaslt: 'Off' }, { TUTTI_CUDA_CUBLASLT: '/their/one' }).cublaslt).toBe('off');
    const emulation = { emulation: true, driver: '/a', nvrtc: '/b' };
    expect(settings(emulation).cublaslt).toBe('off');
    expect(settings({ ...emulation, cublaslt: '/c' }).cublaslt).toEqual({
      path: '/c',
      by: 'the option cublaslt',
    });
  });

  it.each([
    [{ presicion: 'tf32' }, /there is no option "presicion"[\s\S]*did you mean precision/],
    [{ precision: 'fast' }, /precision is "fast"[\s\S]*'ieee' or 'tf32'/],
    [{ graphs: true }, /graphs is true[\s\S]*'auto' or 'off'/],
    [{ cache: '' }, /cache is [\s\S]*pass a path or 'off'/],
    [{ cublaslt: '' }, /cublaslt is [\s\S]*pass a path or 'off'/],
    [{ driver: 3 }, /driver is 3[\s\S]*pass a path/],
    [{ emulation: 1 }, /emulation is 1[\s\S]*true or false/],
    [{ deterministic: true }, /there is no option "deterministic"/],
    [{ memoryLimit: 0 }, /memoryLimit is 0[\s\S]*number of bytes/],
    [{ memoryLimit: 1.5 }, /memoryLimit is 1\.5[\s\S]*whole number of bytes/],
    [{ memoryLimit: '8GiB' }, /memoryLimit is "8GiB"/],
    [{ emulation: true, driver: '/a' }, /an emulation needs its driver and its compiler/],
  ])('that are wrong are refused: %j', (options, message) => {
    const make = (): unknown => createCudaBackend(options as CudaOptions);
    expect(make).toThrow(expect.objectContaining({ code: 'TUTTI_ARGUMENT' }));
    expect(make).toThrow(message);
  });

  it.each([
    ['TUTTI_CUDA_PRECISION', 'tf23', /ieee or tf32/],
    ['TUTTI_CUDA_MEMORY_LIMIT', 'much', /bytes above 0/],
    ['TUTTI_CUDA_MEMORY_LIMIT', '-5', /bytes above 0/],
    ['TUTTI_CUDA_MEMORY_LIMIT', '0', /bytes above 0/],
    ['TUTTI_CUDA_MEMORY_LIMIT', '20%', /bytes above 0/],
  ])(
    'a variable that is wrong is refused when it is read, and no other device taken: %s=%s',
    async (...of) => {
      const [name, received, fix] = of;
      const wrong = {
        code: 'TUTTI_ARGUMENT',
        message: expect.stringContaining(`${name} is "${received}"`),
        received,
        fix: expect.stringMatching(fix),
      };
      expect(() => settings({}, { [name]: received })).toThrow(expect.objectContaining(wrong));
      vi.stubEnv(name, received);
      registerBackend(createCudaBackend());
      for (const id of ['cuda', 'auto']) await expect(setDefaultDevice(id)).rejects.toMatchObject(wrong);
    },
  );

  it('variables that nobody reads are told, with what may be meant', () => {
    const environment = {
      TUTTI_CUDA_PRECISON: 'tf32',
      TUTTI_CUDA_VOLUME: '11',
      TUTTI_CUDA_CACHE: '/c',
      TUTTI_CUDA_ADDON: '/a',
      TUTTI_CUDA_EMULATOR_ORDER: 'shuffled',
      TUTTI_DEVICE: 'cuda',
    };
    expect(unknownVariables(surroundings({ environment }))).toEqual([
      'there is no variable TUTTI_CUDA_PRECISON: did you mean TUTTI_CUDA_PRECISION?',
      'there is no variable TUTTI_CUDA_VOLUME',
    ]);
  });

  it('variables are words in any case, and empty ones are not set', () => {
    expect(settings({}, { TUTTI_CUDA_PRECISION: 'TF32' }).tf32).toBe(true);
    expect(settings({}, { TUTTI_CUDA_PRECISION: '', TUTTI_CUDA_MEMORY_LIMIT: '' })).toEqual(settings({}));
  });
});

it('amounts of memory are read and written', () => {
  expect(
    ['1000', '4k', '2 MB', '1.5GiB', '3t', '8 GiB', '', 'x', '-1', '1.5.2', '0'].map(parseBytes),
  ).toEqual([
    1000,
    4096,
    2 * 2 ** 20,
    1.5 * 2 ** 30,
    3 * 2 ** 40,
    8 * 2 ** 30,
    undefined,
    undefined,
    undefined,
    undefined,
    0,
  ]);
  expect([0, 100, 1536, 2 ** 30, 139.8 * 2 ** 30].map(formatBytes)).toEqual([
    '0 bytes',
    '100 bytes',
    '1.5 KiB',
    '1 GiB',
    '139.8 GiB',
  ]);
});
