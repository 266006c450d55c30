/** Every operation of the kernels on its special values: pairs of them, one with a constant, and one with itself. */
import type { AluOp, Kernel, ScalarType } from '../../backend/index.ts';
import { bufferContents } from '../interpret.ts';
import { elementwiseKernel, filled, type KernelCase, kernelCase, wideDType } from './case.ts';
import { shown } from './compare.ts';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** No denormals: a device may take them for zero. */
const values: Readonly<Record<ScalarType, readonly number[]>> = {
  f32: [
    ...[0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, 7, -7, 100],
    ...[0.49999997, 8388607.5, 8388609, -8388608.5, 16777217, 1e10, 1e-20, 88.73, -104],
    // Where halves end, and halfway between two of them.
    ...[65504, 65520, 65519.996, 6e-5, 5.9604645e-8, 2.9802322e-8, 8.940697e-8, -1e-7],
    // Where floats and integers end.
    ...[1.17549435e-38, 3.4028235e38, -3.4028235e38, 3.3895314e38],
    ...[2147483648, -2147483648, 2147483520],
    ...[4294967296, 4294967040, 4294967300, -4294967296],
    ...[inf, -inf, nan],
  ].map(Math.fround),
  i32: [
    0, 1, -1, 2, 3, -3, 7, -7, 31, 32, 33, 255, 65535, 65536, 1000000, 2147483647, -2147483648, -2147483647,
  ],
  u32: [
    0, 1, 2, 3, 7, 31, 32, 33, 255, 65535, 65536, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffe84, 0xfffffffe,
    0xffffffff,
  ],
  bool: [0, 1],
};

/** Constants are an operand of their own: some have forms of their own. */
const constants: Readonly<Record<ScalarType, readonly number[]>> = {
  f32: [0, -0, 1, -2, 49, 2 ** 30, inf, -inf, nan],
  i32: [0, 1, -1, 8, 7, -7, 33, -2147483648],
  u32: [0, 1, 8, 7, 33, 0xffffffff],
  bool: [0, 1],
};

const exactFloat = [
  ...(['neg', 'abs', 'sign', 'floor', 'ceil', 'trunc', 'round', 'sqrt'] as const),
  ...(['roundF16', 'roundBF16'] as const),
];
const arithmetic = ['add', 'sub', 'mul', 'max', 'min'] as const;
const comparisons = ['lt', 'le', 'eq', 'ne'] as const;
const bitwise = ['and', 'or', 'xor'] as const;
const integer = [...arithmetic, ...bitwise, 'idiv', 'rem', 'shl', 'shr'] as const;

interface Operation {
  readonly alu: AluOp;
  readonly from: ScalarType;
  readonly to: ScalarType;
  readonly operands: 1 | 2;
}

const operationsOf = (
  alus: readonly AluOp[],
  from: ScalarType,
  operands: 1 | 2,
  to: ScalarType = from,
): Operation[] => alus.map((alu) => ({ alu, from, to, operands }));

const types: readonly ScalarType[] = ['f32', 'i32', 'u32', 'bool'];

/** Whatever is exact; see math.ts for the others. */
const operations = (): readonly Operation[] => [
  ...operationsOf(exactFloat, 'f32', 1),
  ...operationsOf(['neg', 'abs', 'sign', 'not'], 'i32', 1),
  ...operationsOf(['neg', 'abs', 'sign', 'not'], 'u32', 1),
  ...operationsOf(['not'], 'bool', 1),
  ...operationsOf([...arithmetic, 'div', 'rem'], 'f32', 2),
  ...operationsOf(integer, 'i32', 2),
  ...operationsOf(integer, 'u32', 2),
  ...operationsOf([...bitwise, 'max', 'min'], 'bool', 2),
  ...types.flatMap((type) => operationsOf(comparisons, type, 2, 'bool')),
  ...types.flatMap((from) =>
    types.filter((to) => to !== from).flatMap((to) => operationsOf(['cast'], from, 1, to)),
  ),
  ...(['i32', 'u32'] as const).flatMap((type) => [
    ...operationsOf(['bitcast'], type, 1, 'f32'),
    ...operationsOf(['bitcast'], 'f32', 1, type),
  ]),
];

/** All pairs of values, the second operand from a buffer, as a constant, or the first once more. */
function caseOf({ alu, from, to, operands }: Operation, second?: number | 'itself'): KernelCase {
  const lefts = values[from];
  const rights = operands === 1 || second !== undefined ? [0] : values[from];
  const input = wideDType[from];
  const length = lefts.length * rights.length;
  const kernel: Kernel = elementwiseKernel(alu, length, [input, input], wideDType[to], (b, left, right) => {
    if (operands === 1) return b.alu(alu, to, left!);
    if (second === undefined) return b.alu(alu, to, left!, right!);
    return b.alu(alu, to, left!, second === 'itself' ? left! : b.const(from, second));
  });
  const other = second === undefined ? '' : ` with ${typeof second === 'number' ? shown(second) : second}`;
  const name = `${alu} of ${from}${to === from ? '' : ` to ${to}`}${other}`;
  return kernelCase(name, kernel, {
    zeros: alu === 'max' || alu === 'min' ? 'alike' : 'signed',
    contents: () => [
      filled(
        input,
        rights.flatMap(() => lefts),
      ),
      filled(
        input,
        rights.flatMap((right) => lefts.map(() => right)),
      ),
      bufferContents(wideDType[to], length),
    ],
  });
}

const ofTwo = (): readonly Operation[] => operations().filter(({ operands }) => operands === 2);

/** Operations on special values, in all pairs. */
export const aluCases = (): KernelCase[] => operations().map((each) => caseOf(each));

/** Operations of two operands, the second of which is a constant. */
export const aluConstantCases = (): KernelCase[] =>
  ofTwo().flatMap((each) => constants[each.from].map((constant) => caseOf(each, constant)));

/** Operations of a value with itself. */
export const aluItselfCases = (): KernelCase[] => ofTwo().map((each) => caseOf(each, 'itself'));
