/** What a driver does wrong, and what is said of it. */
import { describe, expect, it } from 'vitest';
import { child } from './support/child.ts';

/** Failures to open a device are alike, whatever was being made. */
const kindOf = (output: string): string => (output.startsWith('TUTTI') ? output.split(':')[0]! : output);

const probe = 'console.log(JSON.stringify(await emulated.probe()));';

describe('a driver', () => {
  it.each([
    [
      'finds no device',
      { noDevice: true },
      /^the NVIDIA driver does not start: cuInit: CUDA_ERROR_NO_DEVICE /,
      /nvidia-smi/,
    ],
    ['is too old', { driverVersion: 11_080 }, /too old: it knows CUDA up to 11\.8/, /525 or later/],
    [
      'does not start',
      { init: 999 },
      /^the NVIDIA driver does not start: cuInit: CUDA_ERROR_UNKNOWN /,
      /nvidia-smi/,
    ],
  ])('that %s', async (_, faults, reason, fix) => {
    const { code, output, errors } = await child(probe, { faults });
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    const answer = JSON.parse(output);
    expect(answer).toEqual({
      available: false,
      reason: expect.stringMatching(reason),
      fix: expect.stringMatching(fix),
    });
    expect(answer.reason).not.toContain('\n');
  });

  it('of an earlier release gets a compiler of its own, or is told which', async () => {
    const { output } = await child(probe, { faults: { driverVersion: 12_040 } });
    expect(JSON.parse(output)).toMatchObject({
      available: false,
      reason: expect.stringMatching(
        /libnvrtc\.so\.13, is of CUDA 13\.\d, whose code the driver, of CUDA 12, does not load/,
      ),
      fix: expect.stringContaining('pip install nvidia-cuda-nvrtc-cu12'),
    });
  });

  it('that does not open a device', async () => {
    const script = 'await emulated.open(0).catch((error) => { told(error); console.log(error.fix); });';
    const taken = await child(script, { faults: { context: 46 } });
    expect(taken.output).toMatch(
      /^TUTTI_BACKEND_UNAVAILABLE: cuda-emulated, .*, cannot be opened: .*\nend the program that has the GPU/,
    );
    const second = script.replace('open(0)', 'open(1)');
    const lost = await child(second, { devices: 2, faults: { context: 700 } });
    expect(lost.output).toMatch(
      /^TUTTI_BACKEND_UNAVAILABLE: cuda-emulated:1, .*, cannot be opened: .*\nrestart the process/,
    );
  });

  it('without memory pools is used without them', async () => {
    const script = `
      const backend = await emulated.open(0);
      const { buffer } = await start(backend);
      console.log(ints(await backend.read(buffer, 0, 4))[0]);
      backend.dispose();`;
    const result = await child(script, { leaks: true, faults: { noPools: true } });
    expect(result).toEqual({ code: 0, output: '1', errors: '' });
  });
});

describe('memory that runs out', () => {
  const course = `
    const backend = await emulated.open(0).catch(told);
    if (backend) {
      let failed = 0;
      for (let i = 0; i < 6; i++) {
        try {
          const { program, buffer } = await start(backend, 64 << i);
          const commands = Array.from({ length: 8 }, () => dispatch(program, buffer));
          for (let j = 0; j < 4; j++) backend.submit(commands);
          await backend.read(buffer, 0, 4);
          backend.free(buffer);
        } catch (error) {
          if (error.code !== 'TUTTI_OUT_OF_MEMORY') throw error;
          failed++;
        }
      }
      const { buffer } = await start(backend);
      const works = ints(await backend.read(buffer, 0, 4))[0] === 1 && backend.failure === undefined;
      console.log(failed, 'failed and', backend.statistics.graphs, 'graphs,', works ? 'works' : 'does not work');
      backend.dispose();
    }`;

  const closed = expect.stringMatching(/^TUTTI_BACKEND_UNAVAILABLE: .*out of memory/i);
  const works = (failed: number, graphs: number): string => `${failed} failed and ${graphs} graphs, works`;

  /** With each fault, what comes of it the first times, in order; then there is no such occasion any more. */
  it.each([
    ['allocate', 'is tried again', [works(0, 6)]],
    ['pinned', 'is told by whoever needed it', [closed, works(1, 6), works(0, 6)]],
    ['graph', 'is done without', [works(0, 5), works(0, 6)]],
    ['create', 'is told by whoever needed it', [closed, works(1, 5), works(0, 6)]],
  ] as const)(
    'at each occasion in turn: %s, which %s',
    async (fault, _, expected) => {
      const outcomes: string[] = [];
      for (let nth = 1; nth <= 7; nth++) {
        const { code, output, errors } = await child(course, { leaks: true, faults: { [fault]: nth } });
        expect({ nth, code, errors }).toEqual({ nth, code: 0, errors: '' });
        const [before] = outcomes.slice(-1);
        if (kindOf(output) !== (before && kindOf(before))) outcomes.push(output);
      }
      expect(outcomes).toEqual(expected);
    },
    120_000,
  );

  it('tells all figures, and leaves the device usable', async () => {
    const script = `
      const backend = await emulated.open(0);
      const held = backend.allocate(20 * 2 ** 20);
      backend.free(backend.allocate(30 * 2 ** 20));
      backend.allocate(40 * 2 ** 20); // what was kept is given back for it
      try { backend.allocate(20 * 2 ** 20); } catch (error) { told(error); }
      backend.free(held);
      backend.allocate(20 * 2 ** 20);
      const { buffer } = await start(backend);
      console.log(ints(await backend.read(buffer, 0, 4))[0]);`;
    const { output } = await child(script, { memory: 64 * 2 ** 20 });
    expect(output).toMatch(
      /^TUTTI_OUT_OF_MEMORY: the GPU has no memory for .*\(20\.0 MiB\): .* MiB\) of .*\(64\.0 MiB\) are free on the GPU, .*\(60\.0 MiB\) are in use by tensors and programs\n1$/,
    );
  });
});

describe('a device that fails', () => {
  it.each([
    ['an illegal address', { illegalAddress: 2 }, 'ILLEGAL_ADDRESS'],
    ['a failed launch', { launchFailure: 2 }, 'LAUNCH_FAILED'],
  ])('with %s ends for good, and says that the process has to be restarted', async (_, faults, name) => {
    const script = `
      const backend = await emulated.open(0);
      const { program, buffer, fence } = await start(backend);
      await fence.done;
      const waiting = [backend.submit([dispatch(program, buffer)]).done, backend.read(buffer, 0, 4)];
      for (const { reason } of await Promise.allSettled(waiting)) told(reason);
      console.log(backend.failure.fix);
      for (const call of [() => backend.allocate(4), () => backend.submit([]), () => backend.write(buffer, new Uint8Array(4))])
        try { call(); } catch (error) { console.log(error === backend.failure); }
      console.log(JSON.stringify(backend.memory()));
      backend.free(buffer);
      backend.dispose();`;
    const { code, output } = await child(script, { faults });
    expect(code).toBe(0);
    const failure = expect.stringMatching(
      new RegExp(
        `^TUTTI_DEVICE: the CUDA device cuda-emulated failed while .*CUDA_ERROR_${name}.*its tensors are gone$`,
      ),
    );
    expect(output.split('\n')).toEqual([
      failure,
      failure,
      expect.stringMatching(/^restart the process/),
      ...['true', 'true', 'true'],
      expect.stringContaining('"bytes":0,"buffers":0,"reserved":0'),
    ]);
  });

  it('a launch that is refused is told, and the next one runs', async () => {
    const script = `
      const backend = await emulated.open(0);
      const { program, buffer, fence } = await start(backend);
      await fence.done;
      try { backend.submit([dispatch(program, buffer)]); } catch (error) { told(error); }
      backend.submit([dispatch(program, buffer)]);
      console.log(ints(await backend.read(buffer, 0, 4))[0], backend.failure);`;
    const { code, output } = await child(script, { faults: { launch: 2 } });
    expect(code).toBe(0);
    expect(output).toMatch(
      /^TUTTI_KERNEL: CUDA refused what it was given while commands were submitted: .*LAUNCH_OUT_OF_RESOURCES.*\n4 undefined$/,
    );
  });

  it.each([
    [
      'compile',
      { compile: 1 },
      /^TUTTI_KERNEL: kernel burn does not compile: line 1: a fault was asked for$/,
    ],
    ['module', { module: 1 }, /^TUTTI_KERNEL: .*while kernel burn was loaded: /],
  ])('a kernel whose %s fails is told, and another one is made', async (_, faults, message) => {
    const script = `
      const backend = await emulated.open(0);
      await start(backend).catch(told);
      const { buffer } = await start(backend, 128);
      console.log(ints(await backend.read(buffer, 0, 4))[0]);
      backend.dispose();`;
    const { code, output, errors } = await child(script, { leaks: true, faults });
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    const [first, second] = output.split('\n');
    expect(first).toMatch(message);
    expect(second).toBe('1');
  });
});
