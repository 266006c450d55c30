/** Operations as GLSL, from the text of their operands, each of which is one value or a vector. */
import {
  type AluExpression,
  bare,
  type Expression,
  type IndexAnalysis,
  InternalError,
  infix,
  isRectifier,
  isZero,
  type Kernel,
  mayBeNaN,
  powerOfTwoShift,
  type ScalarType,
} from '@tutti/core/backend';
import { type FunctionName, floatLiteral, type Library, type Width } from './functions/index.ts';
import { literal } from './literal.ts';
import { typeName, type Value, widened, widthOf } from './types.ts';

/** Those of vectors are functions. */
const comparisons: Readonly<Record<string, string>> = {
  lt: 'lessThan',
  le: 'lessThanEqual',
  eq: 'equal',
  ne: 'notEqual',
};

const floatFunctions: Readonly<Record<string, FunctionName>> = {
  sqrt: 'sqrt_f32',
  rsqrt: 'rsqrt_f32',
  exp: 'exp_f32',
  log: 'log_f32',
  log1p: 'log1p_f32',
  expm1: 'expm1_f32',
  sin: 'sin_f32',
  cos: 'cos_f32',
  tanh: 'tanh_f32',
  erf: 'erf_f32',
  rem: 'fmod_f32',
  sign: 'sign_f32',
  floor: 'floor_f32',
  ceil: 'ceil_f32',
  trunc: 'trunc_f32',
  round: 'round_f32',
  roundF16: 'round_f16',
  roundBF16: 'round_bf16',
};

/** Comparisons that are right where an operand is NaN. */
const orderedComparisons: Readonly<Record<string, FunctionName>> = {
  lt: 'is_less',
  le: 'is_at_most',
  eq: 'is_equal',
  ne: 'is_unequal',
};

/** Below this, a quotient by a constant is right in float arithmetic. */
const smallBound = 2 ** 21;

export class Arithmetic {
  readonly #kernel: Kernel;
  readonly #library: Library;
  readonly #analysis: IndexAnalysis;
  readonly #software: boolean;

  constructor(kernel: Kernel, library: Library, analysis: IndexAnalysis, software: boolean) {
    this.#kernel = kernel;
    this.#library = library;
    this.#analysis = analysis;
    this.#software = software;
  }

  /** The text of an operation. Its width is that of its widest operand. */
  text(e: AluExpression, args: readonly Value[]): string {
    const width = widthOf(args);
    const from = e.args.at(-1)!.type;
    if (e.alu === 'where') return this.#where(e, args, width);
    const [a, b] = args as [Value, Value];
    if (e.alu === 'cast') return this.#cast(from, e, a);
    if (e.alu === 'bitcast') return bitcast(from, e.type, a);
    if (e.alu in comparisons && from !== 'bool') return this.#comparison(e, from, a, b, width);
    switch (from) {
      case 'f32':
        return this.#float(e, args, width);
      case 'bool':
        return this.#bool(e, args, width);
      default:
        return this.#integer(e, a, b, from, width);
    }
  }

  /** A quotient and a remainder of an i32 that is at least 0 and below `bound`, by a constant. Software divides lane by lane. */
  divide({ text, width }: Value, d: number, bound: number, part: 'quotient' | 'remainder'): string {
    const shift = powerOfTwoShift(d);
    if (shift !== undefined) return part === 'quotient' ? `(${text} >> ${shift})` : `(${text} & ${d - 1})`;
    if (!this.#software || bound > smallBound) return `(${text} ${part === 'quotient' ? '/' : '%'} ${d})`;
    const inverse = floatLiteral(1 / d);
    return part === 'quotient'
      ? this.#library.call('divide_small', width, text, inverse)
      : this.#library.call('remainder_small', width, text, `${d}`, inverse);
  }

  /** `condition ? yes : no`, both of which there are. */
  select(type: ScalarType, no: Value, yes: Value, condition: Value): string {
    const width = widthOf([no, yes, condition]);
    const sides = [widened(no, type, width), widened(yes, type, width)];
    return this.#library.call(`select_${type}`, width, ...sides, widened(condition, 'bool', width));
  }

  /** A call of a function whose parameters are all of one type. */
  #call(name: FunctionName, type: ScalarType, width: Width, ...args: readonly Value[]): string {
    return this.#library.call(name, width, ...args.map((arg) => widened(arg, type, width)));
  }

  #where(e: AluExpression, [condition, yes, no]: readonly Value[], width: Width): string {
    if (isRectifier(e)) return this.#call('above_zero', 'f32', width, no!);
    return this.select(e.type, no!, yes!, condition!);
  }

  #cast(from: ScalarType, { type: to, args }: AluExpression, { text, width }: Value): string {
    if (from === to) return text;
    if (to === 'bool') {
      const bits =
        from === 'f32' ? `floatBitsToUint(${text}) & 0x7fffffffu` : this.#as('u32', width, text, from);
      return this.#library.call('is_set', width, bits);
    }
    if (from === 'f32') return this.#library.call(to === 'i32' ? 'f32_to_i32' : 'f32_to_u32', width, text);
    if (from === 'u32' && to === 'f32' && !this.#isSmall(args[0]!))
      return this.#library.call('u32_to_f32', width, text);
    return this.#as(to, width, text, from);
  }

  /** Whether a u32 is certainly one that a float can hold. */
  #isSmall(e: Expression): boolean {
    if (e.op === 'load') return this.#kernel.buffers[e.buffer]!.dtype === 'uint8';
    if (e.op !== 'alu') return e.op === 'const';
    const [a, b] = e.args as [Expression, Expression];
    if (e.alu === 'cast') return a.type === 'bool';
    if (b?.op !== 'const') return false;
    return e.alu === 'and' ? b.value < 2 ** 24 : e.alu === 'shr' && (b.value & 31) >= 8;
  }

  #as(to: ScalarType, width: Width, text: string, from: ScalarType): string {
    return from === to ? text : `${typeName(to, width)}(${bare(text)})`;
  }

  #float(e: AluExpression, args: readonly Value[], width: Width): string {
    const { alu } = e;
    const [a, b] = args as [Value, Value];
    if (alu in floatFunctions) return this.#call(floatFunctions[alu]!, 'f32', width, ...args);
    switch (alu) {
      case 'neg':
        return `(-${a.text})`;
      case 'abs':
        return `abs(${bare(a.text)})`;
      case 'add':
      case 'sub':
      case 'mul':
      case 'div':
        return `(${a.text} ${infix[alu]} ${b.text})`;
      case 'max':
      case 'min':
        return this.#extreme(e, alu, a, b, width);
      case 'pow':
        return this.#power(e, a, b, width);
      default:
        throw new InternalError(`no GLSL for ${alu} of f32`, { received: e });
    }
  }

  /** Built-in extremes drop NaN. */
  #extreme(e: AluExpression, alu: 'max' | 'min', a: Value, b: Value, width: Width): string {
    const [left, right] = e.args as [Expression, Expression];
    if (left.op === 'const' && right.op !== 'const')
      return this.#extreme({ ...e, args: [right, left] }, alu, b, a, width);
    if (isZero(right)) return this.#call(alu === 'max' ? 'above_zero' : 'below_zero', 'f32', width, a);
    if (mayBeNaN(left) || mayBeNaN(right)) return this.#call(`${alu}_f32`, 'f32', width, a, b);
    return `${alu}(${widened(a, 'f32', width)}, ${widened(b, 'f32', width)})`;
  }

  /** Small integer exponents are products. */
  #power(e: AluExpression, a: Value, b: Value, width: Width): string {
    const exponent = e.args[1]!;
    if (exponent.op === 'const') {
      if (exponent.value === 1) return a.text;
      if (exponent.value === 2) return this.#call('square', 'f32', width, a);
      if (exponent.value === 3) return this.#call('cube', 'f32', width, a);
      if (exponent.value === -1) return `(1.0 / ${a.text})`;
    }
    return this.#call('pow_f32', 'f32', width, a, b);
  }

  #comparison(e: AluExpression, type: ScalarType, a: Value, b: Value, width: Width): string {
    const compared =
      width === 'scalar'
        ? `(${a.text} ${infix[e.alu]} ${b.text})`
        : `${comparisons[e.alu]}(${widened(a, type, width)}, ${widened(b, type, width)})`;
    return type === 'f32' ? this.#ordered(e, compared, a, b, width) : compared;
  }

  #ordered(e: AluExpression, compared: string, a: Value, b: Value, width: Width): string {
    const [left, right] = e.args as [Expression, Expression];
    if (left === right && (e.alu === 'eq' || e.alu === 'ne')) {
      const invalid = this.#call('is_nan', 'f32', width, a);
      return e.alu === 'ne' ? invalid : this.#library.call('negated', width, invalid);
    }
    if (e.alu === 'lt' && isZero(left)) return this.#call('is_above_zero', 'f32', width, b);
    if (!mayBeNaN(left) && !mayBeNaN(right)) return compared;
    return this.#call(orderedComparisons[e.alu]!, 'f32', width, a, b);
  }

  #bool(e: AluExpression, args: readonly Value[], width: Width): string {
    const library = this.#library;
    const [a, b] = args.map((arg) => widened(arg, 'bool', width)) as [string, string];
    const negated = (text: string): string => library.call('negated', width, text);
    switch (e.alu) {
      case 'not':
        return negated(a);
      case 'and':
      case 'min':
        return library.call('both', width, a, b);
      case 'or':
      case 'max':
        return library.call('either', width, a, b);
      case 'eq':
        return negated(library.call('differ', width, a, b));
      case 'xor':
      case 'ne':
        return library.call('differ', width, a, b);
      case 'lt':
        return library.call('both', width, negated(a), b);
      case 'le':
        return library.call('either', width, negated(a), b);
      default:
        throw new InternalError(`no GLSL for ${e.alu} of bool`, { received: e });
    }
  }

  #integer(e: AluExpression, a: Value, b: Value, type: 'i32' | 'u32', width: Width): string {
    switch (e.alu) {
      case 'neg':
        return type === 'u32' ? `(0u - ${a.text})` : `(-${a.text})`;
      case 'not':
        return `(~${a.text})`;
      case 'abs':
        return type === 'u32' ? a.text : `abs(${a.text})`;
      case 'sign':
        return type === 'u32' ? `min(${a.text}, 1u)` : `sign(${a.text})`;
      case 'max':
      case 'min':
        return `${e.alu}(${widened(a, type, width)}, ${widened(b, type, width)})`;
      case 'shl':
      case 'shr':
        return shift(e, a, b, width);
      case 'idiv':
      case 'rem':
        return this.#division(e, e.alu, a, b, type, width);
      default: {
        const sign = infix[e.alu];
        if (!sign) throw new InternalError(`no GLSL for ${e.alu} of ${type}`, { received: e });
        if (e.alu === 'add') return sum(e.args[1]!, a.text, b.text);
        return `(${a.text} ${sign} ${b.text})`;
      }
    }
  }

  /** Where the dividend may be negative, or the divisor zero, functions know what to do. */
  #division(
    e: AluExpression,
    alu: 'idiv' | 'rem',
    a: Value,
    b: Value,
    type: 'i32' | 'u32',
    width: Width,
  ): string {
    const [dividend, divisor] = e.args as [Expression, Expression];
    const general = (): string =>
      this.#call(`${alu === 'idiv' ? 'divide' : 'remainder'}_${type}`, type, width, a, b);
    if (divisor.op !== 'const') return general();
    const d = divisor.value;
    if (d === 0 || (d === 1 && alu === 'rem'))
      return widened({ text: literal(type, 0, this.#library), width: 'scalar' }, type, width);
    if (d === 1) return a.text;
    if (type === 'i32') {
      if (d < 0 || !this.#analysis.isNonNegative(dividend)) return general();
      const bound = this.#analysis.bounds(dividend).high + 1;
      return this.divide(a, d, bound, alu === 'idiv' ? 'quotient' : 'remainder');
    }
    const by = powerOfTwoShift(d);
    if (by === undefined) return `(${a.text} ${alu === 'idiv' ? '/' : '%'} ${d}u)`;
    return alu === 'idiv' ? `(${a.text} >> ${by})` : `(${a.text} & ${d - 1}u)`;
  }
}

function bitcast(from: ScalarType, to: ScalarType, { text, width }: Value): string {
  if (from === 'f32') return `${to === 'i32' ? 'floatBitsToInt' : 'floatBitsToUint'}(${bare(text)})`;
  if (to === 'f32') return `${from === 'i32' ? 'intBitsToFloat' : 'uintBitsToFloat'}(${bare(text)})`;
  return `${typeName(to, width)}(${bare(text)})`;
}

function shift(e: AluExpression, a: Value, b: Value, width: Width): string {
  const operator = e.alu === 'shl' ? '<<' : '>>';
  const amount = e.args[1]!;
  if (amount.op === 'const') return `(${a.text} ${operator} ${amount.value & 31})`;
  const masked = `(${b.text} & ${amount.type === 'i32' ? '31' : '31u'})`;
  // What is shifted by a vector must be one.
  return `(${b.width === 'vector' ? widened(a, e.type, width) : a.text} ${operator} ${masked})`;
}

/** Less is taken away, so that indices read well. */
function sum(right: Expression, a: string, b: string): string {
  const isNegative = right.op === 'const' && right.value < 0 && right.value > -(2 ** 31);
  return isNegative ? `(${a} - ${-right.value})` : `(${a} + ${b})`;
}
