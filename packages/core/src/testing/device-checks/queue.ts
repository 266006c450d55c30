/** The queue: the order of everything, many commands, fences, and memory that stays as it is. */
import {
  affineOf,
  copy,
  type DeviceCheck,
  dispatch,
  download,
  nothingLeft,
  ready,
  refused,
  same,
  upload,
} from './check.ts';
import { randomSteps } from './random-steps.ts';

export const queueChecks: readonly DeviceCheck[] = [
  {
    name: 'submissions, writes, copies, reads and frees keep their order through 3,000 random steps',
    run: (open) => randomSteps(open, 3000),
  },
  {
    name: '10,000 commands run without a look at the device, in one submission and in many',
    async run(open) {
      const { backend, increment } = await open();
      const program = await ready(increment(64));
      const a = upload(backend, new Int32Array(64));
      const commands = Array.from({ length: 100 }, () => dispatch(program, [a]));
      backend.submit(Array.from({ length: 50 }, () => commands).flat());
      for (const command of commands) for (let i = 0; i < 50; i++) backend.submit([command]);
      same('the counts', await download(backend, a), new Int32Array(64).fill(10_000));
    },
  },
  {
    name: 'a fence is done when all before it is, whenever it is looked at',
    async run(open) {
      const { backend, affine } = await open();
      const program = await ready(affine(64, 200));
      const [a, b] = [upload(backend, new Int32Array(64)), upload(backend, new Int32Array(64))];
      const back = copy(b, a, 256);
      const fences = Array.from({ length: 20 }, () => backend.submit([dispatch(program, [a, b], [1]), back]));
      const order: number[] = [];
      await Promise.all([3, 11, 19].map((i) => fences[i]!.done.then(() => order.push(i))));
      same('the order', order, [3, 11, 19]);
      let want = 0;
      for (let i = 0; i < 20; i++) want = affineOf(want, 1);
      same('what is there then', await download(backend, a), new Int32Array(64).fill(want));
      for (const { done } of [fences[0]!, fences[19]!, backend.submit([])]) await done;
    },
  },
  {
    name: 'two devices work side by side, and one goes on when the other is disposed of',
    async run(open) {
      const [one, two] = [await open(), await open()];
      const [p, q] = [await ready(one.increment(64)), await ready(two.increment(64))];
      const a = upload(one.backend, new Int32Array(64));
      const b = upload(two.backend, new Int32Array(64).fill(100));
      for (let i = 0; i < 50; i++) {
        one.backend.submit([dispatch(p, [a])]);
        two.backend.submit([dispatch(q, [b]), dispatch(q, [b])]);
      }
      same('the one', await download(one.backend, a), new Int32Array(64).fill(50));
      one.backend.dispose();
      nothingLeft(one);
      for (const [what, action] of [
        ['to allocate', () => one.backend.allocate(4)],
        ['to read', () => one.backend.read(a, 0, 4)],
        ['to submit', () => one.backend.submit([])],
      ] as const)
        await refused(`${what} on what was disposed of`, 'DISPOSED', action);
      one.backend.free(a); // What is freed late does no harm.
      same('the other', await download(two.backend, b), new Int32Array(64).fill(200));
    },
  },
  {
    name: 'memory stays as it is over 1,000 steps that allocate, compute, read and free',
    async run(open) {
      const device = await open();
      const { backend } = device;
      const program = await ready(device.affine(4096));
      const step = async (i: number): Promise<void> => {
        const [a, b] = [upload(backend, new Int32Array(4096).fill(i)), backend.allocate(4096 * 4)];
        const flag = backend.allocate(1);
        await backend.submit([dispatch(program, [a, b], [i])]).pace;
        backend.write(flag, Uint8Array.of(1));
        backend.free(a);
        if (i % 10 === 0)
          same(`step ${i}`, await download(backend, b), new Int32Array(4096).fill(affineOf(i, i)));
        for (const each of [b, flag]) backend.free(each);
      };
      const figures = (): number[] => Object.values(backend.memory());
      for (let i = 0; i < 20; i++) await step(i);
      nothingLeft(device);
      const before = figures();
      for (let i = 0; i < 1000; i++) await step(i);
      same('figures of the memory', figures(), before);
    },
  },
];
