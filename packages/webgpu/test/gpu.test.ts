/** What is said of adapters and browsers that are not here. */

import { Health } from '@tutti/core/backend';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createWebgpuBackend } from '../src/index.ts';
import { defaultLimits, describeDevice, described, isSoftware } from '../src/runtime/description.ts';
import { lostError, reportedError } from '../src/runtime/failures.ts';
import { findAdapter } from '../src/runtime/gpu.ts';
import { hasLibrary } from '../src/runtime/host.ts';

const info = (fields: Partial<GPUAdapterInfo>): GPUAdapterInfo =>
  ({
    vendor: '',
    architecture: '',
    device: '',
    description: '',
    isFallbackAdapter: false,
    ...fields,
  }) as GPUAdapterInfo;

const fakeAdapter = (
  fields: Partial<GPUAdapterInfo>,
  limits: object = {},
  features: string[] = [],
): GPUAdapter =>
  ({
    info: info(fields),
    limits: { ...defaultLimits, ...limits },
    features: new Set(features),
  }) as unknown as GPUAdapter;

const fakeGpu = (answers: readonly (GPUAdapter | null)[]): { gpu: GPU; asked: unknown[] } => {
  const asked: unknown[] = [];
  const requestAdapter = async (options: unknown): Promise<GPUAdapter | null> =>
    answers[asked.push(options) - 1] ?? null;
  return { gpu: { requestAdapter } as unknown as GPU, asked };
};

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

describe('descriptions', () => {
  it('name the GPU and its extras', async () => {
    const h200 = fakeAdapter(
      { vendor: 'nvidia', architecture: 'hopper', description: 'NVIDIA H200' },
      {
        maxBufferSize: 2 ** 40,
        maxStorageBufferBindingSize: 2 ** 32 - 4,
        maxStorageBuffersPerShaderStage: 16,
      },
      ['timestamp-query', 'subgroups', 'depth-clip-control'],
    );
    const probed = await createWebgpuBackend({ adapter: h200 }).probe();
    expect(probed).toMatchObject({
      available: true,
      devices: [
        {
          description: 'NVIDIA H200 (nvidia, hopper), subgroups, timestamp-query',
          emulated: false,
          capabilities: { buffersPerKernel: 16, bytesPerBuffer: 2 ** 31 - 16 },
        },
      ],
    });
    const pretended = await createWebgpuBackend({ adapter: h200, limits: 'default' }).probe();
    expect(pretended).toMatchObject({
      devices: [{ description: 'NVIDIA H200 (nvidia, hopper)', capabilities: { buffersPerKernel: 8 } }],
    });
  });

  it('do without what a browser hides', () => {
    const adapter = fakeAdapter({ vendor: 'apple', architecture: 'metal-3' });
    expect(describeDevice(described(adapter, adapter.info, false)).description).toBe('apple, metal-3');
    expect(describeDevice(described(adapter, undefined, false)).description).toBe(
      'a GPU that does not tell its name',
    );
  });

  it('know software by its names', () => {
    expect(isSoftware(info({ vendor: 'google', architecture: 'swiftshader' }))).toBe(true);
    expect(isSoftware(info({ description: 'llvmpipe (LLVM 15.0.6, 256 bits)' }))).toBe(true);
    expect(isSoftware(info({ description: 'Microsoft Basic Render Driver' }))).toBe(true);
    expect(isSoftware(info({ vendor: 'intel', isFallbackAdapter: true }))).toBe(true);
    expect(isSoftware(info({ vendor: 'nvidia', architecture: 'ampere' }))).toBe(false);
  });
});

describe('adapters', () => {
  it('are asked for by power preference, and then as a fallback', async () => {
    const slow = fakeAdapter({ isFallbackAdapter: true });
    const { gpu, asked } = fakeGpu([null, slow]);
    expect(await findAdapter(gpu, 'low-power')).toBe(slow);
    expect(asked).toEqual([{ powerPreference: 'low-power' }, { forceFallbackAdapter: true }]);
  });

  it('that are missing are an answer', async () => {
    const options = { gpu: fakeGpu([]).gpu };
    const probed = await createWebgpuBackend(options).probe();
    expect(probed).toMatchObject({ available: false, reason: expect.stringContaining('driver') });
    await expect(createWebgpuBackend(options).open(0)).rejects.toMatchObject({
      code: 'TUTTI_BACKEND_UNAVAILABLE',
    });
    const throwing = { requestAdapter: () => Promise.reject(new TypeError('no')) } as unknown as GPU;
    expect(await createWebgpuBackend({ gpu: throwing }).probe()).toMatchObject({
      available: false,
      reason: 'asking for an adapter failed: no',
    });
  });

  it('that have been used say so', async () => {
    const used = fakeAdapter({});
    Object.assign(used, { requestDevice: () => Promise.reject(new Error('adapter is "consumed"')) });
    const opening = createWebgpuBackend({ adapter: used }).open(0);
    await expect(opening).rejects.toThrow(
      /does not open a device: adapter is "consumed".*do not pass an adapter/s,
    );
  });
});

describe('options', () => {
  it.each([
    [{ powerPrefernce: 'low-power' }, 'there is no option "powerPrefernce"', 'did you mean powerPreference?'],
    [{ powerPreference: 'low' }, 'powerPreference is "low"', "'low-power'"],
    [{ device: Promise.resolve() }, 'device is a promise', 'await it first'],
    [{ device: fakeAdapter({}) }, 'device is an object', 'adapter.requestDevice()'],
    [{ adapter: null }, 'adapter is null', 'this machine has none'],
    [{ adapter: Promise.resolve() }, 'adapter is a promise', 'await it first'],
  ])('that are wrong are refused at once: %j', (options, message, fix) => {
    expect(() => createWebgpuBackend(options as object)).toThrow(
      expect.objectContaining({
        code: 'TUTTI_ARGUMENT',
        message: expect.stringContaining(`createWebgpuBackend: ${message}`),
        fix: expect.stringContaining(fix),
      }),
    );
  });
});

it('a driver that was named and is not found is named again', async () => {
  vi.stubEnv('VK_DRIVER_FILES', '');
  vi.stubEnv('VK_ICD_FILENAMES', '/nowhere/icd.json');
  const probed = await createWebgpuBackend({ gpu: fakeGpu([]).gpu }).probe();
  const named = process.platform === 'linux' ? /; VK_ICD_FILENAMES is \/nowhere\/icd\.json$/ : /driver/;
  expect(probed).toMatchObject({ available: false, reason: expect.stringMatching(named) });
});

it('a library is looked for without loading it for good', () => {
  expect(hasLibrary('libno-such-library.so.1')).toBe(false);
  expect(hasLibrary(process.execPath)).toBe(false);
});

describe('a browser', () => {
  it.each([
    [false, 'browsers offer WebGPU only to secure pages', 'https'],
    [true, 'this browser has no WebGPU', 'Chrome'],
  ])('without WebGPU is told what to do (secure: %s)', async (isSecureContext, reason, fix) => {
    vi.resetModules();
    vi.stubGlobal('process', undefined);
    vi.stubGlobal('navigator', {});
    vi.stubGlobal('isSecureContext', isSecureContext);
    const { findGpu } = await import('../src/runtime/gpu.ts');
    expect(await findGpu()).toEqual({ reason, fix: expect.stringContaining(fix) });
  });

  it('offers its own', async () => {
    const { gpu } = fakeGpu([fakeAdapter({ vendor: 'arm' })]);
    vi.stubGlobal('navigator', { gpu });
    expect(await createWebgpuBackend().probe()).toMatchObject({ devices: [{ description: 'arm' }] });
  });
});

describe('failures', () => {
  it('of a lost device say whose turn it is', () => {
    const lost = lostError({ reason: 'unknown', message: 'a hang.' }, true);
    expect(lost.message).toMatch(
      /^the GPU device was lost: a hang; its tensors are gone\n.*open the device again/,
    );
    const destroyed = lostError({ reason: 'destroyed', message: '' }, false);
    expect(destroyed.message).toMatch(
      /was destroyed, by the program or by the browser; its tensors are gone/,
    );
    expect(destroyed.fix).toMatch(/createWebgpuBackend\(\{ device: another \}\)/);
  });

  it('keep the first, and tell those who wait', async () => {
    const health = new Health();
    const waiting = health.guard(new Promise(() => {}));
    const memory = Object.assign(Object.create({ [Symbol.toStringTag]: 'GPUOutOfMemoryError' }), {
      message: 'full',
    });
    health.fail(reportedError(memory as GPUError, 'while memory was allocated', true));
    health.fail(reportedError(memory as GPUError, 'later', true));
    await expect(waiting).rejects.toMatchObject({
      code: 'TUTTI_OUT_OF_MEMORY',
      message: expect.stringMatching(/ran out of memory, while memory was allocated: full.*smaller batches/s),
    });
    await expect(health.guard(Promise.resolve(1))).rejects.toMatchObject({ code: 'TUTTI_OUT_OF_MEMORY' });
  });
});
