import { ExpressionBuilder, type Kernel, type UnaryAlu } from '@tutti/core/backend';
import { erf, generator, power } from '@tutti/core/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import { features } from '../src/runtime/features.ts';
import { instantiate, Layout } from './kernels/harness.ts';

const size = 1 << 14;
const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** Distance from the exact value in units of the last place of its f32 neighbour. Infinities and NaN must be met exactly. */
function ulps(got: number, exact: number): number {
  if (Number.isNaN(exact)) return Number.isNaN(got) ? 0 : Number.POSITIVE_INFINITY;
  const nearest = Math.fround(exact);
  if (!Number.isFinite(nearest) || !Number.isFinite(got)) {
    // One ULP short of overflow is one ULP, not infinitely many.
    if (nearest === got) return 0;
    const largest = 2 ** 128 - 2 ** 104;
    return Math.abs(Math.abs(got) - Math.abs(nearest)) === 0
      ? 0
      : Math.min(Math.abs(got), Math.abs(nearest)) === largest
        ? 1
        : Infinity;
  }
  if (nearest === 0 && got === 0) return Object.is(nearest, got) ? 0 : Number.POSITIVE_INFINITY;
  floats[0] = nearest;
  const exponent = Math.max((bits[0]! >>> 23) & 0xff, 1) - 150;
  return Math.abs(got - exact) / 2 ** exponent;
}

/** A function of `size` elements at a time, as compiled kernels run it; the last three elements go through scalar code. */
function elementwise(alu: UnaryAlu | 'pow'): {
  inputs: Float32Array[];
  output: Float32Array;
  run: () => void;
} {
  const b = new ExpressionBuilder();
  const i = { name: 'i', extent: size + 3 };
  const operands = alu === 'pow' ? 2 : 1;
  const buffers = Array.from({ length: operands + 1 }, (_, k) => ({
    dtype: 'float32' as const,
    length: i.extent,
    access: k < operands ? ('read' as const) : ('write' as const),
  }));
  const args = buffers.slice(0, operands).map((_, k) => b.load('f32', k, b.index(i)));
  const kernel: Kernel = {
    kind: 'kernel',
    name: alu,
    buffers,
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
  const program = compileKernel(kernel);
  const layout = new Layout(
    program,
    buffers.map((p) => new Float32Array(p.length)),
    [],
  );
  const [stage] = instantiate(program, layout.memory);
  const views = layout.addresses.map((address) => new Float32Array(layout.memory.buffer, address, i.extent));
  return {
    inputs: views.slice(0, operands),
    output: views[operands]!,
    run: () => stage!(0, i.extent, layout.args, layout.scratch),
  };
}

interface Worst {
  ulp: number;
  at: readonly number[];
}

function measure(
  alu: UnaryAlu | 'pow',
  exact: (x: number, y: number) => number,
  fill: (inputs: Float32Array[], round: number) => boolean,
): Worst {
  const { inputs, output, run } = elementwise(alu);
  const worst: Worst = { ulp: 0, at: [] };
  for (let round = 0; fill(inputs, round); round++) {
    for (const input of inputs) input.copyWithin(size, 1, 4); // scalar code must give what lanes give
    run();
    for (let k = 0; k < size; k++) {
      const [x, y] = [inputs[0]![k]!, inputs[1]?.[k] ?? 0];
      const ulp = ulps(output[k]!, exact(x, y));
      if (ulp > worst.ulp) Object.assign(worst, { ulp, at: [x, y, output[k]!] });
    }
    for (let k = 0; k < 3; k++)
      if (!Object.is(output[size + k], output[1 + k])) expect.fail(`scalar ${alu} differs`);
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
  2 ** -126,
  Math.PI / 2,
  Math.PI,
  2 ** 28,
  1e5,
  Infinity,
  -Infinity,
  Number.NaN,
];

/** Every 9973rd bit pattern, then the neighbourhoods of the points where formulas change. */
function sweep([input]: Float32Array[], round: number): boolean {
  const patterns = new Uint32Array(input!.buffer, input!.byteOffset, size);
  const step = 9973;
  const rounds = Math.ceil(2 ** 32 / step / size);
  if (round < rounds) {
    for (let k = 0; k < size; k++) patterns[k] = ((round * size + k) * step) >>> 0;
    return true;
  }
  if (round > rounds) return false;
  const around = Math.floor(size / special.length);
  for (const [i, x] of special.entries()) {
    floats[0] = x;
    const center = bits[0]!;
    for (let k = 0; k < around; k++) patterns[i * around + k] = (center + k - (around >> 1)) >>> 0;
  }
  return true;
}

const unary: readonly (readonly [UnaryAlu, (x: number) => number, number])[] = [
  ['exp', Math.exp, 1.1],
  ['expm1', Math.expm1, 1.6],
  ['tanh', Math.tanh, 2.6],
  ['log', Math.log, 0.9],
  ['log1p', Math.log1p, 0.9],
  ['sin', Math.sin, 1.7],
  ['cos', Math.cos, 1.7],
  ['erf', erf, 1.2],
  ['rsqrt', (x) => 1 / Math.sqrt(x), 1.6],
  ['sqrt', Math.sqrt, 0.5],
];

const relaxed = features.relaxedMadd;
afterEach(() => {
  features.relaxedMadd = relaxed;
});

describe.each(relaxed ? [true, false] : [false])('with fused multiply-add: %s', (fused) => {
  test.each(unary)(
    '%s stays within its error bound over all of f32',
    (alu, exact, bound) => {
      features.relaxedMadd = fused;
      const worst = measure(alu, exact, sweep);
      expect(worst.ulp, `at ${worst.at}`).toBeLessThanOrEqual(bound);
    },
    120_000,
  );

  test('pow stays within one ULP, and meets the special cases of C99', () => {
    features.relaxedMadd = fused;
    const random = generator(7);
    const worst = measure('pow', power, ([x, y], round) => {
      for (let k = 0; k < size; k++) {
        const way = k % 6;
        if (way === 0) {
          bits[0] = random() * 2 ** 32;
          x![k] = floats[0]!;
          bits[0] = random() * 2 ** 32;
          y![k] = floats[0]!;
        } else if (way === 1) [x![k], y![k]] = [random() * 4, (random() - 0.5) * 200];
        else if (way === 2) [x![k], y![k]] = [1 + (random() - 0.5) * 1e-3, (random() - 0.5) * 1e5];
        else if (way === 3) [x![k], y![k]] = [Math.exp((random() - 0.5) * 170), (random() - 0.5) * 2.5];
        else if (way === 4) [x![k], y![k]] = [(random() - 0.5) * 40, Math.round((random() - 0.5) * 60)];
        else for (const v of [x!, y!]) v[k] = special[Math.floor(random() * special.length)]!;
      }
      return round < 20;
    });
    expect(worst.ulp, `at ${worst.at}`).toBeLessThanOrEqual(1);
  }, 120_000);
});
