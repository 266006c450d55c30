/** First values of parameters. Each function makes a new tensor; `parameter.assign(...)` starts a parameter again with it. */
import {
  ArgumentError,
  add,
  clamp,
  type Device,
  erf,
  full,
  type Generator,
  log1p,
  lt,
  mul,
  neg,
  noGrad,
  rand,
  randn,
  scope,
  sqrt,
  square,
  sub,
  type Tensor,
  where,
} from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';

export interface InitOptions {
  /** What the numbers are drawn from. Default: the generator that `manualSeed` seeds. */
  readonly generator?: Generator | undefined;
  readonly device?: Device | undefined;
}

const initOptions: OptionNames<InitOptions> = { generator: true, device: true };

/** What is handed on to the functions that draw. */
const drawing = ({ generator, device }: InitOptions): InitOptions => ({ generator, device });

export type Nonlinearity = 'linear' | 'sigmoid' | 'tanh' | 'relu' | 'leakyRelu' | 'selu';

type Shape = readonly number[];

const build = (compute: () => Tensor): Tensor => noGrad(() => scope(compute));

/** Every element `value`. */
export function constant(shape: Shape, value: number, options: InitOptions = {}): Tensor {
  checkOptions('constant', options, initOptions);
  return full(shape, value, { device: options.device });
}

/** Every element 0. */
export function zeros(shape: Shape, options?: InitOptions): Tensor {
  return constant(shape, 0, options);
}

/** Every element 1. */
export function ones(shape: Shape, options?: InitOptions): Tensor {
  return constant(shape, 1, options);
}

/** Uniform in [low, high). */
export function uniform(shape: Shape, low = 0, high = 1, options: InitOptions = {}): Tensor {
  checkOptions('uniform', options, initOptions);
  return build(() => add(mul(rand(shape, options), high - low), low));
}

/** Normal with a mean and a standard deviation. */
export function normal(shape: Shape, mean = 0, deviation = 1, options: InitOptions = {}): Tensor {
  checkOptions('normal', options, initOptions);
  if (!(deviation >= 0)) {
    throw new ArgumentError(`normal: deviation ${deviation}`, {
      op: 'normal',
      received: deviation,
      fix: 'a standard deviation is at least 0',
    });
  }
  return build(() => add(mul(randn(shape, options), deviation), mean));
}

export interface TruncatedOptions extends InitOptions {
  readonly mean?: number;
  readonly deviation?: number;
  /** Bounds of the values. Default -2 and 2. */
  readonly low?: number;
  readonly high?: number;
}

const truncatedOptions: OptionNames<TruncatedOptions> = {
  ...initOptions,
  mean: true,
  deviation: true,
  low: true,
  high: true,
};

/**
 * Normal, but only values between two bounds, by the inverse of the distribution function:
 * `mean + deviation * sqrt(2) * erfInverse(u)`, u uniform between erf of the two bounds.
 *
 * @throws ArgumentError unless low < high, deviation > 0, and the bounds reach within 5 deviations of the mean.
 */
export function truncNormal(shape: Shape, options: TruncatedOptions = {}): Tensor {
  checkOptions('truncNormal', options, truncatedOptions);
  const { mean = 0, deviation = 1, low = -2, high = 2, device } = options;
  const lowest = (low - mean) / deviation;
  const highest = (high - mean) / deviation;
  if (!(low < high && deviation > 0 && lowest < 5 && highest > -5)) {
    throw new ArgumentError(`truncNormal: mean ${mean}, deviation ${deviation}, bounds ${low} and ${high}`, {
      op: 'truncNormal',
      received: [mean, deviation, low, high],
      fix: 'low < high, deviation > 0, and bounds that are not more than 5 deviations away on one side',
    });
  }
  return build(() => {
    // Drawn on the side of the mean where erf is far from 1 if one bound is beyond it: there float32 has its digits.
    const from = erf(full([], lowest / Math.SQRT2, { device }));
    const to = erf(full([], highest / Math.SQRT2, { device }));
    const drawn = add(from, mul(rand(shape, drawing(options)), sub(to, from)));
    return clamp(add(mul(erfInverse(drawn), deviation * Math.SQRT2), mean), low, high);
  });
}

/** Coefficients of the powers of `w - 2.5` and of `sqrt(w) - 3`, highest first. */
const central = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164,
  0.246640727, 1.50140941,
];
const tail = [
  -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
  1.00167406, 2.83297682,
];

/** The inverse of erf in single precision (M. Giles, "Approximating the erfinv function", GPU Computing Gems 2, 2010). */
function erfInverse(x: Tensor): Tensor {
  const polynomial = (coefficients: readonly number[], at: Tensor): Tensor =>
    coefficients
      .slice(1)
      .reduce((sum, coefficient) => add(mul(sum, at), coefficient), full([], coefficients[0]!));
  const w = neg(log1p(neg(square(x))));
  const inner = polynomial(central, sub(w, 2.5));
  const outer = polynomial(tail, sub(sqrt(w), 3));
  return mul(where(lt(w, 5), inner, outer), x);
}

/**
 * The gain that keeps the variance through a nonlinearity: 1, 5/3 for tanh, sqrt(2) for relu,
 * sqrt(2 / (1 + slope^2)) for leakyRelu, 3/4 for selu.
 */
export function gainOf(nonlinearity: Nonlinearity, slope = 0.01): number {
  const gains: Record<Nonlinearity, number> = {
    linear: 1,
    sigmoid: 1,
    tanh: 5 / 3,
    relu: Math.SQRT2,
    leakyRelu: Math.sqrt(2 / (1 + slope ** 2)),
    selu: 3 / 4,
  };
  if (Object.hasOwn(gains, nonlinearity)) return gains[nonlinearity];
  throw new ArgumentError(`gainOf: unknown nonlinearity ${JSON.stringify(nonlinearity)}`, {
    op: 'gainOf',
    received: nonlinearity,
    fix: `use one of ${Object.keys(gains).join(', ')}`,
  });
}

/**
 * Number of inputs and of outputs of one unit of a weight (out, in, ...kernel).
 *
 * @throws ArgumentError for fewer than two axes.
 */
export function fans(shape: Shape): { in: number; out: number } {
  const [out, into, ...kernel] = shape;
  if (out === undefined || into === undefined) {
    throw new ArgumentError(`init: shape [${shape}] is not that of a weight`, {
      op: 'init',
      received: shape,
      fix: 'a weight is (out, in, ...); use uniform or normal for other shapes',
    });
  }
  const field = kernel.reduce((product, extent) => product * extent, 1);
  return { in: into * field, out: out * field };
}

export interface KaimingOptions extends InitOptions {
  /** Which side keeps its variance. Default 'in', the forward pass. */
  readonly fan?: 'in' | 'out';
  /** Default 'leakyRelu', with `slope`. */
  readonly nonlinearity?: Nonlinearity;
  /** Slope of leakyRelu below 0. Default 0. */
  readonly slope?: number;
}

const kaimingOptions: OptionNames<KaimingOptions> = {
  ...initOptions,
  fan: true,
  nonlinearity: true,
  slope: true,
};

/** Normal and uniform are scaled to one standard deviation: `gain / sqrt(fan)`. He et al., 2015. */
function kaimingDeviation(
  shape: Shape,
  { fan = 'in', nonlinearity = 'leakyRelu', slope = 0 }: KaimingOptions,
): number {
  return gainOf(nonlinearity, slope) / Math.sqrt(Math.max(1, fans(shape)[fan]));
}

/** Uniform in (-b, b), `b = gain * sqrt(3 / fan)`. @throws ArgumentError for fewer than two axes. */
export function kaimingUniform(shape: Shape, options: KaimingOptions = {}): Tensor {
  checkOptions('kaimingUniform', options, kaimingOptions);
  const bound = Math.sqrt(3) * kaimingDeviation(shape, options);
  return uniform(shape, -bound, bound, drawing(options));
}

/** Normal with the standard deviation `gain / sqrt(fan)`. @throws ArgumentError for fewer than two axes. */
export function kaimingNormal(shape: Shape, options: KaimingOptions = {}): Tensor {
  checkOptions('kaimingNormal', options, kaimingOptions);
  return normal(shape, 0, kaimingDeviation(shape, options), drawing(options));
}

export interface XavierOptions extends InitOptions {
  /** Default 1; `gainOf(...)` gives others. */
  readonly gain?: number;
}

const xavierOptions: OptionNames<XavierOptions> = { ...initOptions, gain: true };

const xavierDeviation = (shape: Shape, { gain = 1 }: XavierOptions): number => {
  const { in: into, out } = fans(shape);
  return gain * Math.sqrt(2 / Math.max(1, into + out));
};

/** Uniform in (-b, b), `b = gain * sqrt(6 / (in + out))`. Glorot and Bengio, 2010. @throws ArgumentError as above. */
export function xavierUniform(shape: Shape, options: XavierOptions = {}): Tensor {
  checkOptions('xavierUniform', options, xavierOptions);
  const bound = Math.sqrt(3) * xavierDeviation(shape, options);
  return uniform(shape, -bound, bound, drawing(options));
}

/** Normal with the standard deviation `gain * sqrt(2 / (in + out))`. @throws ArgumentError as above. */
export function xavierNormal(shape: Shape, options: XavierOptions = {}): Tensor {
  checkOptions('xavierNormal', options, xavierOptions);
  return normal(shape, 0, xavierDeviation(shape, options), drawing(options));
}
