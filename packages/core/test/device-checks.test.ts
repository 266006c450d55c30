/** The checks of the contract: a device that keeps it passes, and one that does not is told why. */
import {
  type Backend,
  type BufferParam,
  type Command,
  type Expression,
  ExpressionBuilder,
  type Kernel,
  type ScalarType,
} from '@tutti/core/backend';
import {
  type CheckedDevice,
  deviceChecks,
  interpreterBackend,
  mapKernel,
  type OpenDevice,
  variable,
} from '@tutti/core/testing';
import { expect, test } from 'vitest';

const kernelOf = (
  name: string,
  n: number,
  access: readonly BufferParam['access'][],
  make: (b: ExpressionBuilder, i: Expression) => Expression,
  scalars: readonly ScalarType[] = [],
): Kernel => {
  const b = new ExpressionBuilder();
  const i = variable('i', n);
  const buffers = access.map((each): BufferParam => ({ dtype: 'int32', length: n, access: each }));
  const store = {
    buffer: access.length - 1,
    index: b.index(i),
    value: make(b, b.index(i)),
    mode: 'set',
  } as const;
  return { ...mapKernel(name, buffers, [i], [store]), scalars };
};

const scalarTypes: readonly ScalarType[] = ['f32', 'i32', 'u32', 'bool', 'f32', 'f32', 'i32', 'bool'];

const affine = (n: number): Kernel =>
  kernelOf(
    'affine',
    n,
    ['read', 'write'],
    (b, i) => b.alu('add', 'i32', b.alu('mul', 'i32', b.load('i32', 0, i), b.int(3)), b.scalar('i32', 0)),
    ['i32'],
  );
const increment = (n: number): Kernel =>
  kernelOf('increment', n, ['readWrite'], (b, i) => b.alu('add', 'i32', b.load('i32', 0, i), b.int(1)));
const reversed = (n: number): Kernel =>
  kernelOf('reversed', n, ['read', 'write'], (b, i) =>
    b.alu('add', 'i32', b.load('i32', 0, b.alu('sub', 'i32', b.int(n - 1), i)), i),
  );
const storeScalars = (): Kernel =>
  kernelOf(
    'storeScalars',
    8,
    ['write'],
    (b, i) =>
      scalarTypes.reduce<Expression>((rest, type, k) => {
        const bits = b.alu(type === 'f32' ? 'bitcast' : 'cast', 'i32', b.scalar(type, k));
        const value = type === 'i32' ? b.scalar(type, k) : bits;
        return b.alu('where', 'i32', b.alu('eq', 'bool', i, b.int(k)), value, rest);
      }, b.int(0)),
    scalarTypes,
  );

/** What a device does in its own way; everything else it does as it should. */
type Way = (backend: Backend) => Partial<Backend>;

const opening = (way: Way): OpenDevice => {
  const factory = interpreterBackend({ capabilities: { timing: true } });
  return async (): Promise<CheckedDevice> => {
    const sound = await factory.open(0);
    const time = async (commands: readonly Command[]): Promise<number[]> => {
      sound.submit(commands);
      return commands.map(() => 1);
    };
    // It keeps no memory for others, and so it takes some each time.
    const memory = () => ({ ...sound.memory(), allocations: 0 });
    const own: Partial<Backend> = { time, memory, ...way(sound) };
    const backend = new Proxy(sound, {
      get: (target, name: keyof Backend) => {
        const value = own[name] ?? target[name];
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    return {
      backend,
      affine: (n) => sound.compile(affine(n)),
      increment: (n) => sound.compile(increment(n)),
      reversed: (n) => sound.compile(reversed(n)),
      storeScalars: () => sound.compile(storeScalars()),
    };
  };
};

const small = { timeout: 60_000 };

test.each(deviceChecks)('$name', small, ({ run }) => run(opening(() => ({}))));

const later = (milliseconds = 0): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const faults: readonly (readonly [what: string, caught: RegExp, way: Way])[] = [
  [
    'copies whole words',
    /at any byte/,
    (sound) => ({
      submit: (commands) =>
        sound.submit(
          commands.map((each) =>
            each.kind === 'copy'
              ? {
                  ...each,
                  bytes: Math.min(each.source.bytes, each.target.bytes, Math.ceil(each.bytes / 4) * 4),
                }
              : each,
          ),
        ),
    }),
  ],
  [
    'reads when it gets to it',
    /a read gives what was there/,
    (sound) => ({
      read: async (buffer, byteOffset, bytes) => {
        await later();
        return sound.read(buffer, byteOffset, bytes);
      },
      free: () => {},
    }),
  ],
  ['keeps what is freed', /stays as it is/, () => ({ free: () => {} })],
  [
    'takes any range',
    /is refused/,
    (sound) => ({
      write: (buffer, data, byteOffset = 0) =>
        sound.write(buffer, data.subarray(0, buffer.bytes - byteOffset), byteOffset),
    }),
  ],
  [
    'rounds scalars',
    /scalars keep/,
    (sound) => ({
      submit: (commands) =>
        sound.submit(
          commands.map((each) =>
            each.kind === 'copy'
              ? each
              : { ...each, scalars: each.scalars.map((value) => Math.fround(value)) },
          ),
        ),
    }),
  ],
  [
    'gives all commands the scalars of the first',
    /scalars of its own/,
    (sound) => ({
      submit: (commands) => {
        const [first] = commands;
        if (first?.kind !== 'dispatch') return sound.submit(commands);
        const { scalars } = first;
        return sound.submit(commands.map((each) => (each.kind === 'copy' ? each : { ...each, scalars })));
      },
    }),
  ],
  ['times kernels alone', /is timed/, () => ({ time: async (commands) => commands.slice(1).map(() => 1) })],
  [
    'forgets a command in a thousand',
    /10,000 commands/,
    (sound) => {
      let count = 0;
      return { submit: (commands) => sound.submit(commands.filter(() => ++count % 1000 > 0)) };
    },
  ],
  [
    'runs what it is given at last first',
    /random steps/,
    (sound) => ({ submit: (commands) => sound.submit([...commands].reverse()) }),
  ],
  [
    'tells of the last submission first',
    /a fence is done/,
    (sound) => {
      let count = 0;
      return {
        submit: (commands) => {
          sound.submit(commands);
          return { done: later(Math.max(0, 60 - 3 * count++)) };
        },
      };
    },
  ],
];

test.each(faults)('a device that %s is told by the check that %s', small, async (_, caught, way) => {
  const [check] = deviceChecks.filter(({ name }) => caught.test(name));
  await expect(check!.run(opening(way))).rejects.toMatchObject({ code: 'TUTTI_INTERNAL' });
});

test('a device that ends with another one is told', async () => {
  const all: Backend[] = [];
  const open = opening((sound) => {
    all.push(sound);
    return {
      dispose: () => {
        for (const each of all) each.dispose();
      },
    };
  });
  const [check] = deviceChecks.filter(({ name }) => /two devices/.test(name));
  await expect(check!.run(open)).rejects.toMatchObject({ code: 'TUTTI_DISPOSED' });
});
