/**
 * The gradient of the result for tensor cores: as it is where it has the operands' 16-bit dtype, and where it is float32, as gradients
 * of 16-bit values are, in parts that add up to it, in the workspace. Parts of bfloat16 have the range of float32; those of float16 are
 * of a row multiplied by a power of two that brings its largest element near to 2^15, and its unit undoes that.
 */
import { type AttentionGradientAnchor, type DotOperand, product, range, roundUp } from '@tutti/core/backend';
import { narrowed, widened } from '../kernels/memory.ts';
import type { KernelStage } from '../program.ts';
import { type GradientPart, knownCount, knownText } from './attention-gradient-text.ts';
import { partsOf } from './attention-mma.ts';
import { batchText, elementText } from './attention-text.ts';
import { Source } from './source.ts';
import { block, lines, unrolled } from './text.ts';

export interface GradientParts {
  readonly count: number;
  /** Whether queries have units. */
  readonly units: boolean;
  /** Bytes of the workspace, with what is known of queries. */
  readonly bytes: number;
  /** What makes the parts. */
  readonly stages: readonly KernelStage[];
  /** Where they lie, for a stage of their own. */
  readonly of: (source: Source) => readonly GradientPart[];
}

/** Elements of a row of a part: whole vectors. */
const rowOf = ({ valueWidth }: AttentionGradientAnchor): number => roundUp(valueWidth, 8);

/** Whether an int can count the elements of a part. */
export const hasParts = (anchor: AttentionGradientAnchor): boolean =>
  product(anchor.batch) * anchor.queries * rowOf(anchor) < 2 ** 31;

export function gradientParts(
  anchor: AttentionGradientAnchor,
  format: 'f16' | 'bf16',
  out: number,
): GradientParts {
  const dtype = dtypes[format];
  if (anchor.gradient.dtype === dtype) {
    const bytes = 4 * knownCount(anchor, false);
    return { count: 1, units: false, bytes, stages: [], of: () => [{ operand: anchor.gradient }] };
  }
  const { batch, queries } = anchor;
  const units = format === 'f16';
  const row = rowOf(anchor);
  const size = product(batch) * queries * row;
  const first = roundUp(knownCount(anchor, units), 4);
  const count = partsOf(format);
  const strides = batch.map((_, d) => product(batch.slice(d + 1)) * queries * row);
  const operand: DotOperand = { dtype, offset: 0, batch: strides, row, column: 1 };
  const pointer = (source: Source, part: string): string =>
    `((unsigned short*)(${source.workspace('float')} + ${first}) + ${part} * ${size}ll)`;
  return {
    count,
    units,
    bytes: first * 4 + count * size * 2,
    stages: [partsStage(anchor, format, row, out, pointer)],
    of: (source) => range(count).map((part) => ({ operand, pointer: pointer(source, `${part}`) })),
  };
}

const dtypes = { f16: 'float16', bf16: 'bfloat16' } as const;

/** Rows of a block: a warp has one. */
const rowsOfBlock = 8;

function partsStage(
  anchor: AttentionGradientAnchor,
  format: 'f16' | 'bf16',
  row: number,
  out: number,
  pointer: (source: Source, part: string) => string,
): KernelStage {
  const { batch, queries, valueWidth, gradient } = anchor;
  const source = new Source(anchor, out);
  const rows = product(batch) * queries;
  const element = elementText(source, 3, gradient, 'query', 'column');
  const grown = format === 'f16' ? `${element} * grow` : element;
  const body = lines(
    'const int lane = thread % 32;',
    `const int number = (int)blockIdx.x * ${rowsOfBlock} + thread / 32;`,
    `if (number >= ${rows}) return;`,
    `const int entry = number / ${queries}, query = number % ${queries};`,
    batchText(batch),
    format === 'f16' && unitText(anchor, source, element),
    overColumns(
      row,
      `float rest = column < ${valueWidth} ? ${grown} : 0.0f;`,
      unrolled(
        'part',
        partsOf(format),
        `const unsigned short bits = ${narrowed(dtypes[format], 'rest')};`,
        `${pointer(source, 'part')}[(Index)number * ${row} + column] = bits;`,
        `rest -= ${widened(dtypes[format], 'bits')};`,
      ),
    ),
  );
  return source.stage({
    comment: 'Parts of the gradient of the result: a warp has one row.',
    body,
    blocks: Math.ceil(rows / rowsOfBlock),
    threads: 32 * rowsOfBlock,
  });
}

const overColumns = (end: number, ...body: readonly string[]): string =>
  block(`for (int column = lane; column < ${end}; column += 32)`, ...body);

/** Names what the row's elements are multiplied by, and stores the unit. */
const unitText = (anchor: AttentionGradientAnchor, source: Source, element: string): string =>
  lines(
    'float largest = 0.0f;',
    overColumns(anchor.valueWidth, finiteLargest(element)),
    unrolled('hop', 5, 'largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 16 >> hop));'),
    exponentText('exponent', 'largest'),
    `const float grow = ${growText('exponent')};`,
    block('if (lane == 0)', `${knownText({ anchor, source }, 'unit', 'query')} = ${unitOf('exponent')};`),
  );

/** Brings the magnitude of a number into `largest`, if it has one. */
export const finiteLargest = (value: string): string =>
  lines(
    `const float magnitude = fabsf(${value});`,
    'if (magnitude < __uint_as_float(0x7f800000u)) largest = fmaxf(largest, magnitude);',
  );

/** 2^-112, as bits. */
export const leastReach = '0x07800000u';

/** Names the bits of the power of two below a magnitude, not so small that its inverse is out of range. */
export const exponentText = (name: string, magnitude: string): string =>
  lines(
    `unsigned ${name} = __float_as_uint(${magnitude}) & 0x7f800000u;`,
    `if (${name} < ${leastReach}) ${name} = ${leastReach};`,
  );

/** What brings magnitudes of this exponent near to 2^15, and what undoes that. */
export const growText = (exponent: string): string => `__uint_as_float(0x86000000u - ${exponent})`;
export const unitOf = (exponent: string): string => `__uint_as_float(${exponent} - 0x07000000u)`;
