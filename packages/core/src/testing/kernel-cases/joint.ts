/** Joint kernels: parts of all lengths, with scalars and places of their own. */
import {
  type BufferParam,
  type DType,
  type Expression,
  ExpressionBuilder,
  isElementwise,
  type JointKernel,
  type JointPart,
  type Kernel,
} from '../../backend/index.ts';
import { sizeOf } from '../../backend/render/index.ts';
import { type BufferContents, interpretJoint } from '../interpret.ts';
import { randomKernel, type SampleOptions } from '../random-kernel.ts';
import type { TestCase } from '../test-case.ts';
import { KernelBuilder } from './builder.ts';
import { smallContents, variable } from './case.ts';
import { findDifference, shown } from './compare.ts';
import { scatterCases } from './rows.ts';

export interface JointCase extends TestCase {
  readonly joint: JointKernel;
  /** Of all parts in turn, with their own lengths. */
  readonly buffers: readonly BufferParam[];
}

/** The bound of what has no length of its own. */
const bound = 1 << 16;

interface PartOptions {
  /** Of each part. */
  readonly points: readonly number[];
  /** A buffer that is read from a place of each part's own on, so many elements further with each. */
  readonly moved?: readonly [buffer: number, step: number];
}

function jointCase(name: string, body: Kernel, { points, moved = [0, 0] }: PartOptions): JointCase {
  const bounds = body.buffers.map((buffer) => ({ ...buffer, length: bound }));
  const parts = points.map(
    (count, p): JointPart => ({
      points: count,
      origins: body.buffers.map((_, i) => (i === moved[0] ? p * moved[1] : 0)),
    }),
  );
  const own = parts.flatMap((part) =>
    body.buffers.map((buffer, i) => {
      const length = isElementwise(body) && buffer.length === bound ? part.points : buffer.length;
      return { ...buffer, length: length + part.origins[i]! };
    }),
  );
  const joint: JointKernel = { kind: 'joint', name: body.name, body: { ...body, buffers: bounds }, parts };
  const scalars = parts.flatMap((_, p) => body.scalars.map((type) => p % (type === 'bool' ? 2 : 7)));
  const contents = (): BufferContents[] => own.map((buffer) => smallContents({ buffers: [buffer] })[0]!);
  return judged(name, joint, own, scalars, contents);
}

function judged(
  name: string,
  joint: JointKernel,
  own: readonly BufferParam[],
  scalars: readonly number[],
  contents: () => BufferContents[],
): JointCase {
  const count = joint.body.buffers.length;
  const check = (got: readonly BufferContents[]): string | undefined => {
    const wanted = contents();
    interpretJoint(joint, wanted, scalars);
    const found = findDifference({ buffers: own }, got, wanted);
    if (!found) return undefined;
    const [part, buffer] = [Math.floor(found.buffer / count), found.buffer % count];
    return `${name}: b${buffer}[${found.index}] of part ${part} is ${shown(found.got)}, not ${shown(found.want)}`;
  };
  return { name, joint, buffers: own, scalars, contents, check };
}

/** `moment = 2 * moment + gradient; parameter -= rate * moment * corrections[0]`, all in place. */
export function updateKernel(dtype: DType = 'float32'): Kernel {
  const b = new ExpressionBuilder();
  const i = variable('i0', bound);
  const load = (buffer: number, index: Expression): Expression => b.load('f32', buffer, index);
  const [parameter, moment, gradient] = [0, 1, 2].map((buffer) => load(buffer, b.index(i))) as [
    Expression,
    Expression,
    Expression,
  ];
  const next = b.alu('add', 'f32', b.alu('mul', 'f32', moment, b.const('f32', 2)), gradient);
  const step = b.alu('mul', 'f32', b.scalar('f32', 0), b.alu('mul', 'f32', next, load(3, b.int(0))));
  const value = b.alu('sub', 'f32', parameter, step);
  return {
    kind: 'kernel',
    name: 'update',
    buffers: [
      { dtype, length: bound, access: 'readWrite' },
      { dtype: 'float32', length: bound, access: 'readWrite' },
      { dtype, length: bound, access: 'read' },
      { dtype: 'float32', length: 1, access: 'read' },
    ],
    scalars: ['f32'],
    space: [i],
    phases: [
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [
          { buffer: 0, index: b.index(i), value, mode: 'set' },
          { buffer: 1, index: b.index(i), value: next, mode: 'set' },
        ],
      },
    ],
  };
}

/** `out = where(flag, x + y, 3)`, of the narrow dtypes. */
function choice(): Kernel {
  const i = variable('i0', bound);
  const k = new KernelBuilder('choice', [i], 'bfloat16');
  const [flag, x, y] = (['bool', 'uint8', 'float16'] as const).map((dtype) =>
    k.input(dtype, bound)(k.b.index(i)),
  );
  const sum = k.b.alu('add', 'f32', k.b.alu('cast', 'f32', x!), y!);
  return k.store(k.b.alu('where', 'f32', flag!, sum, k.b.const('f32', 3)));
}

/** `out[i] = table[i % 16] * flag`, with a scalar that is a boolean: nothing of it lies side by side but the result. */
function lookup(): Kernel {
  const i = variable('i0', bound);
  const k = new KernelBuilder('lookup', [i], 'int32');
  const table = k.input('int32', 16);
  // 16 elements, whatever the part's length is.
  const found = table(k.b.alu('rem', 'i32', k.b.index(i), k.b.int(16)));
  const flag = k.b.alu('cast', 'i32', k.scalar('bool'));
  return k.store(k.b.alu('mul', 'i32', found, flag));
}

/** One point: `out[0] = x[0] + scalar`. */
function single(): Kernel {
  const k = new KernelBuilder('single', [], 'int32');
  return k.store(k.add(k.input('int32', 1)(k.b.int(0)), k.scalar('i32')));
}

/** `out[i] = scalar + sum of x[i, k]` */
function sums(rows: number, width: number): Kernel {
  const [i, j] = [variable('i0', rows), variable('k0', width)];
  const k = new KernelBuilder('sums', [i], 'float32');
  const x = k.input('float32', rows * width);
  const sum = k.over(j).accumulate('sum', x(k.at([i, j])));
  return k.store(k.b.alu('add', 'f32', sum, k.scalar('f32')));
}

/** `out[i, k] = x[i, k] - sum of x[i, j]`: two phases over a row. */
function differences(rows: number, width: number): Kernel {
  const [i, j, k] = [variable('i0', rows), variable('k0', width), variable('k1', width)];
  const made = new KernelBuilder('differences', [i, k], 'float32');
  const x = made.input('float32', rows * width);
  const sum = made.over(j).accumulate('sum', x(made.at([i, j])));
  const kernel = made.store(made.b.alu('sub', 'f32', x(made.at([i, k])), sum));
  // The second dimension is the loop of the map, and not one of the space, to which the sum would belong.
  const phases = kernel.phases.map((phase) => (phase.kind === 'map' ? { ...phase, loops: [k] } : phase));
  return { ...kernel, space: [i], phases };
}

/** Three times a random kernel, by its seed, on the same elements in another order. */
export function randomJointCase(seed: number, options: SampleOptions = {}): JointCase {
  const { kernel: body, buffers, scalars } = randomKernel(seed, options);
  const points = sizeOf(body.space);
  const some = isElementwise(body)
    ? [points, Math.max(1, points - 1), Math.ceil(points / 2)]
    : repeated(3, points);
  const origins = body.buffers.map(() => 0);
  const parts = some.map((count): JointPart => ({ points: count, origins }));
  const turned = <T extends BufferContents>(all: T, by: number): T =>
    all.map((_, i) => all[(i + by) % all.length]!) as T;
  return judged(
    `random joint kernel ${seed}`,
    { kind: 'joint', name: body.name, body, parts },
    parts.flatMap(() => body.buffers),
    parts.flatMap(() => scalars),
    () => parts.flatMap((_, part) => buffers.map((buffer) => turned(buffer, part))),
  );
}

const repeated = (count: number, points: number): number[] => new Array<number>(count).fill(points);

/** What a device's `joint` is tested with. One that refuses a case is not asked to run it. */
export const jointCases = (): JointCase[] => [
  jointCase('updates of few elements', updateKernel(), { points: [1, 2, 3, 4, 5, 7, 8, 9], moved: [3, 1] }),
  jointCase('updates around the size of a block', updateKernel(), {
    points: [511, 512, 513, 514, 515, 127, 128, 129, 1, 1024],
    moved: [3, 5],
  }),
  jointCase('updates of 16-bit parameters', updateKernel('float16'), {
    points: [33, 8, 4, 1001],
    moved: [3, 2],
  }),
  jointCase('more updates than a launch takes', updateKernel(), {
    points: Array.from({ length: 200 }, (_, p) => 1 + ((p * 7) % 23)),
    moved: [3, 1],
  }),
  jointCase('the largest and the least', updateKernel(), { points: [1, bound, 2], moved: [3, 1] }),
  jointCase('narrow elements', choice(), { points: [1, 15, 16, 17, 600, 31] }),
  jointCase('elements of a table', lookup(), { points: [1, 40, 16, 300, 129] }),
  jointCase('single points', single(), { points: repeated(70, 1) }),
  jointCase('sums of rows', sums(5, 37), { points: repeated(9, 5) }),
  jointCase('scatters', scatterCases()[0]!.kernel, { points: repeated(4, 9) }),
  jointCase('sums of a long row', sums(1, 60_000), { points: repeated(3, 1) }),
  jointCase('rows gone over twice', differences(6, 48), { points: repeated(5, 6) }),
];
