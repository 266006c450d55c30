import { ExpressionBuilder, type Kernel, type UnaryAlu } from '@tutti/core/backend';
import { erf, generator, power } from '@tutti/core/testing';
import { describe, expect, test } from 'vitest';
import { runKernels } from './support/run.ts';

const size = 1 << 15;
const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);
/** Devices may take denormal floats for zero, and near them intermediate values are denormal. */
const least = 2 ** -120;

/** Distance from the exact value in units of the last place of its f32 neighbour. Infinities and NaN must be met exactly. */
function ulps(got: number, exact: number): number {
  if (Number.isNaN(exact)) return Number.isNaN(got) ? 0 : Number.POSITIVE_INFINITY;
  const nearest = Math.fround(exact);
  if (Math.abs(nearest) < least && Math.abs(got) < least) return 0;
  if (!Number.isFinite(nearest) || !Number.isFinite(got)) {
    // One ULP short of overflow is one ULP, not infinitely many.
    if (nearest === got) return 0;
    const largest = 2 ** 128 - 2 ** 104;
    const short =
      Math.min(Math.abs(got), Math.abs(nearest)) === largest && Math.sign(got) === Math.sign(nearest);
    return short ? 1 : Number.POSITIVE_INFINITY;
  }
  if (nearest === 0 && got === 0) return 0;
  floats[0] = nearest;
  const exponent = Math.max((bits[0]! >>> 23) & 0xff, 1) - 150;
  return Math.abs(got - exact) / 2 ** exponent;
}

function elementwise(alu: UnaryAlu | 'pow' | 'div' | 'rem', operands: number): Kernel {
  const b = new ExpressionBuilder();
  const i = { name: 'i', extent: size };
  const args = Array.from({ length: operands }, (_, k) => b.load('f32', k, b.index(i)));
  return {
    kind: 'kernel',
    name: alu,
    buffers: Array.from({ length: operands + 1 }, (_, k) => ({
      dtype: 'float32' as const,
      length: size,
      access: k < operands ? ('read' as const) : ('write' as const),
    })),
    scalars: [],
    space: [i],
    phases: [
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [{ buffer: operands, index: b.index(i), value: b.alu(alu, 'f32', ...args), mode: 'set' }],
      },
    ],
  };
}

interface Worst {
  ulp: number;
  at: readonly number[];
}

type Fill = (inputs: Float32Array[], round: number) => boolean;

async function measure(
  alu: UnaryAlu | 'pow' | 'div' | 'rem',
  exact: (x: number, y: number) => number,
  fill: Fill,
): Promise<Worst> {
  const operands = exact.length;
  const kernel = elementwise(alu, operands);
  const inputs = Array.from({ length: operands }, () => new Float32Array(size));
  const worst: Worst = { ulp: 0, at: [] };
  for (let round = 0; fill(inputs, round); round++) {
    const [results] = await runKernels([{ kernel, contents: [...inputs, new Float32Array(size)] }]);
    const output = results![operands]!;
    for (let k = 0; k < size; k++) {
      const [x, y] = [inputs[0]![k]!, inputs[1]?.[k] ?? 0];
      const ulp = ulps(output[k]!, exact(x, y));
      if (ulp > worst.ulp) Object.assign(worst, { ulp, at: [x, y, output[k]!, exact(x, y)] });
    }
  }
  return worst;
}

const special = [
  0,
  -0,
  1,
  -1,
  0.5,
  2,
  0.9218751,
  -0.2929,
  0.41422,
  88.7228,
  -87.3365,
  -103.972,
  2 ** -125,
  Math.PI / 2,
  Math.PI,
  4096,
  1e5,
  1e10,
  3e38,
  65520,
  Infinity,
  -Infinity,
  Number.NaN,
];

/** A denormal is zero. */
const normal = (x: number): number => (Math.abs(x) < 2 ** -126 ? 0 : x);

/** Every 131,101st bit pattern, then the neighbourhoods of the points where formulas change. */
function sweep([input]: Float32Array[], round: number): boolean {
  const patterns = new Uint32Array(input!.buffer, input!.byteOffset, size);
  if (round > 1) return false;
  if (round === 0) for (let k = 0; k < size; k++) patterns[k] = Math.imul(k, 131_101) >>> 0;
  else {
    const around = Math.floor(size / special.length);
    for (const [i, x] of special.entries()) {
      floats[0] = x;
      const center = bits[0]!;
      for (let k = 0; k < around; k++) patterns[i * around + k] = (center + k - (around >> 1)) >>> 0;
    }
  }
  for (let k = 0; k < size; k++) input![k] = normal(input![k]!);
  return true;
}

const unary: readonly (readonly [UnaryAlu, (x: number) => number, number])[] = [
  ['exp', Math.exp, 1.7],
  ['expm1', Math.expm1, 1.7],
  ['tanh', Math.tanh, 2.7],
  ['log', Math.log, 1],
  ['log1p', Math.log1p, 1],
  ['sin', Math.sin, 2.6],
  ['cos', Math.cos, 2.6],
  ['erf', erf, 1.3],
  ['rsqrt', (x) => 1 / Math.sqrt(x), 2],
  ['sqrt', Math.sqrt, 1],
];

describe('over all of f32, within an error of so many units of the last place', () => {
  test.each(unary)(
    '%s',
    async (alu, exact, bound) => {
      const worst = await measure(alu, exact, sweep);
      expect(worst.ulp, `at ${worst.at}`).toBeLessThanOrEqual(bound);
    },
    120_000,
  );

  test('pow, with the special cases of C99', async () => {
    const random = generator(7);
    const anyFloat = (): number => {
      bits[0] = random() * 2 ** 32;
      return normal(floats[0]!);
    };
    const fill: Fill = ([x, y], round) => {
      for (let k = 0; k < size; k++) {
        const way = k % 6;
        if (way === 0) [x![k], y![k]] = [anyFloat(), anyFloat()];
        else if (way === 1) [x![k], y![k]] = [random() * 4, (random() - 0.5) * 200];
        else if (way === 2) [x![k], y![k]] = [1 + (random() - 0.5) * 1e-3, (random() - 0.5) * 1e5];
        else if (way === 3) [x![k], y![k]] = [Math.exp((random() - 0.5) * 170), (random() - 0.5) * 2.5];
        else if (way === 4) [x![k], y![k]] = [(random() - 0.5) * 40, Math.round((random() - 0.5) * 60)];
        else for (const v of [x!, y!]) v[k] = special[Math.floor(random() * special.length)]!;
      }
      return round < 2;
    };
    const worst = await measure('pow', (x, y) => power(x, y), fill);
    expect(worst.ulp, `at ${worst.at}`).toBeLessThanOrEqual(2);
  }, 120_000);
});
