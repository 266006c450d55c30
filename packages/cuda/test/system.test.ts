/** What is said where something is missing. */
import { describe, expect, it } from 'vitest';
import { findSystem, type SystemWishes } from '../src/runtime/system.ts';
import { bindingOf, compilerOf, driverOf, nativeError, surroundings, turing } from './support/fake.ts';

const libcuda = 'libcuda.so.1';
const nvrtc13 = 'libnvrtc.so.13';
const wishes: SystemWishes = { driver: undefined, nvrtc: undefined, cublaslt: undefined, emulation: false };
const find = (
  binding: Parameters<typeof bindingOf>,
  wish: Partial<SystemWishes> = {},
  environment: Record<string, string> = {},
) => findSystem(bindingOf(...binding), { ...wishes, ...wish }, surroundings({ environment }));

const compilers = { [nvrtc13]: compilerOf() };

describe('a machine', () => {
  it('has a driver, devices and a compiler', () => {
    const old = { ...turing, name: 'Fake K80', computeCapability: 37 };
    const driver = driverOf({}, [old, turing, { ...turing, computeCapability: 90 }]);
    const system = find([{ [libcuda]: driver }, compilers]);
    expect(system).toMatchObject({ driver, compilerPath: nvrtc13 });
    // Those that are too old have no number.
    expect(system).toHaveProperty('devices', [
      { index: 1, description: turing },
      { index: 2, description: { ...turing, computeCapability: 90 } },
    ]);
  });

  it('may name its libraries', () => {
    const system = find([{ '/mine/libcuda.so': driverOf() }, { '/mine/nvrtc.so': compilerOf() }], {
      driver: { path: '/mine/libcuda.so', by: 'the option driver' },
      nvrtc: { path: '/mine/nvrtc.so', by: 'TUTTI_CUDA_NVRTC' },
    });
    expect(system).toMatchObject({ compilerPath: '/mine/nvrtc.so' });
  });
});

describe('the library of products', () => {
  const name = 'libcublasLt.so.13';
  const path = '/mine/libcublasLt.so';
  const named = { path, by: 'TUTTI_CUDA_CUBLASLT' };
  const all = (libraries: Parameters<typeof bindingOf>[2], driver = driverOf()) =>
    [{ [libcuda]: driver }, compilers, libraries] as const;

  it('is taken where it is found', () => {
    const library = { version: 130_002, emulated: false };
    expect(find([...all({ [name]: library })])).toMatchObject({ blas: { library, path: name } });
    expect(find([...all({ [path]: library })], { cublaslt: named })).toMatchObject({ blas: { path } });
    expect(find([...all({ [name]: library })], { cublaslt: 'off' })).toMatchObject({ blas: 'off' });
  });

  it('is done without where it is not, and says why', () => {
    expect(find([...all({})])).toMatchObject({
      devices: [{ index: 0 }],
      blas: { reason: 'cuBLASLt, which multiplies matrices, was not found' },
    });
  });

  it.each([
    [{ version: 111_103, emulated: false }, 13000, 'is of a release before CUDA 12'],
    [
      { version: 130_002, emulated: false },
      12080,
      'is of CUDA 13, which the driver, of CUDA 12, does not run',
    ],
    [{ version: 130_000, emulated: true }, 13000, 'emulates a GPU on the processor'],
  ])('has to suit the driver: %j', (library, version, why) => {
    const binding = [
      { [libcuda]: driverOf({ version }) },
      { [nvrtc13]: compilerOf({ version: [12, 8] }) },
      { [name]: library, [path]: library },
    ] as const;
    expect(find([...binding])).toMatchObject({ blas: { reason: expect.stringContaining(`${name} ${why}`) } });
    expect(find([...binding], { cublaslt: named })).toMatchObject({
      reason: `the cuBLASLt that TUTTI_CUDA_CUBLASLT names, ${path}, ${why}`,
      fix: expect.stringContaining('TUTTI_CUDA_CUBLASLT=off'),
    });
    expect(find([...binding], { cublaslt: { path, by: 'the option cublaslt' } })).toMatchObject({
      fix: expect.stringMatching(/or go without: cublaslt: 'off'$/),
    });
  });

  it('that is named and not there is an error', () => {
    expect(find([...all({})], { cublaslt: named })).toMatchObject({
      reason: `the cuBLASLt that TUTTI_CUDA_CUBLASLT names, ${path}, was not found`,
    });
  });
});

describe('no driver', () => {
  it('is told in one line', () => {
    expect(find([{}])).toEqual({
      reason: 'no NVIDIA driver: libcuda.so.1 was not found',
      fix:
        'install the NVIDIA driver for this GPU, and check it with nvidia-smi; in a container, start it with the GPUs ' +
        '(docker run --gpus all)',
    });
  });

  it('under the name that was given is told with who gave it', () => {
    expect(find([{}], { driver: { path: '/mine/cuda.so', by: 'TUTTI_CUDA_DRIVER' } })).toEqual({
      reason: 'the driver that TUTTI_CUDA_DRIVER names, /mine/cuda.so, was not found',
      fix: 'name another, or none',
    });
  });

  it.each([
    ['CUDA_ERROR_NO_DEVICE', /CUDA_VISIBLE_DEVICES/],
    ['CUDA_ERROR_STUB_LIBRARY', /LD_LIBRARY_PATH/],
    ['CUDA_ERROR_SYSTEM_NOT_READY', /nvidia-fabricmanager/],
    ['CUDA_ERROR_SYSTEM_DRIVER_MISMATCH', /restart the machine/],
    ['CUDA_ERROR_SOMETHING_ELSE', /install the NVIDIA driver/],
  ])('that starts: %s', (code, fix) => {
    expect(find([{ [libcuda]: nativeError(code, `cuInit: ${code}`) }])).toEqual({
      reason: `the NVIDIA driver does not start: cuInit: ${code}`,
      fix: expect.stringMatching(fix),
    });
  });

  it('that is new enough', () => {
    expect(find([{ [libcuda]: driverOf({ version: 11_080 }) }])).toEqual({
      reason:
        'the NVIDIA driver is too old: it knows CUDA up to 11.8, and kernels are compiled for 12.0 and later',
      fix: 'update the NVIDIA driver to 525 or later',
    });
  });

  it('that is one', () => {
    const other = (path: string): Error => nativeError('SYMBOL_NOT_FOUND', `${path} has no function cuInit`);
    expect(find([{ [libcuda]: other(libcuda) }])).toMatchObject({
      reason: 'no NVIDIA driver: libcuda.so.1 has no function cuInit',
      fix: expect.stringContaining('nvidia-smi'),
    });
    const path = import.meta.filename;
    const driver = { path, by: 'TUTTI_CUDA_DRIVER' };
    expect(find([{ [path]: other(path) }], { driver })).toEqual({
      reason: `what TUTTI_CUDA_DRIVER names is no NVIDIA driver: ${path} has no function cuInit`,
      fix: 'name another, or none',
    });
    expect(find([{}], { driver })).toEqual({
      reason: `the driver that TUTTI_CUDA_DRIVER names, ${path}, does not load: ${path}: no library`,
      fix: 'name another, or none',
    });
  });
});

describe('no device', () => {
  it('is told, with the variable that may hide it', () => {
    const none = driverOf({}, []);
    expect(find([{ [libcuda]: none }])).toMatchObject({ reason: 'the NVIDIA driver finds no GPU' });
    expect(find([{ [libcuda]: none }], {}, { CUDA_VISIBLE_DEVICES: '' })).toMatchObject({
      reason: 'the NVIDIA driver finds no GPU; CUDA_VISIBLE_DEVICES is ""',
      fix: expect.stringContaining('nvidia-smi'),
    });
  });

  it('that is new enough is told by its name', () => {
    const pascal = { ...turing, name: 'Fake P100', computeCapability: 60 };
    expect(find([{ [libcuda]: driverOf({}, [pascal]) }])).toMatchObject({
      reason: 'Fake P100 has compute capability 6.0, and kernels need 7.5',
    });
  });

  it('that can be asked', () => {
    const failing = driverOf({
      describe: () => {
        throw nativeError('CUDA_ERROR_UNKNOWN', 'cuDeviceGetName: unknown error');
      },
    });
    expect(find([{ [libcuda]: failing }])).toMatchObject({
      reason: 'the NVIDIA driver does not tell its devices: cuDeviceGetName: unknown error',
    });
  });
});

describe('no compiler', () => {
  it.each([
    [13_000, 'nvidia-cuda-nvrtc, or install the CUDA toolkit 13'],
    [12_040, 'nvidia-cuda-nvrtc-cu12, or install the CUDA toolkit 12'],
  ])('is told with what to install for the driver, %i', (version, remedy) => {
    expect(find([{ [libcuda]: driverOf({ version }) }])).toEqual({
      reason: 'NVRTC, which compiles kernels, was not found',
      fix: expect.stringContaining(`pip install ${remedy}`),
    });
  });

  it('whose code the driver loads, or that knows the device', () => {
    const reason = (version: number, compiler: Parameters<typeof compilerOf>[0], capability = 75): unknown =>
      find([
        { [libcuda]: driverOf({ version }, [{ ...turing, computeCapability: capability }]) },
        { [nvrtc13]: compilerOf(compiler) },
      ]);
    expect(reason(12_080, {})).toMatchObject({
      reason:
        'no NVRTC that can be used was found: libnvrtc.so.13 is of CUDA 13.0, whose code the driver, of CUDA 12, does not load',
    });
    expect(reason(13_000, { version: [11, 8] })).toMatchObject({
      reason: expect.stringContaining('is of CUDA 11.8, and 12.0 is the least'),
    });
    expect(reason(13_000, { version: [12, 4], architectures: [75, 80, 90] }, 120)).toMatchObject({
      reason: expect.stringContaining(
        'is of CUDA 12.4, which does not know Fake T4 (compute capability 12.0)',
      ),
    });
    expect(reason(13_000, { version: [12, 4] })).toMatchObject({ compilerPath: nvrtc13 });
  });
});

describe('an emulation is never taken for a GPU', () => {
  const driver = { path: '/mine/libcuda.so', by: 'TUTTI_CUDA_DRIVER' };

  it('a driver that emulates is refused', () => {
    const emulating = driverOf({ emulated: true });
    expect(find([{ '/mine/libcuda.so': emulating }, compilers], { driver })).toEqual({
      reason: '/mine/libcuda.so, which TUTTI_CUDA_DRIVER names, emulates a GPU on the processor',
      fix: expect.stringContaining('createCudaBackend({ emulation: true, driver, nvrtc })'),
    });
    expect(find([{ [libcuda]: emulating }, compilers])).toMatchObject({
      reason: 'libcuda.so.1 emulates a GPU on the processor',
    });
  });

  it('and a real one is refused where an emulation is wanted', () => {
    expect(find([{ '/mine/libcuda.so': driverOf() }, compilers], { driver, emulation: true })).toMatchObject({
      reason:
        '/mine/libcuda.so, which TUTTI_CUDA_DRIVER names, is the driver of a GPU, and an emulation was asked for',
    });
  });
});
