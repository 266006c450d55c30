/** Functions that are not exact, over all of f32, within an error of so many units of the last place. */
import type { Kernel, UnaryAlu } from '../../backend/index.ts';
import { type BufferContents, erf, power } from '../interpret.ts';
import { generator } from '../random-kernel.ts';
import { elementwiseKernel, type KernelCase, kernelCase } from './case.ts';
import { shown, ulps } from './compare.ts';

export interface MathOptions {
  /** How many elements a case has: 2 ** 15 at least. Together the cases of a function step through all bit patterns. */
  readonly size: number;
  /** Bounds of a device that differ from the usual ones. */
  readonly bounds?: Readonly<Partial<Record<MathAlu, number>>>;
  /** Whether denormal floats count, and the sign of zero. By default a device may take them for zero. */
  readonly exactZeros?: boolean;
}

type UnaryMath = Extract<
  UnaryAlu,
  'exp' | 'expm1' | 'tanh' | 'log' | 'log1p' | 'sin' | 'cos' | 'erf' | 'rsqrt' | 'sqrt'
>;
export type MathAlu = UnaryMath | 'pow';

/** With the usual bounds. */
const functions: Readonly<Record<UnaryMath, readonly [exact: (x: number) => number, bound: number]>> = {
  exp: [Math.exp, 1.2],
  expm1: [Math.expm1, 1.7],
  tanh: [Math.tanh, 2.7],
  log: [Math.log, 1],
  log1p: [Math.log1p, 1],
  sin: [Math.sin, 2.6],
  cos: [Math.cos, 2.6],
  erf: [erf, 1.3],
  rsqrt: [(x: number) => 1 / Math.sqrt(x), 2],
  sqrt: [Math.sqrt, 1],
};
const powerBound = 2;

/** Near denormal floats intermediate values are denormal. */
const leastExact = 2 ** -120;
const leastNormal = 2 ** -126;

/** Where formulas change. */
const special = [
  ...[0, -0, 1, -1, 0.5, 2, 0.9218751, -0.2929, 0.41422],
  ...[88.7228, -87.3365, -103.972, 2 ** -125, 2 ** -126],
  ...[Math.PI / 2, Math.PI, 4096, 1e5, 2 ** 28, 1e10, 3e38, 65520],
  ...[Infinity, -Infinity, Number.NaN],
];

type Fill = (inputs: readonly Float32Array[]) => void;

/** For each function: every so many bit patterns, and the neighbourhoods of special values. */
export const mathCases = (options: MathOptions): KernelCase[] => [
  ...(Object.keys(functions) as UnaryMath[]).flatMap((alu) => {
    const [exact, usual] = functions[alu];
    const bound = options.bounds?.[alu] ?? usual;
    const make = (name: string, fill: Fill) =>
      mathCase(`${alu} ${name}`, alu, exact, bound, options, ([x]) => fill([x!]));
    return [make('over all floats', everywhere), make('around special values', aroundSpecial)];
  }),
  ...[7, 8].map((seed) => {
    const bound = options.bounds?.pow ?? powerBound;
    return mathCase(`pow of all kinds, seed ${seed}`, 'pow', power, bound, options, powers(seed));
  }),
];

const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length);

const everywhere: Fill = ([x]) => {
  const patterns = bitsOf(x!);
  const step = (Math.floor(2 ** 32 / patterns.length) + 27) | 1; // odd, so that all the low bits come up
  for (let k = 0; k < patterns.length; k++) patterns[k] = (k * step) % 2 ** 32;
};

const aroundSpecial: Fill = ([x]) => {
  const patterns = bitsOf(x!);
  const around = Math.floor(patterns.length / special.length);
  const centers = bitsOf(Float32Array.from(special));
  for (const [i, center] of centers.entries()) {
    for (let k = 0; k < around; k++) patterns[i * around + k] = center + k - (around >> 1);
  }
};

/** Any two floats; bases up to 4 and near 1; results near the ends of the range; whole exponents; special values. */
const powers =
  (seed: number): Fill =>
  ([x, y]) => {
    const random = generator(seed);
    const patterns = [bitsOf(x!), bitsOf(y!)];
    for (let k = 0; k < x!.length; k++) {
      const way = k % 6;
      if (way === 0) for (const bits of patterns) bits[k] = random() * 2 ** 32;
      else if (way === 1) [x![k], y![k]] = [random() * 4, (random() - 0.5) * 200];
      else if (way === 2) [x![k], y![k]] = [1 + (random() - 0.5) * 1e-3, (random() - 0.5) * 1e5];
      else if (way === 3) [x![k], y![k]] = [Math.exp((random() - 0.5) * 170), (random() - 0.5) * 2.5];
      else if (way === 4) [x![k], y![k]] = [(random() - 0.5) * 40, Math.round((random() - 0.5) * 60)];
      else for (const v of [x!, y!]) v[k] = special[Math.floor(random() * special.length)]!;
    }
  };

function mathCase(
  name: string,
  alu: MathAlu,
  exact: (x: number, y: number) => number,
  bound: number,
  { size, exactZeros = false }: MathOptions,
  fill: Fill,
): KernelCase {
  const operands = alu === 'pow' ? 2 : 1;
  const inputs = Array.from({ length: operands }, () => 'float32' as const);
  const kernel: Kernel = elementwiseKernel(alu, size, inputs, 'float32', (b, ...args) =>
    b.alu(alu, 'f32', ...args),
  );
  const contents = (): BufferContents[] => {
    const values = inputs.map(() => new Float32Array(size));
    fill(values);
    if (!exactZeros)
      for (const x of values) for (let k = 0; k < size; k++) if (Math.abs(x[k]!) < leastNormal) x[k] = 0;
    return [...values, new Float32Array(size)];
  };
  const check = (got: readonly BufferContents[]): string | undefined => {
    const [x, y] = contents() as Float32Array[];
    let [worst, at] = [0, 0];
    for (let k = 0; k < size; k++) {
      const error = ulps(got[operands]![k]!, exact(x![k]!, y![k]!), exactZeros ? 0 : leastExact);
      if (error > worst) [worst, at] = [error, k];
    }
    if (worst <= bound) return undefined;
    const operandsAt = [x!, y!].slice(0, operands).map((each) => shown(each[at]!));
    const [value, want] = [got[operands]![at]!, exact(x![at]!, y![at]!)];
    return `${name}: ${worst} ULP, more than ${bound}: ${alu}(${operandsAt.join(', ')}) is ${shown(value)}, not ${shown(want)}`;
  };
  return { ...kernelCase(name, kernel, { contents }), check };
}
