/** Which small kernels share a launch, where it takes place, and that it changes no result. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Expression, JointKernel, Kernel, Program } from '../src/backend/index.ts';
import { defaultCapabilities, ExpressionBuilder } from '../src/backend/index.ts';
import { joinKernels, type LoweredStep } from '../src/compiler/join.ts';
import type { Lowered } from '../src/compiler/lower.ts';
import type { Op } from '../src/compiler/op.ts';
import { verifyJoint } from '../src/compiler/verify.ts';
import * as t from './all.ts';
import { f32, useGraphOnlyDevice } from './autograd-support.ts';
import { type ScheduleForm, scheduled } from './compiler-support.ts';
import { list, recording, useFreshDevice } from './runtime-support.ts';

const program: Program = { name: 'joint', source: () => '' };
const acceptAll = { jointBuffers: 100, joint: () => program, placeOf: (op: Op) => op };

const describeStep = ({ kernel }: LoweredStep): string =>
  kernel.kind === 'joint' ? `${kernel.parts.length} x ${kernel.name}` : kernel.name;

const jointsOf = (steps: readonly LoweredStep[]): JointKernel[] =>
  steps.flatMap(({ kernel }) => (kernel.kind === 'joint' ? [kernel] : []));

describe('joined kernels of graphs', () => {
  beforeAll(useGraphOnlyDevice);

  const joined = (tensors: readonly t.Tensor[], form?: ScheduleForm): readonly LoweredStep[] =>
    joinKernels(
      scheduled(tensors, form).map(({ lowered }) => lowered),
      acceptAll,
    );

  it('have any number of elements, and any shape that steps through memory as one', () => {
    const shapes = [[100], [10, 10], [7], [2, 3, 4]];
    const steps = joined(shapes.map((shape) => f32(shape).mul(2).add(f32(shape))));
    expect(steps.map(describeStep)).toEqual(['4 x add']);
    expect(jointsOf(steps)[0]!.parts.map(({ points }) => points)).toEqual([100, 100, 7, 24]);
  });

  it('may read a vector at places of their own, as an optimiser does its steps', () => {
    const corrections = f32([5]);
    const steps = joined([4, 2, 3].map((at, i) => f32([10 + i]).mul(t.slice(corrections, at))));
    expect(steps.map(describeStep)).toEqual(['3 x mul']);
    const { body, parts } = jointsOf(steps)[0]!;
    const vector = body.buffers.findIndex((_, i) => parts.some(({ origins }) => origins[i] !== 0));
    expect(parts.map(({ origins }) => origins[vector])).toEqual([4, 2, 3]);
  });

  it('may read several places that lie as far apart', () => {
    const vector = f32([9]);
    const at = (first: number, second: number, size: number): t.Tensor =>
      f32([size]).mul(t.slice(vector, first)).add(t.slice(vector, second));
    const steps = joined([at(2, 5, 6), at(4, 7, 7), at(6, 8, 8)]);
    expect(steps.map(describeStep)).toEqual(['2 x add', 'add']);
    expect(jointsOf(steps)[0]!.parts.map(({ origins }) => Math.max(...origins))).toEqual([2, 4]);
  });

  it('have scalars of their own', () => {
    const steps = joined([0.25, 0.125].map((factor) => f32([9]).mul(factor)));
    expect(steps.map(describeStep)).toEqual(['2 x mul']);
    expect(steps[0]!.scalars).toEqual([0, 1]);
  });

  it('may have rows, which are then equal', () => {
    const steps = joined([f32([4, 8]), f32([4, 8]), f32([4, 9])].map((x) => t.softmax(x)));
    expect(steps.map(({ kernel }) => kernel.kind)).toEqual(['joint', 'kernel']);
  });

  const alone: Record<string, () => t.Tensor[]> = {
    'different computations': () => [f32([9]).mul(2), f32([9]).add(2)],
    'different dtypes': () => [f32([9]).neg(), f32([9]).cast('int32').neg()],
    'another arrangement in memory': () => [f32([4, 5]).neg(), t.transpose(f32([4, 5])).neg()],
    'a neighbour at another distance': () => [1, 2].map((at) => t.slice(f32([9]), [at, at + 5]).mul(2)),
    'more than 65536 elements': () => [f32([2 ** 16 + 1]).neg(), f32([2 ** 16 + 1]).neg()],
    'a little of something large': () => [1, 2].map(() => t.slice(f32([2 ** 17]), [0, 5]).neg()),
    'long rows': () => [f32([2 ** 8, 2 ** 9]).sum(1), f32([2 ** 8, 2 ** 9]).sum(1)],
  };
  it.each(Object.keys(alone))('do not differ in more than their data: %s', (name) => {
    expect(joined(alone[name]!()).map(({ kernel }) => kernel.kind)).toEqual(['kernel', 'kernel']);
  });
});

/** A kernel on values that have names: `out[i] = f(in[i])`. */
function step(text: string, { length = 8, inPlace = false } = {}): Lowered<Kernel> {
  const [name, out, ...from] = text.split(' ') as [string, string, ...string[]];
  const b = new ExpressionBuilder();
  const variable = { name: 'i0', extent: length };
  const index = b.index(variable);
  const loads = from.map((_, i) => b.load('f32', i + 1, index));
  if (inPlace) loads.push(b.load('f32', 0, index));
  const value = loads.reduce<Expression>((sum, load) => b.alu('add', 'f32', sum, load), b.const('f32', 1));
  const kernel: Kernel = {
    kind: 'kernel',
    name,
    buffers: [
      { dtype: 'float32', length, access: inPlace ? 'readWrite' : 'write' },
      ...from.map(() => ({ dtype: 'float32', length, access: 'read' }) as const),
    ],
    scalars: [],
    space: [variable],
    phases: [
      { kind: 'map', loops: [], order: 'parallel', stores: [{ buffer: 0, index, value, mode: 'set' }] },
    ],
  };
  return { kernel, bindings: [out, ...from].map(opNamed), scalars: [] };
}

const ops = new Map<string, Op>();
function opNamed(name: string): Op {
  let op = ops.get(name);
  if (!op) ops.set(name, (op = { name } as unknown as Op));
  return op;
}

const named = (op: Op): string => (op as unknown as { name: string }).name;

/** Steps with what they are bound to. */
const run = (steps: readonly Lowered<Kernel>[], options = {}): string[] =>
  joinKernels(steps, { ...acceptAll, ...options }).map(
    (each) => `${describeStep(each)}: ${each.bindings.map(named).join(' ')}`,
  );

describe('a kernel that waits for others', () => {
  it('takes the place of the last of them', () => {
    expect(run([step('f a x'), step('g b x y'), step('f c x'), step('g d b c')])).toEqual([
      'g: b x y',
      '2 x f: a x c x',
      'g: d b c',
    ]);
  });

  it('waits no longer when somebody reads what it writes', () => {
    expect(run([step('f a x'), step('g b a y'), step('f c x')])).toEqual(['f: a x', 'g: b a y', 'f: c x']);
    expect(run([step('f a x'), step('f b a'), step('f c b')])).toEqual(['f: a x', 'f: b a', 'f: c b']);
  });

  it('waits no longer when somebody overwrites what it reads', () => {
    const overwritten = [step('f a x'), step('g X y z'), step('f c y')];
    const placeOf = (op: Op): Op => (named(op) === 'X' ? opNamed('x') : op);
    expect(run(overwritten, { placeOf })).toEqual(['f: a x', 'g: X y z', 'f: c y']);
    expect(run(overwritten)).toEqual(['g: X y z', '2 x f: a x c y']);
  });

  it('is not joined with one whose memory it touches', () => {
    const updates = [
      step('f P g', { inPlace: true }),
      step('f Q g', { inPlace: true }),
      step('f R p', { inPlace: true }),
    ];
    const places: Record<string, string> = { P: 'p', Q: 'q', R: 'r' };
    const placeOf = (op: Op): Op => opNamed(places[named(op)] ?? named(op));
    expect(run(updates, { placeOf })).toEqual(['2 x f: P g Q g', 'f: R p']);
  });

  it('stays behind what it depends on, also when several wait', () => {
    const steps = ['f a x', 'g b x y', 'f c b', 'g d a y', 'f e x', 'g h e c'].map((text) => step(text));
    expect(run(steps)).toEqual(['g: b x y', '2 x f: a x c b', 'f: e x', '2 x g: d a y h e c']);
  });

  it('is bound to no more buffers than a launch may have', () => {
    const steps = ['a', 'b', 'c', 'd', 'e'].map((out) => step(`f ${out} x`));
    expect(run(steps, { jointBuffers: 4 })).toEqual(['2 x f: a x b x', '2 x f: c x d x', 'f: e x']);
  });

  it('stays where it is when the device refuses', () => {
    const steps = [step('f a x'), step('g b x y'), step('f c x')];
    expect(run(steps, { joint: () => undefined })).toEqual(['f: a x', 'g: b x y', 'f: c x']);
  });
});

describe('verification', () => {
  const joint = (): JointKernel => {
    const [each] = joinKernels([step('f a x'), step('f b x', { length: 3 })], acceptAll);
    return each!.kernel as JointKernel;
  };
  const capabilities = { ...defaultCapabilities, jointBuffers: 4 };

  it('takes parts of different lengths that read the same', () => {
    expect(() => verifyJoint(joint(), ['a', 'x', 'b', 'x'], capabilities)).not.toThrow();
  });

  it.each([
    ['a part that reads what another writes', ['a', 'x', 'b', 'a'], 4, 'written and bound twice'],
    ['parts that write to the same', ['a', 'x', 'a', 'y'], 4, 'written and bound twice'],
    ['more buffers than the device has', ['a', 'x', 'b', 'x'], 3, '4 buffers, more than 3'],
    ['a part without buffers', ['a', 'x'], 4, '2 buffers'],
  ])('refuses %s', (_, places, jointBuffers, message) => {
    expect(() => verifyJoint(joint(), places, { ...capabilities, jointBuffers })).toThrow(message);
  });

  it('refuses points beyond the bound', () => {
    const { parts, ...rest } = joint();
    const long = { ...rest, parts: parts.map((part) => ({ ...part, points: 2 ** 17 })) };
    expect(() => verifyJoint(long, ['a', 'x', 'b', 'x'], capabilities)).toThrow('a part of 131072 points');
  });
});

describe('a step of many small updates', () => {
  useFreshDevice({ capabilities: { buffersPerKernel: 64, jointBuffers: 200 } });

  const sizes = [3, 8, 1, 70, 8, 5];
  const numbers = (count: number, seed: number): t.Tensor =>
    t.tensor(Float32Array.from({ length: count }, (_, i) => Math.sin(seed + i * 0.7)));

  /** Three steps of momentum: the parameters after them, and the launches of the last step. */
  async function train(fusion: boolean): Promise<{ values: number[][]; launches: number }> {
    t.configure({ fusion });
    const parameters = sizes.map((size, i) => t.variable(numbers(size, i)));
    const moments = sizes.map((size) => t.variable(t.zeros([size]), { requiresGrad: false }));
    const rates = t.variable(numbers(sizes.length, 9), { requiresGrad: false });
    const step = t.jit((targets: t.Tensor[]) => {
      for (const [i, parameter] of parameters.entries()) {
        const gradient = parameter.sub(targets[i]!);
        const moment = moments[i]!.mul(0.9).add(gradient);
        moments[i]!.assign(moment);
        parameter.assign(parameter.sub(moment.mul(t.slice(rates, i))));
      }
      return parameters[0]!.sum();
    });
    const targets = sizes.map((size, i) => numbers(size, 20 + i));
    for (let turn = 0; turn < 3; turn++) {
      recording.commands.length = 0;
      (await step(targets)).dispose();
    }
    const launches = recording.commands.length;
    const values = await Promise.all([...parameters, ...moments].map(list));
    for (const each of [step, ...parameters, ...moments, rates, ...targets]) each.dispose();
    return { values, launches };
  }

  it('gives the same bits in fewer launches', async () => {
    const alone = await train(false);
    const joined = await train(true);
    expect(joined.values).toEqual(alone.values);
    expect(alone.launches).toBeGreaterThan(sizes.length);
    // The updates, that of one element, and the sum.
    expect(joined.launches).toBe(3);
  });
});
