/** Where NVRTC is looked for. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { architectureFor } from '../src/compiler/architecture.ts';
import { blasNames, type CompilerSearch, findCompiler, nvrtcNames } from '../src/compiler/find.ts';
import { placesOf } from '../src/compiler/places.ts';
import type { Surroundings } from '../src/runtime/host.ts';
import { compilerOf, nativeError, surroundings } from './support/fake.ts';
import { temporaryFolder, touch } from './support/folder.ts';

const nvrtc = nvrtcNames('linux');

/** All files, without the folder that they are in. */
const found = (folder: string, at: Surroundings): string[] =>
  [...placesOf(nvrtcNames(at.platform), at)]
    .flatMap(({ libraries }) => libraries)
    .filter((path) => path.startsWith(folder))
    .map((path) => path.slice(folder.length + 1).replaceAll('\\', '/'));

it('cuBLASLt has names of its own', () => {
  expect(blasNames('linux').loader).toEqual(['libcublasLt.so.13', 'libcublasLt.so.12']);
  expect(blasNames('win32').loader).toEqual(['cublasLt64_13.dll', 'cublasLt64_12.dll']);
  const { file } = blasNames('linux');
  const names = [
    'libcublasLt.so',
    'libcublasLt.so.13',
    'libcublasLt.so.12.8.4.1',
    'libcublasLt_static.a',
    'libcublas.so.13',
  ];
  expect(names.filter((name) => file.test(name))).toEqual(names.slice(0, 3));
  expect(blasNames('win32').file.test('cublasLt64_13.dll')).toBe(true);
});

describe('the places', () => {
  it('come in their order: the named toolkit, Python, the usual folders, the loader', () => {
    const folder = temporaryFolder();
    const inOrder = [
      'toolkit/lib64/libnvrtc.so.12',
      'other/lib/libnvrtc.so.13',
      'venv/lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12',
      'conda/lib/libnvrtc.so.12',
      'conda/lib/python3.9/site-packages/nvidia/cu13/lib/libnvrtc.so.13',
      'home/.local/lib/python3.12/site-packages/nvidia/cu13/lib/libnvrtc.so.13',
      'home/.local/lib/python3.8/site-packages/nvidia/cu13/lib/libnvrtc.so.13',
      'usr/lib/python3/dist-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12',
      'usr/local/lib/python3.10/dist-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12',
      'usr/local/cuda-12.10/lib64/libnvrtc.so.12.10',
      'usr/local/cuda-12.9/lib64/libnvrtc.so.12.9',
    ];
    touch(folder, ...inOrder);
    touch(folder, 'toolkit/lib64/libnvrtc-builtins.so.12', 'toolkit/lib64/libnvrtc_static.a');
    const at = surroundings({
      environment: {
        CUDA_HOME: join(folder, 'toolkit'),
        CUDA_PATH: join(folder, 'other'),
        VIRTUAL_ENV: join(folder, 'venv'),
        CONDA_PREFIX: join(folder, 'conda'),
      },
      home: join(folder, 'home'),
      root: folder,
    });
    expect(found(folder, at)).toEqual(inOrder);
    expect([...placesOf(nvrtc, at)].at(-1)!.libraries).toEqual(['libnvrtc.so.13', 'libnvrtc.so.12']);
  });

  it('give a library once, however many names it has, and the newest of several', () => {
    const folder = temporaryFolder();
    touch(folder, 'usr/local/cuda/lib64/libnvrtc.so.13.0.88', 'usr/local/cuda/lib64/libnvrtc.so.12');
    for (const name of ['libnvrtc.so.13', 'libnvrtc.so'])
      symlinkSync('libnvrtc.so.13.0.88', join(folder, 'usr/local/cuda/lib64', name));
    symlinkSync('cuda', join(folder, 'usr/local/cuda-13.0'));
    symlinkSync('nothing', join(folder, 'usr/local/cuda/lib64/libnvrtc.so.11'));
    const all = found(folder, surroundings({ root: folder }));
    expect(all.map((path) => path.split('/').at(-1))).toEqual(['libnvrtc.so.13.0.88', 'libnvrtc.so.12']);
  });

  it('are those of Windows on Windows', () => {
    const folder = temporaryFolder();
    const inOrder = [
      'home/bin/nvrtc64_120_0.dll',
      'venv/Lib/site-packages/nvidia/cuda_nvrtc/bin/nvrtc64_120_0.dll',
      'programs/NVIDIA GPU Computing Toolkit/CUDA/v13.0/bin/x64/nvrtc64_130_0.dll',
      'programs/NVIDIA GPU Computing Toolkit/CUDA/v12.4/bin/nvrtc64_120_0.dll',
    ];
    touch(folder, ...inOrder, 'home/bin/nvrtc-builtins64_120.dll', 'home/bin/nvrtc64_120_0.alt.dll');
    const environment = {
      CUDA_PATH: join(folder, 'home'),
      VIRTUAL_ENV: join(folder, 'venv'),
      ProgramFiles: join(folder, 'programs'),
    };
    expect(found(folder, surroundings({ platform: 'win32', environment }))).toEqual(inOrder);
    expect(nvrtcNames('win32').loader).toEqual(['nvrtc64_130_0.dll', 'nvrtc64_120_0.dll']);
  });
});

describe('the compiler', () => {
  const search = (rest: Partial<CompilerSearch>): CompilerSearch => ({
    open: (path) => {
      throw nativeError('LIBRARY_NOT_FOUND', `${path}: cannot open shared object file`);
    },
    objection: () => undefined,
    remedy: 'pip install nvidia-cuda-nvrtc',
    ...rest,
  });

  it('is the first that loads and is of use', () => {
    const folder = temporaryFolder();
    touch(
      folder,
      'usr/local/cuda-13.1/lib64/libnvrtc.so.13',
      'usr/local/cuda-12.9/lib64/libnvrtc.so.12',
      'usr/local/cuda-12.0/lib64/libnvrtc.so.12',
    );
    const opened: string[] = [];
    const result = findCompiler(
      search({
        open: (path) => {
          opened.push(path);
          if (path.includes('12.9')) throw nativeError('LIBRARY_NOT_FOUND', 'libc.so.7 is missing');
          return compilerOf({ version: path.includes('13.1') ? [13, 1] : [12, 0] });
        },
        objection: ({ version }) => (version[0] > 12 ? 'is too new' : undefined),
      }),
      surroundings({ root: folder }),
    );
    expect(result).toMatchObject({ path: join(folder, 'usr/local/cuda-12.0/lib64/libnvrtc.so.12') });
    expect(opened).toHaveLength(3);
  });

  it('that is not there is told with every place that was looked at, and how to get it', () => {
    const at = surroundings({ environment: { CUDA_HOME: '/nowhere/toolkit', VIRTUAL_ENV: '/nowhere/venv' } });
    const result = findCompiler(search({}), at);
    expect(result).toMatchObject({ reason: 'NVRTC, which compiles kernels, was not found' });
    const { fix } = result as { fix: string };
    expect(fix).toMatch(
      /^pip install nvidia-cuda-nvrtc, or name the library in TUTTI_CUDA_NVRTC; looked at: /,
    );
    for (const place of [
      '/nowhere/toolkit (CUDA_HOME)',
      '/nowhere/venv (VIRTUAL_ENV)',
      '/nowhere/home/.local',
      '/nowhere/usr/lib/python3',
      '/nowhere/usr/local/lib/python3*',
      '/nowhere/usr/local/cuda*',
      "the system's loader (libnvrtc.so.13, libnvrtc.so.12)",
    ])
      expect(fix).toContain(place);
  });

  it('that is there and of no use is told with why', () => {
    const folder = temporaryFolder();
    touch(folder, 'usr/local/cuda/lib64/libnvrtc.so.13');
    const path = join(folder, 'usr/local/cuda/lib64/libnvrtc.so.13');
    const at = surroundings({ root: folder });
    expect(findCompiler(search({}), at)).toMatchObject({
      reason: `no NVRTC that can be used was found: ${path} does not load: ${path}: cannot open shared object file`,
    });
    const open = (each: string) => {
      if (each === path) return compilerOf();
      throw nativeError('LIBRARY_NOT_FOUND');
    };
    expect(findCompiler(search({ open, objection: () => 'is too new' }), at)).toEqual({
      reason: `no NVRTC that can be used was found: ${path} is too new`,
      fix: 'pip install nvidia-cuda-nvrtc',
    });
  });

  it('that is named is the only one looked at', () => {
    const folder = temporaryFolder();
    touch(folder, 'usr/local/cuda/lib64/libnvrtc.so.13', 'mine.so');
    const at = surroundings({ root: folder });
    const named = (path: string) => ({ path, by: 'TUTTI_CUDA_NVRTC' });
    expect(findCompiler(search({ named: named('/nowhere/mine.so') }), at)).toMatchObject({
      reason: 'the NVRTC that TUTTI_CUDA_NVRTC names, /nowhere/mine.so, was not found',
    });
    const mine = join(folder, 'mine.so');
    expect(findCompiler(search({ named: named(mine) }), at)).toMatchObject({
      reason: expect.stringMatching(/mine\.so, does not load: .*cannot open shared object file$/),
    });
    expect(findCompiler(search({ named: named(mine), open: () => compilerOf() }), at)).toMatchObject({
      path: mine,
    });
  });
});

it("the architecture is the device's own, or an earlier one of its generation", () => {
  const known = [50, 75, 80, 86, 90, 100];
  expect([75, 86, 89, 90, 100, 103, 120, 72, 61].map((each) => architectureFor(each, known))).toEqual([
    'sm_75',
    'sm_86',
    'sm_86',
    'sm_90a',
    'sm_100a',
    'sm_100',
    undefined,
    undefined,
    undefined,
  ]);
});
