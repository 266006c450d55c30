import type { BackendFactory } from '@tutti/core/backend';
import { interpreterBackend } from '@tutti/core/testing';
import {
  BackendUnavailableError,
  DeviceError,
  DisposedError,
  defaultDevice,
  device,
  deviceSelection,
  devices,
  registerBackend,
  setDefaultDevice,
  tensor,
  unregisterBackend,
} from 'tutti';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const priorityOfCpu = 10;

/** A backend that does nothing, beside cpu. */
const registerNull = (priority: number, emulated = false): void =>
  registerBackend(interpreterBackend({ name: 'null', priority, emulated, execute: false }));

/** The machine may have a GPU. */
const noGpu = (name: string, priority: number): BackendFactory => ({
  name,
  priority,
  probe: async () => ({ available: false, reason: 'no GPU takes part in this test', fix: 'leave it so' }),
  open: () => Promise.reject(new DeviceError('never opened')),
});

beforeEach(async () => {
  registerBackend(noGpu('cuda', 40));
  registerBackend(noGpu('webgpu', 30));
  delete process.env['TUTTI_DEVICE'];
  registerNull(priorityOfCpu - 1);
  await setDefaultDevice('cpu');
});

afterEach(async () => {
  await setDefaultDevice('cpu');
  await unregisterBackend('null');
});

describe('devices()', () => {
  it('lists what is there best first, and why the others are not', async () => {
    const entries = await devices();
    const available = entries.filter((entry) => entry.available).map((entry) => entry.id);
    expect(available).toEqual(['cpu', 'null']);
    const cuda = entries.find((entry) => entry.backend === 'cuda');
    expect(cuda).toMatchObject({ available: false, fix: 'leave it so' });
  });
});

describe('the choice of a device', () => {
  it('takes the available backend of the highest priority, and says why not the others', async () => {
    expect((await device('auto')).id).toBe('cpu');
    const selection = deviceSelection()!;
    expect(selection).toMatchObject({ taken: 'cpu', because: 'priority' });
    expect(selection.passedOver.map(({ backend }) => backend)).toEqual(['cuda', 'webgpu', 'webgl']);
    for (const { reason, fix } of selection.passedOver) expect([reason, fix]).not.toContain('');
  });

  it('goes by priority and not by the order of registration', async () => {
    await unregisterBackend('null');
    registerNull(priorityOfCpu + 1);
    expect((await device('auto')).id).toBe('null');
  });

  it('passes over what software stands in for, and says how to take it all the same', async () => {
    await unregisterBackend('null');
    registerNull(priorityOfCpu + 1, true);
    expect((await device('auto')).id).toBe('cpu');
    const passedOver = deviceSelection()!.passedOver.find(({ backend }) => backend === 'null');
    expect(passedOver).toMatchObject({
      reason: expect.stringContaining('software stands in for its hardware'),
      fix: expect.stringContaining('TUTTI_DEVICE=null'),
    });
    expect((await device('null')).id).toBe('null');
  });

  it('setDefaultDevice decides where new tensors go', async () => {
    await setDefaultDevice('null');
    expect(defaultDevice().id).toBe('null');
    expect(tensor([1]).device.id).toBe('null');
    await setDefaultDevice('cpu');
    expect(tensor([1]).device.id).toBe('cpu');
  });

  it('a device can be named at creation', async () => {
    expect(tensor([1, 2], { device: await device('null') }).device.id).toBe('null');
  });
});

describe('tensors on two devices', () => {
  it('to() copies the value', async () => {
    const here = tensor([1, 2, 3]);
    const there = await here.to('null');
    expect(there.device.id).toBe('null');
    expect(await (await there.to('cpu')).array()).toEqual([1, 2, 3]);
  });

  it('do not mix', async () => {
    const here = tensor([1, 2, 3]);
    const there = await here.to('null');
    expect(() => here.add(there)).toThrow(DeviceError);
    expect(() => here.add(there)).toThrow(/cpu.*null|null.*cpu/s);
  });
});

describe('a device that has ended', () => {
  it('is opened anew when it is asked for again', async () => {
    const first = await device('null');
    expect(await device('null')).toBe(first);
    first.backend.dispose();
    await expect(tensor([1, 2], { device: first }).add(1).data()).rejects.toThrow(DisposedError);
    const second = await device('null');
    expect(second).not.toBe(first);
    expect(await tensor([1, 2], { device: second }).data()).toHaveLength(2);
  });
});

describe('a device that is not there', () => {
  it('is an error with what to install, and nothing else is taken instead', async () => {
    const wish = setDefaultDevice('cuda');
    await expect(wish).rejects.toThrow(BackendUnavailableError);
    await expect(wish).rejects.toThrow(
      'device cuda is not available: no GPU takes part in this test\n  fix: leave it so',
    );
    expect(defaultDevice().id).toBe('cpu');
  });

  it('names the known backends when the name is not one', async () => {
    await expect(device('brass')).rejects.toThrow(/no backend called "brass"[\s\S]*cpu/);
  });

  it('names the devices that there are when the number is too high', async () => {
    await expect(device('cpu:7')).rejects.toThrow(/no device cpu:7/);
  });
});
