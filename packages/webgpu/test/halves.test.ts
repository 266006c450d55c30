import { ExpressionBuilder, type Kernel } from '@tutti/core/backend';
import { difference, interpretKernel, runProgram } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import { openDevice } from '../src/runtime/device.ts';
import { convertsHalves } from '../src/runtime/halves.ts';
import { adapter, make } from './support/device.ts';
import { hardware, software } from './support/kernels.ts';

/** Every half, from memory to a float. */
const widen: Kernel = (() => {
  const b = new ExpressionBuilder();
  const i = { name: 'i', extent: 65536 };
  const value = b.load('f32', 0, b.index(i));
  return {
    kind: 'kernel',
    name: 'widen',
    buffers: [
      { dtype: 'float16', length: i.extent, access: 'read' },
      { dtype: 'float32', length: i.extent, access: 'write' },
    ],
    scalars: [],
    space: [i],
    phases: [
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [{ buffer: 1, index: b.index(i), value, mode: 'set' }],
      },
    ],
  };
})();

/** A device on which every module has one text in place of another. */
function withText(device: GPUDevice, from: RegExp, to: string): GPUDevice {
  const createShaderModule = ({ code }: GPUShaderModuleDescriptor): GPUShaderModule => {
    expect(code).toMatch(from);
    return device.createShaderModule({ code: code.replace(from, to) });
  };
  return new Proxy(device, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (name === 'createShaderModule') return createShaderModule;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const makeDevice = async (): Promise<GPUDevice> => (await adapter()).requestDevice();

describe('the built-in conversion of halves', () => {
  it.each([
    ['software', software],
    ['hardware', hardware],
  ])('is trusted where it gives all of them: %s', async (_, features) => {
    const backend = await make();
    const source = new Uint16Array(65536).map((_, k) => k);
    const want = [source, new Float32Array(65536)];
    interpretKernel(widen, want);
    const buffers = [source, new Float32Array(65536)];
    const program = backend.load(compileKernel(widen, { ...features, exactHalves: true }));
    const got = await runProgram(backend, program, widen, buffers, []);
    const right = difference(widen, got, want, 'signed') === undefined;
    expect(await convertsHalves(await makeDevice())).toBe(right);
    const { shaderFeatures } = await openDevice(await adapter(), false);
    expect(shaderFeatures.exactHalves).toBe(right);
  });

  it('is in a kernel where it is trusted, and integers are elsewhere', () => {
    const trusting = compileKernel(widen, { ...hardware, exactHalves: true }).source();
    expect(trusting).toContain('unpack2x16float');
    expect(trusting).not.toContain('5.9604645e-8');
    const careful = compileKernel(widen, hardware).source();
    expect(careful).toContain('5.9604645e-8');
    expect(careful).not.toContain('unpack2x16float');
  });

  it.each([
    ['denormals to zero', 'select(vec2<f32>(), $&, (id.x & 0x7c00u) != 0u)'],
    ['one denormal wrong', 'select($&, vec2<f32>(1.0), id.x == 0x83ffu)'],
    ['the upper half wrong', 'vec2<f32>($&.x, 0.0)'],
    ['a number for NaN', 'select($&, vec2<f32>(1.0), (id.x & 0x7fffu) > 0x7c00u)'],
    ['infinity too soon', 'select($&, bitcast<vec2<f32>>(vec2<u32>(grid.y * 0x7f800000u)), id.x == 0x7bffu)'],
  ])('is not trusted where it gives %s', async (_, wrong) => {
    const device = withText(await makeDevice(), /unpack2x16float\([^)]*\)/, wrong);
    expect(await convertsHalves(device)).toBe(false);
  });

  it('is not trusted where it is no answer', async () => {
    const device = await makeDevice();
    device.destroy();
    expect(await convertsHalves(device)).toBe(false);
  });

  it('is not asked for where nothing beyond the least is', async () => {
    const { shaderFeatures } = await openDevice(await adapter(), true);
    expect(shaderFeatures.exactHalves).toBe(false);
  });
});
