/** Programs: their stages, scalars and times. */
import type { Command, DeviceBuffer } from '../../backend/index.ts';
import { copy, type DeviceCheck, dispatch, download, holds, ready, same, upload } from './check.ts';

export const programChecks: readonly DeviceCheck[] = [
  {
    name: 'stages go through memory of the program, which grows from one to the next',
    async run(open) {
      const { backend, reversed } = await open();
      const earlier: { command: Command; output: DeviceBuffer; want: number[] }[] = [];
      for (const n of [100, 5000, 300]) {
        const input = Array.from({ length: n }, (_, i) => i * i);
        const [a, b] = [upload(backend, input), backend.allocate(n * 4)];
        const command = dispatch(await ready(reversed(n)), [a, b]);
        const want = input.map((_, i) => input[n - 1 - i]! + i);
        for (let round = 0; round < 3; round++) {
          backend.write(b, new Uint8Array(n * 4));
          backend.submit([command]);
          same(`${n} elements, round ${round}`, await download(backend, b), want);
        }
        earlier.push({ command, output: b, want });
      }
      // Also those that were prepared before it grew.
      for (const { output } of earlier) backend.write(output, new Uint8Array(output.bytes));
      backend.submit(earlier.map(({ command }) => command));
      for (const { output, want } of earlier)
        same(`${want.length} elements, again`, await download(backend, output), want);
    },
  },
  {
    name: 'scalars keep all their bits',
    async run(open) {
      const { backend, storeScalars } = await open();
      const program = await ready(storeScalars());
      const out = backend.allocate(32);
      const rounds = [
        [
          [-0, -1, 4294967295, 1, Number.NaN, -Infinity, -(2 ** 31), 0],
          [0x80000000, 0xffffffff, 0xffffffff, 1, 0x7fc00000, 0xff800000, 0x80000000, 0],
        ],
        [
          [1.5, -2, 3, 0, 2 ** -149, 0, 7, 1],
          [0x3fc00000, 0xfffffffe, 3, 0, 1, 0, 7, 1],
        ],
      ] as const;
      for (const [values, bits] of rounds) {
        backend.submit([dispatch(program, [out], values)]);
        same(`bits of ${values}`, await download(backend, out), Int32Array.from(bits));
      }
    },
  },
  {
    name: 'each command has scalars of its own, for however many of them in one go',
    async run(open) {
      const { backend, affine } = await open();
      const program = await ready(affine(4));
      const a = upload(backend, [1, 2, 3, 4]);
      const outputs = Array.from({ length: 2500 }, () => backend.allocate(16));
      backend.submit(outputs.map((buffer, i) => dispatch(program, [a, buffer], [i])));
      const results = await Promise.all(outputs.map((buffer) => download(backend, buffer)));
      for (const [i, values] of results.entries()) same(`output ${i}`, values, [3 + i, 6 + i, 9 + i, 12 + i]);
    },
  },
  {
    name: 'each command is timed, copies as well',
    async run(open) {
      const { backend, affine } = await open();
      if (!backend.time) return holds(!backend.info.capabilities.timing, 'a device that times has no times');
      const [long, short] = [await ready(affine(64, 1000)), await ready(affine(64))];
      const [a, b] = [upload(backend, new Int32Array(64).fill(1)), backend.allocate(256)];
      const [once, back] = [dispatch(short, [a, b], [0]), copy(b, a, 256)];
      const times = await backend.time([dispatch(long, [a, b], [0]), once, back, once, once, back]);
      same('commands that are timed', [times.length], [6]);
      holds(
        times.every((time) => time >= 0 && Number.isFinite(time)),
        `times are ${times}`,
      );
      same('what they made', await download(backend, a), new Int32Array(64).fill(9));
      same('times of no commands', await backend.time([]), []);
    },
  },
];
