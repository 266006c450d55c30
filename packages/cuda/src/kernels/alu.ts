/**
 * Operations as CUDA C++, from the text of their operands. Floats are IEEE throughout; functions are those of CUDA without fast math.
 *
 * Signed arithmetic that could overflow is done in unsigned, where it wraps; index arithmetic is known not to, and stays readable.
 */
import {
  type AluExpression,
  bare,
  boolText,
  type Expression,
  floatDigits,
  type IndexAnalysis,
  InternalError,
  infix,
  powerOfTwoShift,
  type ScalarType,
  smallPower,
} from '@tutti/core/backend';

const signed = (value: number): string =>
  value === -(2 ** 31) ? '(-2147483647 - 1)' : value < 0 ? `(${value})` : `${value}`;

export function literal(type: ScalarType, value: number): string {
  if (type === 'bool') return value ? 'true' : 'false';
  if (type === 'u32') return `${value}u`;
  if (type === 'i32') return signed(value);
  if (Number.isNaN(value)) return '__uint_as_float(0x7fc00000u)';
  if (!Number.isFinite(value)) return `__uint_as_float(0x${value < 0 ? 'ff' : '7f'}800000u)`;
  const text = Object.is(value, -0) ? '-0.0f' : `${floatDigits(value)}f`;
  return text.startsWith('-') ? `(${text})` : text;
}

const floatFunctions: Readonly<Record<string, string>> = {
  abs: 'fabsf',
  sign: 'tutti_sign',
  floor: 'floorf',
  ceil: 'ceilf',
  trunc: 'truncf',
  round: 'rintf',
  sqrt: 'sqrtf',
  rsqrt: 'rsqrtf',
  exp: 'expf',
  log: 'logf',
  log1p: 'log1pf',
  expm1: 'expm1f',
  sin: 'sinf',
  cos: 'cosf',
  tanh: 'tanhf',
  erf: 'erff',
  rem: 'fmodf',
  max: 'tutti_max',
  min: 'tutti_min',
};

/** The bits of an int as an unsigned. What was unsigned before is so without conversion. */
function asUnsigned(text: string): string {
  if (/^\d+$/.test(text)) return `${text}u`;
  const inner = text.slice('(int)'.length);
  return text.startsWith('(int)') && bare(inner) !== inner ? inner : `(unsigned)${text}`;
}

export function aluText(e: AluExpression, args: readonly string[], analysis: IndexAnalysis): string {
  const from = e.args.at(-1)!.type;
  const [a, b, c] = args as [string, string, string];
  if (e.alu === 'where') return `(${a} ? ${b} : ${c})`;
  if (e.alu === 'cast') return castText(from, e.type, a);
  if (e.alu === 'bitcast') return bitcastText(from, e.type, a);
  if (from === 'f32') return floatText(e, a, b) ?? missing(e, from);
  return (from === 'bool' ? boolText(e, a, b) : integerText(e, a, b, from, analysis)) ?? missing(e, from);
}

function missing(e: AluExpression, from: ScalarType): never {
  throw new InternalError(`no CUDA C++ for ${e.alu} of ${from}`, { received: e });
}

function floatText(e: AluExpression, a: string, b: string): string | undefined {
  const { alu } = e;
  const call = floatFunctions[alu];
  if (call) return `${call}(${b === undefined ? a : `${a}, ${b}`})`;
  if (alu === 'neg') return `(-${a})`;
  if (alu === 'pow') return smallPower(e.args[1]!, a) ?? `powf(${a}, ${b})`;
  if (alu === 'roundF16') return `tutti_f16_to_f32(tutti_f32_to_f16(${a}))`;
  if (alu === 'roundBF16') return `tutti_bf16_to_f32(tutti_f32_to_bf16(${a}))`;
  const sign = infix[alu];
  return sign && `(${a} ${sign} ${b})`;
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
      return type === 'u32' ? `(0u - ${a})` : `(int)(0u - (unsigned)${a})`;
    case 'not':
      return `(~${a})`;
    case 'abs':
      return type === 'u32' ? a : `tutti_abs(${a})`;
    case 'sign':
      return `tutti_sign(${a})`;
    case 'max':
    case 'min':
      return `tutti_${e.alu}(${a}, ${b})`;
    case 'shl':
    case 'shr':
      return shiftText(e, a, b);
    case 'idiv':
    case 'rem':
      return divisionText(e, e.alu, a, b, type, analysis);
    default: {
      const sign = infix[e.alu];
      if (!sign) return undefined;
      const wraps = e.type === 'i32' && /^(add|sub|mul)$/.test(e.alu) && !analysis.isBounded(e);
      return wraps ? `(int)(${asUnsigned(a)} ${sign} ${asUnsigned(b)})` : `(${a} ${sign} ${b})`;
    }
  }
}

function shiftText(e: AluExpression, a: string, b: string): string {
  const amount = e.args[1]!;
  const by = amount.op === 'const' ? `${amount.value & 31}` : `(${b} & 31)`;
  if (e.alu === 'shr') return `(${a} >> ${by})`;
  return e.type === 'i32' ? `(int)(${asUnsigned(a)} << ${by})` : `(${a} << ${by})`;
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
  const sign = alu === 'idiv' ? '/' : '%';
  if (divisor.op !== 'const') return `${alu === 'idiv' ? 'tutti_divide' : 'tutti_remainder'}(${a}, ${b})`;
  const d = divisor.value;
  if (d === 0) return literal(type, 0);
  if (d === -1 && type === 'i32') return alu === 'idiv' ? `(int)(0u - (unsigned)${a})` : '0';
  if (d === 1) return alu === 'idiv' ? a : literal(type, 0);
  const unsigned = type === 'u32' || (analysis.isNonNegative(dividend) && d > 0);
  if (!unsigned) return `(${a} ${sign} ${b})`;
  const shift = powerOfTwoShift(d);
  if (shift !== undefined) return alu === 'idiv' ? `(${a} >> ${shift})` : `(${a} & ${literal(type, d - 1)})`;
  return type === 'u32' ? `(${a} ${sign} ${d}u)` : `(int)(${asUnsigned(a)} ${sign} ${d}u)`;
}

function castText(from: ScalarType, to: ScalarType, a: string): string {
  if (from === to) return a;
  if (to === 'bool') return `(${a} != ${literal(from, 0)})`;
  // These saturate, and take NaN to 0.
  if (from === 'f32') return `${to === 'i32' ? '__float2int_rz' : '__float2uint_rz'}(${a})`;
  if (from === 'bool') return `(${a} ? ${literal(to, 1)} : ${literal(to, 0)})`;
  return to === 'f32' ? `(float)${a}` : to === 'i32' ? `(int)${a}` : asUnsigned(a);
}

function bitcastText(from: ScalarType, to: ScalarType, a: string): string {
  if (from === to) return a;
  if (from === 'f32') return `${to === 'i32' ? '__float_as_int' : '__float_as_uint'}(${a})`;
  if (to === 'f32') return `${from === 'i32' ? '__int_as_float' : '__uint_as_float'}(${a})`;
  return to === 'i32' ? `(int)${a}` : asUnsigned(a);
}
