/** What is handed to the addon, and when: on a device that only remembers. */

import { type Command, type DeviceBuffer, DisposedError } from '@tutti/core/backend';
import { dispatch } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import type { CudaBackend } from '../src/backend.ts';
import type { Executable } from '../src/runtime/executable.ts';
import { nativeError } from './support/fake.ts';
import { fakeBackend, loaded } from './support/fake-backend.ts';
import { affine, increment, program, reversed, storeScalars } from './support/programs.ts';

/** A buffer of the same size, and where it lies: the pool gives places in order. */
const first = 0x7f00_0000_0100;

describe('commands', () => {
  it('are launches with their parameters, pointers aligned to 8 bytes', async () => {
    const { backend, words } = fakeBackend();
    const executable = await loaded(backend, storeScalars);
    const out = backend.allocate(32);
    backend.submit([dispatch(executable, [out], [-0, -1, 4294967295, 1, Number.NaN, 2, -3, 0])]);
    const parameters = [
      ...[0x80000000, 0], // -0, and nothing before the pointer
      ...[first % 2 ** 32, Math.floor(first / 2 ** 32)],
      ...[0xffffffff, 0xffffffff, 1, 0x7fc00000, 0x40000000, 0xfffffffd, 0],
    ];
    expect(words()).toEqual([0, 11 + 11, 9, 1, 1, 1, 64, 1, 1, 0, 44, ...parameters]);
  });

  it('are copies of bytes; one of nothing, or onto itself, is none', async () => {
    const { backend, words, since } = fakeBackend();
    const [a, b] = [backend.allocate(1000), backend.allocate(1000)];
    backend.submit([{ kind: 'copy', source: a, target: b, bytes: 999 }]);
    expect(words()).toEqual([1, 8, (first + 1024) % 2 ** 32, 0x7f00, first % 2 ** 32, 0x7f00, 999, 0]);
    since();
    backend.submit([
      { kind: 'copy', source: a, target: a, bytes: 999 },
      { kind: 'copy', source: a, target: b, bytes: 0 },
    ]);
    backend.submit([]);
    expect(since()).toEqual([]);
  });

  it('go out in one call, however many they are', async () => {
    const { backend, since } = fakeBackend();
    const executable = await loaded(backend, reversed(100));
    const [a, b] = [backend.allocate(400), backend.allocate(400)];
    since();
    backend.submit(Array.from({ length: 500 }, () => dispatch(executable, [a, b])));
    expect(since()).toEqual(['allocate 512', `submit ${500 * 2 * 15}`]);
  });

  it('are timed with a mark before, between and after them', async () => {
    const { backend, words, pass } = fakeBackend();
    const executable = await loaded(backend);
    const a = backend.allocate(16);
    const times = backend.time([dispatch(executable, [a]), { kind: 'copy', source: a, target: a, bytes: 4 }]);
    const codes = words();
    expect(codes.slice(0, 3)).toEqual([2, 2, 0]);
    expect(codes.slice(-4)).toEqual([2, 2, 2, 2]);
    await pass();
    expect(await times).toEqual([1, 2]);
    expect(await backend.time([])).toEqual([]);
  });

  it('that are refused leave nothing half done', async () => {
    const { backend, since } = fakeBackend();
    const executable = await loaded(backend);
    const [a, freed] = [backend.allocate(16), backend.allocate(16)];
    backend.free(freed);
    since();
    expect(() => backend.submit([dispatch(executable, [a]), dispatch(executable, [freed])])).toThrow(
      DisposedError,
    );
    expect(() => backend.submit([dispatch(executable, [])])).toThrow(/buffer 0 of a stage is missing/);
    expect(() => backend.submit([dispatch(backend.load(affine(4)), [a, a], [1])])).toThrow(
      /affine is submitted before it is compiled/,
    );
    expect(() => backend.submit([dispatch(executable, [a], [1])])).toThrow(/takes 0 scalars and got 1/);
    expect(since()).toEqual([]);
  });

  it('use the workspace that there is, which grows between them', async () => {
    const { backend, since } = fakeBackend();
    const small = await loaded(backend, reversed(64));
    const [a, b] = [backend.allocate(4096), backend.allocate(4096)];
    const command = dispatch(small, [a, b]);
    backend.submit([command]);
    expect(since()).toContain('allocate 256');
    backend.submit([command]);
    const large = await loaded(backend, reversed(1024));
    since();
    backend.submit([command, dispatch(large, [a, b])]);
    expect(since()).toEqual(['allocate 4096', 'submit 60']);
  });
});

describe('writes', () => {
  it('go beside the work where nothing under way touches the memory', async () => {
    const { backend, since, pass } = fakeBackend();
    const executable = await loaded(backend);
    const [a, b] = [backend.allocate(16), backend.allocate(16)];
    since();
    const data = new Uint8Array(16);
    // The memory is there when the work before it is done.
    backend.write(a, data);
    backend.write(b, data);
    const fence = backend.submit([dispatch(executable, [a])]);
    backend.write(b, data);
    const writes = (): string[] => since().filter((call) => call.startsWith('write'));
    expect(writes()).toEqual(new Array(3).fill('write 16 after'));
    const done = fence.done;
    await pass();
    await done;
    backend.write(a, data); // the work with it has passed
    backend.write(a, data); // those that go beside it keep their own order
    backend.write(b, data); // it was written after that work, and that is not known to be done
    expect(writes()).toEqual(['write 16 beside', 'write 16 beside', 'write 16 after']);
  });

  it('know from a value that was read how far the device is', async () => {
    const { backend, since, pass } = fakeBackend();
    const executable = await loaded(backend);
    const [a, b] = [backend.allocate(16), backend.allocate(16)];
    backend.submit([dispatch(executable, [a])]);
    backend.submit([dispatch(executable, [b])]);
    const value = backend.read(b, 0, 16);
    backend.submit([dispatch(executable, [a])]);
    since();
    backend.write(b, new Uint8Array(1));
    expect(since()).toEqual(['write 1 after']); // it is being read
    backend.readSync(a, 0, 4);
    since();
    for (const buffer of [a, b]) backend.write(buffer, new Uint8Array(1));
    expect(since()).toEqual(['write 1 beside', 'write 1 beside']);
    await pass();
    await value;
  });

  it("to memory that was somebody else's wait for that work", async () => {
    const { backend, since } = fakeBackend();
    const executable = await loaded(backend);
    const a = backend.allocate(16);
    backend.submit([dispatch(executable, [a])]);
    backend.free(a);
    const b = backend.allocate(16);
    backend.write(b, new Uint8Array(16));
    expect(since().slice(-2)).toEqual(['submit 13', 'write 16 after']);
  });

  it('to memory that was the workspace wait for the programs that use it', async () => {
    const { backend, since, pass } = fakeBackend();
    const [small, large] = [await loaded(backend, reversed(64)), reversed(1024)];
    const [a, b] = [backend.allocate(4096), backend.allocate(4096)];
    const { done } = backend.submit([dispatch(small, [a, b])]);
    await pass();
    await done;
    backend.submit([dispatch(small, [a, b])]);
    backend.submit([dispatch(await loaded(backend, large), [a, b])]);
    const workspace = backend.allocate(256);
    since();
    backend.write(workspace, new Uint8Array(256));
    expect(since()).toEqual(['write 256 after']);
  });

  it('of nothing are none', () => {
    const { backend, since } = fakeBackend();
    const nothing = backend.allocate(0);
    since();
    backend.write(nothing, new Uint8Array(0));
    expect(backend.readSync(nothing, 0, 0)).toEqual(new Uint8Array(0));
    expect(since()).toEqual([]);
  });
});

describe('graphs', () => {
  const submitTimes = (backend: CudaBackend, commands: readonly Command[], times: number): void => {
    for (let i = 0; i < times; i++) backend.submit(commands);
  };
  const chain = (executable: Executable, buffer: DeviceBuffer, length: number): Command[] =>
    Array.from({ length }, () => dispatch(executable, [buffer]));

  it('are made of a list that comes the third time, and launched from then on', async () => {
    const { backend, since } = fakeBackend();
    const executable = await loaded(backend);
    const commands = chain(executable, backend.allocate(16), 10);
    since();
    submitTimes(backend, commands, 5);
    const graph = ['launchGraph 1'];
    expect(since()).toEqual(['submit 130', 'submit 130', 'capture 130', ...graph, ...graph, ...graph]);
    // Another list of the same commands is another list.
    backend.submit([...commands]);
    expect(since()).toEqual(['submit 130']);
  });

  it('leave out the commands that change, as those with the inputs of a step do', async () => {
    const { backend, since } = fakeBackend();
    const executable = await loaded(backend);
    const buffer = backend.allocate(16);
    const commands = chain(executable, buffer, 30);
    const step = (): void => {
      commands[10] = dispatch(executable, [buffer]); // in the middle
      commands[29] = dispatch(executable, [buffer]); // at the end
      backend.submit(commands);
    };
    for (let i = 0; i < 3; i++) step();
    since();
    for (let i = 0; i < 2; i++) step();
    const round = ['launchGraph 1', 'submit 13', 'launchGraph 2', 'submit 13'];
    expect(since()).toEqual([...round, ...round]);
  });

  it('are given up when a command of theirs changes, and made again', async () => {
    const { backend, since } = fakeBackend();
    const executable = await loaded(backend);
    const buffer = backend.allocate(16);
    const commands = chain(executable, buffer, 8);
    submitTimes(backend, commands, 4);
    since();
    commands[3] = dispatch(executable, [buffer]);
    submitTimes(backend, commands, 4);
    expect(since()).toEqual([
      'releaseGraph 1',
      'submit 104',
      'submit 104',
      'submit 104',
      'capture 104',
      'launchGraph 2',
    ]);
    commands.push(dispatch(executable, [buffer]));
    submitTimes(backend, commands, 1);
    expect(since()).toEqual(['releaseGraph 2', 'submit 117']);
    // Whoever changes them all the time gets no more.
    for (let i = 0; i < 40; i++) {
      if (i % 5 === 0) commands[0] = dispatch(executable, [buffer]);
      backend.submit(commands);
    }
    expect(since().filter((call) => call.startsWith('capture'))).toHaveLength(3);
    submitTimes(backend, commands, 5);
    expect(since()).toEqual(new Array(5).fill('submit 117'));
  });

  it('are made again when the workspace has moved', async () => {
    const { backend, since } = fakeBackend();
    const small = await loaded(backend, reversed(64));
    const [a, b] = [backend.allocate(4096), backend.allocate(4096)];
    const commands = Array.from({ length: 6 }, () => dispatch(small, [a, b]));
    submitTimes(backend, commands, 3);
    await loaded(backend, reversed(1024));
    since();
    submitTimes(backend, commands, 5);
    expect(since().map((call) => call.split(' ')[0])).toEqual([
      ...['allocate', 'releaseGraph', 'submit', 'submit', 'submit'],
      ...['capture', 'launchGraph', 'launchGraph'],
    ]);
  });

  it('are not made of few commands, nor where they are switched off or there is no memory for them', async () => {
    const { backend, since } = fakeBackend();
    const executable = await loaded(backend);
    const buffer = backend.allocate(16);
    submitTimes(backend, chain(executable, buffer, 5), 5);
    expect(since().filter((call) => call.startsWith('capture'))).toEqual([]);

    const off = fakeBackend({ graphs: false });
    const other = await loaded(off.backend);
    submitTimes(off.backend, chain(other, off.backend.allocate(16), 50), 5);
    expect(off.since().filter((call) => call.startsWith('capture'))).toEqual([]);

    const poor = fakeBackend();
    const third = await loaded(poor.backend);
    const commands = chain(third, poor.backend.allocate(16), 10);
    poor.fail('capture', nativeError('CUDA_ERROR_OUT_OF_MEMORY'));
    submitTimes(poor.backend, commands, 3);
    expect(poor.since().slice(-3)).toEqual(['submit 130', 'submit 130', 'submit 130']);
  });

  it('still know that a buffer has been freed', async () => {
    const { backend } = fakeBackend();
    const executable = await loaded(backend);
    const buffer = backend.allocate(16);
    const commands = chain(executable, buffer, 10);
    submitTimes(backend, commands, 4);
    backend.free(buffer);
    expect(() => backend.submit(commands)).toThrow(DisposedError);
  });
});

describe('memory', () => {
  it('that is freed is used again, in size classes', () => {
    const { backend, since } = fakeBackend();
    const a = backend.allocate(1000);
    backend.free(a);
    backend.allocate(900);
    backend.allocate(0);
    expect(since()).toEqual(['allocate 1024', 'allocate 256']);
    expect(backend.memory()).toEqual({ bytes: 900, buffers: 2, reserved: 1280, allocations: 2 });
  });

  it('that has run out is taken from what is kept, and then told with all figures', () => {
    const { backend, since, fail } = fakeBackend();
    const kept = backend.allocate(512);
    backend.allocate(256);
    backend.free(kept);
    since();
    fail('allocate', nativeError('CUDA_ERROR_OUT_OF_MEMORY'));
    backend.allocate(2 ** 20);
    expect(since()).toEqual(['free', 'trim', 'allocate 1048576']);
    fail('allocate', nativeError('CUDA_ERROR_OUT_OF_MEMORY'), 2);
    expect(() => backend.allocate(3 * 2 ** 20)).toThrow(
      expect.objectContaining({
        code: 'TUTTI_OUT_OF_MEMORY',
        message: expect.stringMatching(
          /^the GPU has no memory for 3145728 bytes \(3\.0 MiB\): 1073741824 bytes \(1024\.0 MiB\) of .* are free on the GPU, .* \(1\.0 MiB\) are in use by tensors and programs\n/,
        ),
        fix: expect.stringContaining('nvidia-smi'),
      }),
    );
    expect(backend.failure).toBeUndefined();
    backend.allocate(3 * 2 ** 20);
  });

  it('keeps to a limit', () => {
    const { backend, since } = fakeBackend({ memoryLimit: 2 ** 20 });
    backend.free(backend.allocate(2 ** 19));
    backend.allocate(3 * 2 ** 18);
    expect(since()).toEqual(['allocate 524288', 'free', 'allocate 786432']);
    expect(() => backend.allocate(2 ** 19)).toThrow(
      /524288 bytes \(0\.5 MiB\) more would exceed the memory limit of .*\(1\.0 MiB\): .*\(0\.8 MiB\) are in use .*fix: .*raise the limit/s,
    );
    backend.allocate(2 ** 18);
  });

  it('has buffers up to a size', () => {
    const { backend } = fakeBackend();
    expect(() => backend.allocate(2 ** 40)).toThrow(/a buffer of 1099511627776 bytes .* is not possible/);
    expect(() => backend.allocate(-1)).toThrow(expect.objectContaining({ code: 'TUTTI_OUT_OF_MEMORY' }));
    expect(() => backend.allocate(1.5)).toThrow(expect.objectContaining({ code: 'TUTTI_OUT_OF_MEMORY' }));
    const space = [{ name: 'i', extent: 2 ** 31 }];
    const kernel = { kind: 'kernel', name: 'wide', scalars: [], space, phases: [] } as const;
    const buffers = [{ dtype: 'uint8', length: 2 ** 31, access: 'write' }] as const;
    expect(() => backend.compile({ ...kernel, buffers })).toThrow(
      /a tensor of 2147483648 elements is not possible; this device takes up to 2130706432/,
    );
  });
});

describe('modules', () => {
  it('are shared by programs of the same text, and compiled when somebody asks', async () => {
    const { backend, since } = fakeBackend();
    const [one, two, wider] = [increment(4), increment(4, 'again'), increment(5)].map((each) =>
      backend.load(each),
    );
    expect(since()).toEqual([]);
    expect(one!.ready).toBe(one!.ready);
    await Promise.all([one!.ready, two!.ready]);
    expect(one!.ready).toBeUndefined();
    expect(since()).toEqual(['loadModule', 'getFunction entry 0', 'getFunction entry 0']);
    await wider!.ready;
    expect(since()).toEqual(['loadModule', 'getFunction entry 0']);
    expect(backend.resources(one!)).toMatchObject([{ registers: 8 }]);
  });

  it('may have several functions', async () => {
    const { backend, since } = fakeBackend();
    const { stages } = increment(4);
    const entries = ['first', 'second'].map((entry) => ({ ...stages[0]!, entry, sharedBytes: 1024 }));
    await loaded(backend, program('both', entries));
    expect(since()).toEqual(['loadModule', 'getFunction first 1024', 'getFunction second 1024']);
  });
});

describe('programs', () => {
  it('that could not be loaded for want of memory get that which is kept, and may be asked for again', async () => {
    const { backend, since, fail } = fakeBackend();
    backend.free(backend.allocate(512));
    since();
    fail('loadModule', nativeError('CUDA_ERROR_OUT_OF_MEMORY'));
    await loaded(backend);
    expect(since()).toEqual(['free', 'trim', 'loadModule', 'getFunction entry 0']);
    fail('loadModule', nativeError('CUDA_ERROR_OUT_OF_MEMORY'), 2);
    const again = backend.load(increment(5));
    await expect(again.ready).rejects.toMatchObject({ code: 'TUTTI_OUT_OF_MEMORY' });
    await again.ready;
    expect(again.ready).toBeUndefined();
    expect(again.functions).toEqual([9]);
  });
});

describe('a failure', () => {
  it.each([
    ['CUDA_ERROR_ILLEGAL_ADDRESS', /restart the process/],
    ['CUDA_ERROR_LAUNCH_FAILED', /restart the process/],
    ['CUDA_ERROR_ECC_UNCORRECTABLE', /restart the process/],
    ['CUDA_ERROR_CONTEXT_IS_DESTROYED', /open the device again: await setDefaultDevice\('cuda'\)/],
  ])('that lasts ends the device and releases what it held: %s', async (code, fix) => {
    const { backend, fail, since } = fakeBackend();
    const executable = await loaded(backend);
    const [a, b] = [backend.allocate(16), backend.allocate(16)];
    const waiting = [backend.read(a, 0, 4), backend.submit([]).done, backend.load(affine(9)).ready];
    const settled = Promise.allSettled(waiting);
    since();
    fail('submit', nativeError(code, `cuLaunchKernel: ${code}`));
    const failure = expect.objectContaining({
      code: 'TUTTI_DEVICE',
      message: expect.stringMatching(
        /^the CUDA device cuda failed while commands were submitted: .*its tensors are gone/,
      ),
      fix: expect.stringMatching(fix),
    });
    expect(() => backend.submit([dispatch(executable, [a])])).toThrow(failure);
    for (const result of await settled) expect(result).toEqual({ status: 'rejected', reason: failure });
    expect(since()).toEqual(['close']);
    expect(backend.failure).toEqual(failure);
    for (const call of [
      () => backend.allocate(4),
      () => backend.write(a, new Uint8Array(4)),
      () => backend.readSync(a, 0, 4),
      () => backend.submit([]),
      () => backend.load(increment(1)),
    ])
      expect(call).toThrow(failure);
    await expect(backend.read(a, 0, 4)).rejects.toEqual(failure);
    await expect(backend.time([])).rejects.toEqual(failure);
    backend.free(b); // what is freed late does no harm
    backend.dispose();
    expect(backend.memory()).toMatchObject({ bytes: 0, buffers: 0, reserved: 0 });
    expect(since()).toEqual([]);
  });

  it('of what was asked alone leaves the device as it was', async () => {
    const { backend, fail } = fakeBackend();
    const executable = await loaded(backend);
    const a = backend.allocate(16);
    fail('submit', nativeError('CUDA_ERROR_INVALID_VALUE', 'cuLaunchKernel: invalid argument'));
    expect(() => backend.submit([dispatch(executable, [a])])).toThrow(
      expect.objectContaining({
        code: 'TUTTI_KERNEL',
        message: expect.stringContaining('CUDA refused what it was given while commands were submitted'),
      }),
    );
    fail('write', nativeError('CUDA_ERROR_OUT_OF_MEMORY', 'cuMemHostAlloc: out of memory'));
    expect(() => backend.write(a, new Uint8Array(4))).toThrow(
      expect.objectContaining({ code: 'TUTTI_OUT_OF_MEMORY' }),
    );
    expect(backend.failure).toBeUndefined();
    backend.submit([dispatch(executable, [a])]);
  });
});
