import { KernelError } from '@tutti/core/backend';
import { bytesOf, dispatch, download, upload } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { adapter, make, makeOn } from './support/device.ts';
import { affine, increment, invalid, tooLarge } from './support/programs.ts';

const code = (name: string) => expect.objectContaining({ code: `TUTTI_${name}` });

describe('WGSL that does not compile', () => {
  it('is shown with line numbers, and leaves the device as it was', async () => {
    const backend = await make();
    const broken = backend.load(invalid);
    const error = await Promise.resolve(broken.ready).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(KernelError);
    const { message, op, received } = error as KernelError;
    expect(message).toMatch(
      /^kernel invalid does not compile: line 3, column 20: unresolved value 'missing'/,
    );
    expect(op).toBe('invalid');
    expect(received).toMatch(/^1 {2}@group.*\n3 {2}fn main\(\) \{ a\[0\] = missing; \}$/s);
    expect(broken.source()).toContain('3  fn main()');

    const a = upload(backend, [1]);
    expect(() => backend.submit([dispatch(broken, [a])])).toThrow(code('KERNEL'));
    const good = backend.load(increment(1));
    await good.ready;
    backend.submit([dispatch(good, [a])]);
    expect(await download(backend, a)).toEqual([2]);
    expect(backend.failure).toBeUndefined();
  });

  it('fails those who wait for the same text as well', async () => {
    const backend = await make();
    const both = [backend.load(invalid), backend.load(invalid)];
    const results = await Promise.allSettled(both.map((program) => program.ready));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});

describe('a command that WebGPU refuses', () => {
  it('fails the device, with what WebGPU said', async () => {
    const backend = await make();
    const program = backend.load(tooLarge);
    await program.ready;
    const a = upload(backend, [1]);
    const { done } = backend.submit([dispatch(program, [a])]);
    await expect(done).rejects.toThrow(code('KERNEL'));
    expect(() => backend.submit([])).toThrow(
      /WebGPU refused a command.*65536.*report it.*open the device again/s,
    );
    await expect(backend.read(a, 0, 4)).rejects.toThrow(code('KERNEL'));
    expect(backend.memory()).toMatchObject({ bytes: 0, reserved: 0 });
    backend.free(a); // what is freed late does no harm
  });
});

describe('a lost device', () => {
  it('fails what is waited for and everything after, and a new one works', async () => {
    const device = await (await adapter()).requestDevice();
    const backend = await makeOn(device);
    const program = backend.load(affine(64, 1_000_000));
    await program.ready;
    const [a, b] = [upload(backend, new Int32Array(64)), backend.allocate(256)];
    const { done } = backend.submit([dispatch(program, [a, b], [1])]);
    const pending = [done, backend.read(b, 0, 256), backend.time([dispatch(program, [a, b], [1])])];
    const settled = Promise.allSettled(pending);
    device.destroy();
    for (const result of await settled) {
      expect(result).toMatchObject({ status: 'rejected', reason: code('DEVICE') });
    }
    expect(backend.failure?.message).toMatch(
      /^the GPU device was destroyed, by the program or by the browser.*its tensors are gone\n.*make another GPUDevice/s,
    );
    const failure = code('DEVICE');
    expect(() => backend.allocate(4)).toThrow(failure);
    expect(() => backend.write(a, bytesOf([1]))).toThrow(failure);
    expect(() => backend.submit([])).toThrow(failure);
    expect(() => backend.load(increment(1))).toThrow(failure);
    await expect(backend.read(a, 0, 4)).rejects.toThrow(failure);
    backend.free(a);
    expect(backend.memory()).toMatchObject({ bytes: 0, buffers: 0, reserved: 0 });

    const next = await make();
    expect(await download(next, upload(next, [5]))).toEqual([5]);
  });
});

describe('dispose', () => {
  it('ends the device at once, for those who wait too', async () => {
    const backend = await make();
    const program = backend.load(affine(64, 100_000));
    await program.ready;
    const [a, b] = [upload(backend, new Int32Array(64)), backend.allocate(256)];
    const fence = backend.submit([dispatch(program, [a, b], [1])]);
    const waiting = [fence.done, backend.read(b, 0, 4), backend.load(affine(65)).ready];
    const settled = Promise.allSettled(waiting);
    backend.dispose();
    backend.dispose();
    for (const result of await settled) {
      expect(result).toMatchObject({ status: 'rejected', reason: code('DISPOSED') });
    }
    expect(() => backend.allocate(4)).toThrow(code('DISPOSED'));
    expect(() => backend.submit([])).toThrow(/has been disposed/);
    expect(backend.memory()).toMatchObject({ bytes: 0, buffers: 0, reserved: 0 });
  });

  it('leaves a device alone that the user made', async () => {
    const device = await (await adapter()).requestDevice();
    const backend = await makeOn(device);
    const a = upload(backend, [1, 2]);
    expect(await download(backend, a)).toEqual([1, 2]);
    backend.dispose();
    const mine = device.createBuffer({ size: 16, usage: 1 | 8 });
    device.queue.writeBuffer(mine, 0, new Uint8Array([4, 5, 6, 7]));
    await mine.mapAsync(1);
    expect([...new Uint8Array(mine.getMappedRange(0, 4))]).toEqual([4, 5, 6, 7]);
    const again = await makeOn(device);
    expect(await download(again, upload(again, [3]))).toEqual([3]);
    again.dispose();
    device.destroy();
  });
});

describe('a device that the user made', () => {
  it('may report errors that are not ours, and ours are told apart', async () => {
    const device = await (await adapter()).requestDevice();
    const theirs: string[] = [];
    device.addEventListener('uncapturederror', (event) => {
      event.preventDefault();
      theirs.push(event.error.message);
    });
    const backend = await makeOn(device);
    const a = upload(backend, [1]);
    device.createBuffer({ size: 16, usage: 0 });
    expect(await download(backend, a)).toEqual([1]);
    expect(theirs).toHaveLength(1);
    expect(backend.failure).toBeUndefined();

    const program = backend.load(tooLarge);
    await program.ready;
    await expect(backend.submit([dispatch(program, [a])]).done).rejects.toThrow(code('KERNEL'));
    expect(theirs).toHaveLength(1);
    device.destroy();
  });
});
