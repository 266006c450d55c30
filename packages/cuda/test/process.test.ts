/** What a whole process does, with the built package. */
import { describe, expect, it } from 'vitest';
import { child } from './support/child.ts';

describe('a process', () => {
  it('ends by itself when its work is done, with the device still open', async () => {
    const script = `
      const backend = await emulated.open(0);
      const { buffer, fence } = await start(backend);
      await fence.done;
      console.log(ints(await backend.read(buffer, 0, 256))[63]);`;
    expect(await child(script)).toEqual({ code: 0, output: '1', errors: '' });
  });

  it('ends while the device is busy with work that nobody waits for', async () => {
    const script = `
      const backend = await emulated.open(0);
      await start(backend, 64, 20_000_000);
      console.log('leaving');`;
    expect(await child(script)).toEqual({ code: 0, output: 'leaving', errors: '' });
  });

  it('ends after it disposed of a device, and can open another before', async () => {
    const script = `
      for (let i = 0; i < 3; i++) {
        const backend = await emulated.open(0);
        const { buffer } = await start(backend);
        console.log(ints(await backend.read(buffer, 0, 4))[0]);
        backend.dispose();
        backend.dispose();
      }`;
    expect(await child(script, { leaks: true })).toEqual({ code: 0, output: '1\n1\n1', errors: '' });
  });

  it('waits for a value that is being read', async () => {
    const script = `
      const backend = await emulated.open(0);
      const { buffer } = await start(backend, 64, 2_000_000);
      backend.read(buffer, 0, 4).then(() => console.log('read'));`;
    expect(await child(script)).toEqual({ code: 0, output: 'read', errors: '' });
  });

  it('that disposes of a device in the middle of everything is told so by whatever it waits for', async () => {
    const script = `
      const backend = await emulated.open(0);
      const { program, buffer, fence } = await start(backend, 64, 2_000_000);
      const waiting = [fence.done, backend.read(buffer, 0, 4), backend.time([dispatch(program, buffer)]), backend.load(burn(128)).ready];
      backend.dispose();
      for (const { reason } of await Promise.allSettled(waiting)) console.log(reason?.code);
      for (const call of [() => backend.allocate(4), () => backend.submit([]), () => backend.readSync(buffer, 0, 4)])
        try { call(); } catch (error) { told(error); }
      backend.free(buffer);`;
    const { code, output, errors } = await child(script, { leaks: true });
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output.split('\n')).toEqual([
      ...new Array(4).fill('TUTTI_DISPOSED'),
      ...new Array(3).fill('TUTTI_DISPOSED: the cuda-emulated device has been disposed'),
    ]);
  });

  it('may use several devices side by side', async () => {
    const script = `
      const { devices } = await emulated.probe();
      console.log(devices.length);
      const backends = await Promise.all([0, 1].map((i) => emulated.open(i)));
      const runs = await Promise.all(backends.map((backend, i) => start(backend, 64, i + 1)));
      for (const [i, { buffer }] of runs.entries()) console.log(ints(await backends[i].read(buffer, 0, 4))[0]);
      await emulated.open(2).catch(told);`;
    expect(await child(script, { devices: 2 })).toEqual({
      code: 0,
      output: '2\n1\n4\nTUTTI_BACKEND_UNAVAILABLE: there is no device cuda-emulated:2',
      errors: '',
    });
  });

  it.each(['eager', 'lazy'] as const)(
    'gets what was written last, with streams that are %s',
    async (streams) => {
      const script = `
      const backend = await emulated.open(0);
      const { program, buffer: first } = await start(backend, 64, 1000);
      const buffers = [first, backend.allocate(256), backend.allocate(256)];
      const commands = Array.from({ length: 8 }, (_, i) => dispatch(program, buffers[i % 3]));
      let wrong = 0;
      for (let round = 0; round < 100; round++) {
        for (const [i, buffer] of buffers.entries()) backend.write(buffer, new Uint8Array(new Int32Array(64).fill(round + i).buffer));
        const fence = backend.submit(commands);
        const got = await Promise.all(buffers.map((buffer) => backend.read(buffer, 0, 256)));
        for (const [i, bytes] of got.entries()) {
          let want = round + i;
          for (let turn = 0; turn < (i < 2 ? 3000 : 2000); turn++) want = (Math.imul(want, 3) + 1) | 0;
          if (!ints(bytes).every((value) => value === want)) wrong++;
        }
        if (round % 7 === 0) await fence.done;
      }
      const { overlappedWrites, graphs } = backend.statistics;
      console.log(wrong, overlappedWrites > 0, graphs);`;
      expect(await child(script, { streams })).toEqual({ code: 0, output: '0 true 1', errors: '' });
    },
  );

  it('lets graphs go with the lists that they were made of', async () => {
    const script = `
      const backend = await emulated.open(0);
      const { program, buffer } = await start(backend);
      const replay = () => {
        const commands = Array.from({ length: 8 }, () => dispatch(program, buffer));
        for (let i = 0; i < 4; i++) backend.submit(commands);
      };
      for (let i = 0; i < 20; i++) replay();
      const made = backend.statistics.graphs;
      for (let i = 0; i < 100 && backend.statistics.graphs > 1; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      console.log(made, backend.statistics.graphs <= 1);`;
    const result = await child(script, {}, {}, ['--expose-gc']);
    expect(result).toEqual({ code: 0, output: '20 true', errors: '' });
  });

  it('holds nothing when 12 devices were opened, used and disposed of', async () => {
    const script = `
      for (let i = 0; i < 12; i++) {
        const backend = await emulated.open(0);
        const { fence } = await start(backend);
        if (i % 2) await fence.done;
        backend.dispose();
      }
      console.log('done');`;
    expect(await child(script, { leaks: true })).toEqual({ code: 0, output: 'done', errors: '' });
  });
});
