/** Random products against sums in float64. */
import { type DotOptions, dotAnchor, dotLayouts, dotSums, generator } from '@tutti/core/testing';
import { expect, it } from 'vitest';
import type { ShaderFeatures } from '../src/program.ts';
import { dotRoutine } from '../src/routines/dot.ts';
import { make } from './support/device.ts';
import { checkDot } from './support/dot.ts';
import { hardware, runProgram, software } from './support/kernels.ts';

const quads: ShaderFeatures = { ...software, subgroups: true, subgroupMinSize: 4, subgroupMaxSize: 4 };
const floats = ['float32', 'float16', 'bfloat16'] as const;

interface RandomProduct {
  readonly sizes: readonly [number, number, number];
  readonly options: DotOptions;
}

function randomProduct(random: () => number): RandomProduct {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const size = (): number => 1 + Math.floor(random() ** 2 * 90);
  const [m, n, k] = [size(), size(), random() < 0.1 ? 600 + size() : size()];
  const batch = pick([[], [], [2], [3, 2], [1, 4]]);
  const rows = batch.reduce((a, b) => a * b, 1) * m;
  const spaces = [[rows, n], [rows * n], [...batch, m, n], [n, rows]];
  if (rows % 2 === 0) spaces.push([2, rows / 2, n]);
  const space = pick(spaces);
  const finished = random() < 0.5;
  const wide = random() < 0.75;
  const results = finished ? ([...floats, 'int32', 'uint8', 'bool'] as const) : floats;
  const options: DotOptions = {
    batch,
    type: wide ? 'f32' : 'i32',
    layouts: [pick(dotLayouts), pick(dotLayouts)],
    shared: [random() < 0.3, random() < 0.3],
    dtypes: wide ? [pick(floats), pick(floats), pick(results)] : ['int32', 'int32', 'int32'],
    ...(finished
      ? { epilogue: { space, bias: Math.floor(random() * space.length), dtype: pick(floats) } }
      : {}),
  };
  return { sizes: [m, n, k], options };
}

it.each([
  ['software', software, 16, 1],
  ['quads', quads, 24, 2],
  ['hardware', hardware, 5, 3],
] as const)('random products on %s', { timeout: 240_000 }, async (_, features, rounds, seed) => {
  const random = generator(seed);
  const backend = await make();
  for (let round = 0; round < rounds; round++) {
    const { sizes, options } = randomProduct(random);
    const anchor = dotAnchor(...sizes, options);
    await checkDot(backend, anchor, dotRoutine(anchor, features)!, options, random);
  }
});

it.each([
  ['software', software],
  ['quads', quads],
  ['hardware', hardware],
] as const)('sums on %s are as exact as float32 allows', { timeout: 120_000 }, async (_, features) => {
  const random = generator(4);
  const [m, n, k] = [50, 40, 700];
  const anchor = dotAnchor(m, n, k, { layouts: ['rows', 'columns'] });
  const lhs = Float32Array.from({ length: m * k }, () => random() * 2 - 1);
  const rhs = Float32Array.from({ length: k * n }, () => random() * 2 - 1);
  const program = dotRoutine(anchor, features)!;
  const result = new Float32Array(m * n);
  const [, , got] = await runProgram(await make(), anchor, program, [lhs, rhs, result]);
  const want = dotSums(anchor, lhs, rhs);
  const magnitudes = dotSums(anchor, lhs.map(Math.abs), rhs.map(Math.abs));
  for (const [i, sum] of want.entries()) {
    expect(Math.abs(got![i]! - sum), `element ${i}`).toBeLessThan(2 ** -24 * (4 + k / 2) * magnitudes[i]!);
  }
});
