/** Operations as WGSL, from the text of their operands. */
import {
  type AluExpression,
  boolText,
  type Expression,
  type IndexAnalysis,
  InternalError,
  infix,
  isRectifier,
  isZero,
  mayBeNaN,
  powerOfTwoShift,
  type ScalarType,
  smallPower,
} from '@tutti/core/backend';
import { floatLiteral } from './functions/index.ts';

/** A constant. Infinities and NaN are not legal constants in WGSL, and compilers may take one zero for the other. */
export function literal(type: ScalarType, value: number): string {
  if (type === 'bool') return value ? 'true' : 'false';
  if (type === 'u32') return `${value}u`;
  if (type === 'i32')
    return value === -(2 ** 31) ? 'i32(-2147483648)' : value < 0 ? `(${value})` : `${value}`;
  if (Number.isNaN(value)) return 'not_a_number()';
  if (!Number.isFinite(value)) return value < 0 ? '(-infinity())' : 'infinity()';
  if (Object.is(value, -0)) return 'negative_zero()';
  return value < 0 ? `(${floatLiteral(value)})` : floatLiteral(value);
}

const floatFunctions: Readonly<Record<string, string>> = {
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
  roundF16: 'round_f16',
  roundBF16: 'round_bf16',
};

const roundings = new Set(['floor', 'ceil', 'trunc', 'round']);

export function aluText(e: AluExpression, args: readonly string[], analysis: IndexAnalysis): string {
  const from = e.args.at(-1)!.type;
  const [a, b, c] = args as [string, string, string];
  if (e.alu === 'where')
    return isRectifier(e) ? `select(${c}, 0.0f, is_below_zero(${c}))` : `select(${c}, ${b}, ${a})`;
  if (e.alu === 'cast') return castText(from, e.type, a);
  if (e.alu === 'bitcast') return `bitcast<${e.type}>(${a})`;
  const text =
    from === 'f32'
      ? floatText(e, a, b)
      : from === 'bool'
        ? boolText(e, a, b)
        : integerText(e, a, b, from, analysis);
  if (text === undefined) throw new InternalError(`no WGSL for ${e.alu} of ${from}`, { received: e });
  return text;
}

function floatText(e: AluExpression, a: string, b: string): string | undefined {
  const { alu } = e;
  if (alu in floatFunctions) return `${floatFunctions[alu]}(${b === undefined ? a : `${a}, ${b}`})`;
  if (roundings.has(alu)) return `with_sign_of(${alu}(${a}), ${a})`;
  switch (alu) {
    case 'neg':
      return `(-${a})`;
    case 'abs':
      return `abs(${a})`;
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
      return `(${a} ${infix[alu]} ${b})`;
    case 'max':
    case 'min':
      return extremeText(e, alu, a, b);
    case 'pow':
      return smallPower(e.args[1]!, a) ?? `pow_f32(${a}, ${b})`;
    case 'lt':
    case 'le':
    case 'eq':
    case 'ne':
      return comparisonText(e, alu, a, b);
    default:
      return undefined;
  }
}

/** Comparisons and selects: the built-in extremes cost software more, and drop NaN. */
function extremeText(e: AluExpression, alu: 'max' | 'min', a: string, b: string): string {
  const [left, right] = e.args as [Expression, Expression];
  if (left.op === 'const' && right.op !== 'const') {
    return extremeText({ ...e, args: [right, left] }, alu, b, a);
  }
  if (isZero(right)) {
    return alu === 'max'
      ? `select(${a}, 0.0f, is_below_zero(${a}))`
      : `select(${a}, 0.0f, is_above_zero(${a}))`;
  }
  const chosen = `select(${a}, ${b}, ${alu === 'max' ? `${a} < ${b}` : `${b} < ${a}`})`;
  if (!mayBeNaN(left) && !mayBeNaN(right)) return chosen;
  if (!mayBeNaN(right)) return `select(${chosen}, ${a}, is_nan(${a}))`;
  if (!mayBeNaN(left)) return `select(${chosen}, ${b}, is_nan(${b}))`;
  return `${alu}_f32(${a}, ${b})`;
}

/** NaN is found by its bits, as a compiler may take `a < b` for the contrary of `a >= b`. */
function comparisonText(e: AluExpression, alu: 'lt' | 'le' | 'eq' | 'ne', a: string, b: string): string {
  const [left, right] = e.args as [Expression, Expression];
  if (left === right) {
    if (alu === 'lt') return 'false';
    return alu === 'ne' ? `is_nan(${a})` : `(!is_nan(${a}))`;
  }
  if (alu === 'lt' && isZero(left)) return `is_above_zero(${b})`;
  const compared = `(${a} ${infix[alu]} ${b})`;
  if (!mayBeNaN(left) && !mayBeNaN(right)) return compared;
  const unordered = !mayBeNaN(left)
    ? `is_nan(${b})`
    : !mayBeNaN(right)
      ? `is_nan(${a})`
      : `unordered(${a}, ${b})`;
  return alu === 'ne' ? `(${compared} | ${unordered})` : `(${compared} & !${unordered})`;
}

function integerText(
  e: AluExpression,
  a: string,
  b: string,
  type: 'i32' | 'u32',
  analysis: IndexAnalysis,
): string | undefined {
  switch (e.alu) {
    case 'neg':
      return type === 'u32' ? `(0u - ${a})` : `(-${a})`;
    case 'not':
      return `(~${a})`;
    case 'abs':
      return type === 'u32' ? a : `abs(${a})`;
    case 'sign':
      return type === 'u32' ? `min(${a}, 1u)` : `sign(${a})`;
    case 'max':
    case 'min':
      return `${e.alu}(${a}, ${b})`;
    case 'shl':
    case 'shr':
      return shiftText(e, a, b);
    case 'idiv':
    case 'rem':
      return divisionText(e, e.alu, a, b, type, analysis);
    default: {
      const sign = infix[e.alu];
      return sign && `(${a} ${sign} ${b})`;
    }
  }
}

/** A constant shift to the left is a product: compilers know, and software does it faster. */
function shiftText(e: AluExpression, a: string, b: string): string {
  const amount = e.args[1]!;
  if (amount.op === 'const') {
    const by = amount.value & 31;
    if (e.alu === 'shr') return `(${a} >> ${by}u)`;
    return `(${a} * ${literal(e.type, e.type === 'i32' ? (1 << by) | 0 : 2 ** by)})`;
  }
  const masked = amount.type === 'i32' ? `(bitcast<u32>(${b}) & 31u)` : `(${b} & 31u)`;
  return `(${a} ${e.alu === 'shl' ? '<<' : '>>'} ${masked})`;
}

/** A constant divisor needs no checks; a dividend that is not negative divides faster without its sign. */
function divisionText(
  e: AluExpression,
  alu: 'idiv' | 'rem',
  a: string,
  b: string,
  type: 'i32' | 'u32',
  analysis: IndexAnalysis,
): string {
  const [dividend, divisor] = e.args as [Expression, Expression];
  if (divisor.op !== 'const') return `${alu === 'idiv' ? 'divide' : 'remainder'}_${type}(${a}, ${b})`;
  const d = divisor.value;
  if (d === 0) return literal(type, 0);
  if (d === -1 && type === 'i32') return alu === 'idiv' ? `(-${a})` : '0';
  if (d === 1) return alu === 'idiv' ? a : literal(type, 0);
  const unsigned = type === 'u32' || (analysis.isNonNegative(dividend) && d > 0);
  if (!unsigned) return `(${a} ${alu === 'idiv' ? '/' : '%'} ${b})`;
  const shift = powerOfTwoShift(d);
  if (shift !== undefined) return alu === 'idiv' ? `(${a} >> ${shift}u)` : `(${a} & ${literal(type, d - 1)})`;
  const sign = alu === 'idiv' ? '/' : '%';
  return type === 'u32' ? `(${a} ${sign} ${d}u)` : `i32(u32(${a}) ${sign} ${d}u)`;
}

function castText(from: ScalarType, to: ScalarType, a: string): string {
  if (from === to) return a;
  if (to === 'bool') {
    if (from === 'f32') return `((bitcast<u32>(${a}) & 0x7fffffffu) != 0u)`;
    return `(${a} != ${literal(from, 0)})`;
  }
  if (from === 'f32') return `f32_to_${to}(${a})`;
  if (from === 'bool') return `select(${literal(to, 0)}, ${literal(to, 1)}, ${a})`;
  if (to !== 'f32') return `bitcast<${to}>(${a})`;
  return from === 'u32' ? `u32_to_f32(${a})` : `f32(${a})`;
}
