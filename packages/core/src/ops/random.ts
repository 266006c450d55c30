/**
 * Random numbers: Threefry-2x32-20 (Salmon et al. 2011), counter-based, so that a seed gives the same numbers on every
 * device and with any number of threads.
 */
import { ArgumentError, checkDType, type DType, DTypeError, isFloat } from '../backend/index.ts';
import { apply, fromHost } from '../tensor/apply.ts';
import { context, defaultDevice } from '../tensor/context.ts';
import { describe } from '../tensor/describe.ts';
import type { Device } from '../tensor/device.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { checkShape, type Shape } from '../tensor/shape.ts';
import { Tensor, Variable } from '../tensor/tensor.ts';
import { lt } from './compare.ts';
import { composite, untracked } from './composite.ts';
import { type CreateOptions, createOptions } from './create.ts';
import { add, mul } from './elementwise.ts';
import { narrow } from './movement.ts';
import { convert, filled, integerRange, shaped } from './promote.ts';

export interface RandomOptions extends CreateOptions {
  /** Where the numbers come from. Default: the default generator of the device. */
  readonly generator?: Generator | undefined;
}

const bernoulliOptions: OptionNames<Omit<RandomOptions, 'dtype'>> = { device: true, generator: true };
const randomOptions: OptionNames<RandomOptions> = { ...createOptions, generator: true };

function checkSeed(op: string, seed: number): number {
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed;
  throw new ArgumentError(`${op}: seed ${describe(seed)}`, {
    op,
    received: seed,
    fix: 'a seed is an integer from 0 to 2^32 - 1; take seed % 2 ** 32',
  });
}

const keyOf = (seed: number, draws: number, device: Device): Tensor =>
  fromHost(Uint32Array.of(seed, draws), [2], 'uint32', device);

/**
 * A stream of random numbers. Its state, uint32 [seed, number of draws so far], is a variable: inside `jit` a draw is an
 * effect of the plan, and every run draws anew. Up to 2^32 draws, of any shape, do not repeat.
 */
export class Generator {
  /** uint32 [2]: the seed and the number of draws. Save it to continue the stream later. */
  readonly state: Variable;

  /** @throws ArgumentError unless `seed` is an integer from 0 to 2^32 - 1. */
  constructor(seed = 0, device: Device = defaultDevice()) {
    const key = keyOf(checkSeed('Generator', seed), 0, device);
    this.state = new Variable(key, { requiresGrad: false, name: 'generator' });
    key.dispose();
  }

  get device(): Device {
    return this.state.device;
  }

  /** Starts the stream of a seed from its beginning. @throws ArgumentError */
  seed(seed: number): void {
    const key = keyOf(checkSeed('Generator.seed', seed), 0, this.device);
    this.state.assign(key);
    key.dispose();
  }

  /** uint32 bits of a shape. Each call draws others. */
  bits(shape: Shape): Tensor {
    checkShape(shape, 'Generator.bits');
    return composite(() =>
      untracked(() => {
        const key = new Tensor(this.state.node);
        const { host } = key.node;
        // While nothing but this host code draws, counting needs no device.
        const next =
          host && !context.trace
            ? keyOf(host[0]!, (host[1]! + 1) >>> 0, this.device)
            : add(key, fromHost(Uint32Array.of(0, 1), [2], 'uint32', this.device));
        this.state.assign(next);
        return apply('randomBits', [key], { shape: [...shape] });
      }),
    );
  }
}

/** The default generator of each device. */
const generators: { readonly device: Device; readonly generator: Generator }[] = [];
let defaultSeed = 0;

/** The generator that draws on a device when none is given. */
export function defaultGenerator(device: Device = defaultDevice()): Generator {
  const known = generators.find((entry) => entry.device.same(device));
  if (known) return known.generator;
  const generator = new Generator(defaultSeed, device);
  generators.push({ device, generator });
  return generator;
}

/**
 * Starts the default generators, of all devices, from a seed. Until it is called the seed is 0.
 *
 * @throws ArgumentError unless `seed` is an integer from 0 to 2^32 - 1.
 */
export function manualSeed(seed: number): void {
  defaultSeed = checkSeed('manualSeed', seed);
  for (const { generator } of generators) generator.seed(seed);
}

function generatorOf(op: string, options: RandomOptions): Generator {
  const { generator, device } = options;
  if (!generator) return defaultGenerator(device);
  if (!device || device.same(generator.device)) return generator;
  throw new ArgumentError(`${op}: a generator on ${generator.device} for a tensor on ${device}`, {
    op,
    received: device.id,
    fix: 'leave the device out, or use a generator that lives there',
  });
}

function floatDTypeOf(op: string, options: RandomOptions): DType {
  const dtype = checkDType(options.dtype ?? 'float32', op);
  if (isFloat(dtype)) return dtype;
  throw new DTypeError(`${op}: dtype ${dtype} is not a float`, {
    op,
    received: dtype,
    fix: 'use randint for integers',
  });
}

/** Digits of the significand: as many random bits fill [0, 1) evenly with no rounding, which could give 1. */
const digits: Readonly<Partial<Record<DType, number>>> = { float32: 24, float16: 11, bfloat16: 8 };

/** float32 multiples of 2^-count in [0, 1), from the high bits. */
function uniform(bits: Tensor, count = 24): Tensor {
  const high = apply('shr', [bits, filled('rand', 32 - count, 'uint32', bits.shape, bits.device)], {});
  return mul(convert(high, 'float32'), 2 ** -count);
}

/**
 * Uniform numbers in [0, 1): multiples of 2^-24 (2^-11 for float16, 2^-8 for bfloat16), each equally likely. float32 unless
 * another float dtype is given.
 *
 * @throws ShapeError; DTypeError for a dtype that is not a float.
 */
export function rand(shape: Shape, options: RandomOptions = {}): Tensor {
  checkShape(shape, 'rand');
  checkOptions('rand', options, randomOptions);
  const dtype = floatDTypeOf('rand', options);
  const generator = generatorOf('rand', options);
  return composite(() => convert(uniform(generator.bits(shape), digits[dtype]), dtype));
}

/**
 * Normal numbers of mean 0 and variance 1, by Box and Muller: `sqrt(-2 log u) cos(2 pi v)` with u in (0, 1] and v in [0, 1),
 * both multiples of 2^-24; so none is beyond ±5.77. float32 unless another float dtype is given.
 *
 * @throws ShapeError; DTypeError for a dtype that is not a float.
 */
export function randn(shape: Shape, options: RandomOptions = {}): Tensor {
  checkShape(shape, 'randn');
  checkOptions('randn', options, randomOptions);
  const dtype = floatDTypeOf('randn', options);
  const generator = generatorOf('randn', options);
  return composite(() => {
    const pairs = uniform(generator.bits([2, ...shape]));
    const [u, v] = [0, 1].map((i) => shaped(narrow(pairs, 0, i, 1), shape)) as [Tensor, Tensor];
    const radius = apply('sqrt', [mul(apply('log', [add(u, 2 ** -24)], {}), -2)], {});
    return convert(mul(radius, apply('cos', [mul(v, 2 * Math.PI)], {})), dtype);
  });
}

/** floor(bits * range / 2^32): the high word of a product of 32-bit integers, from products of their halves. */
function multiplyHigh(bits: Tensor, range: number): Tensor {
  const word = (value: number): Tensor => filled('randint', value, 'uint32', bits.shape, bits.device);
  const high = (x: Tensor): Tensor => apply('shr', [x, word(16)], {});
  const low = (x: Tensor): Tensor => apply('and', [x, word(0xffff)], {});
  const times = (x: Tensor, half: number): Tensor => apply('mul', [x, word(half)], {});
  const plus = (x: Tensor, y: Tensor): Tensor => apply('add', [x, y], {});
  const [rangeHigh, rangeLow] = [Math.floor(range / 2 ** 16), range % 2 ** 16];
  const [bitsHigh, bitsLow] = [high(bits), low(bits)];
  // None of these sums reaches 2^32: (2^16 - 1)^2 + 2 (2^16 - 1) = 2^32 - 1.
  const middle = plus(times(bitsHigh, rangeLow), high(times(bitsLow, rangeLow)));
  const carry = high(plus(times(bitsLow, rangeHigh), low(middle)));
  return plus(plus(times(bitsHigh, rangeHigh), high(middle)), carry);
}

/**
 * Integers from `low` to before `high`. The probability of each differs from 1 / (high - low) by at most 2^-32. int32 unless
 * another integer dtype is given.
 *
 * @throws ArgumentError unless low < high are integers that the dtype holds; DTypeError for other dtypes; ShapeError
 */
export function randint(low: number, high: number, shape: Shape, options: RandomOptions = {}): Tensor {
  checkShape(shape, 'randint');
  checkOptions('randint', options, randomOptions);
  const dtype = checkDType(options.dtype ?? 'int32', 'randint');
  const limits = integerRange[dtype];
  if (!limits) {
    throw new DTypeError(`randint: dtype ${dtype} is not an integer`, {
      op: 'randint',
      received: dtype,
      fix: 'use int32, uint32 or uint8',
    });
  }
  const whole = Number.isInteger(low) && Number.isInteger(high);
  if (!whole || low >= high || low < limits[0] || high > limits[1] + 1) {
    throw new ArgumentError(`randint: from ${describe(low)} to before ${describe(high)} in ${dtype}`, {
      op: 'randint',
      received: [low, high],
      fix: `low and high are integers, low < high, both within ${limits[0]} .. ${limits[1] + 1}`,
    });
  }
  const generator = generatorOf('randint', options);
  return composite(() => {
    const bits = generator.bits(shape);
    const range = high - low;
    const offset = range === 2 ** 32 ? bits : multiplyHigh(bits, range);
    // uint32 sums wrap, so a negative low is added as its two's complement and the cast to int32 reads it back.
    return convert(
      apply('add', [offset, filled('randint', low >>> 0, 'uint32', shape, generator.device)], {}),
      dtype,
    );
  });
}

/** bool, true with probability p (exact to 2^-24), drawn from a generator. */
export function bernoulliMask(shape: Shape, p: number, generator: Generator): Tensor {
  return composite(() => lt(uniform(generator.bits(shape)), p));
}

/** bool: each is true with probability `p`, exact to 2^-24. @throws ArgumentError unless 0 <= p <= 1; ShapeError */
export function bernoulli(shape: Shape, p: number, options: Omit<RandomOptions, 'dtype'> = {}): Tensor {
  checkShape(shape, 'bernoulli');
  checkProbability('bernoulli', p);
  checkOptions('bernoulli', options, bernoulliOptions);
  return bernoulliMask(shape, p, generatorOf('bernoulli', options));
}

/** @throws ArgumentError unless 0 <= p <= 1. */
export function checkProbability(op: string, p: number): void {
  if (typeof p === 'number' && p >= 0 && p <= 1) return;
  throw new ArgumentError(`${op}: probability ${describe(p)}`, {
    op,
    received: p,
    fix: 'a probability is from 0 to 1',
  });
}
