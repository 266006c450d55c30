/** Operands of attention and of its gradient, and the weights that they make. */
import {
  type AttentionOperands,
  type BufferParam,
  type DotOperand,
  type DType,
  type Epilogue,
  ExpressionBuilder,
  product,
} from '../../backend/index.ts';
import { type BufferContents, readElement } from '../interpret.ts';

export interface AttentionOptions {
  readonly batch?: readonly number[];
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
  readonly valueWidth: number;
  readonly causal?: boolean;
  /** Of bool: every third key is hidden, and from the fourth query on every fifth query sees none. */
  readonly mask?: 'bool' | 'float32';
  /** The dtype of the operands. */
  readonly dtype?: DType;
  /** The dtype of the result. */
  readonly out?: DType;
  /** Heads beside each other in a row, as a layer's projection leaves them. */
  readonly interleaved?: boolean;
  /** Rows and columns change places in memory, behind some other elements. */
  readonly transposed?: boolean;
  /** The last element of the values is Inf, and one of the third query is NaN. */
  readonly infinite?: boolean;
  /** `result * scalar + an element's own number`. */
  readonly epilogue?: boolean;
}

/** Numbers with few digits, which every dtype holds. */
export const numberAt = (i: number): number => (((i * 2654435761) >>> 16) % 65) / 16 - 2;
/** The value of the anchor's scalar. */
export const factor = 0.5;
/** Elements before a transposed operand. */
const before = 3;

/** How far a value of a dtype may be off when it was rounded to it, in parts of itself. */
export const rounding: Readonly<Partial<Record<DType, number>>> = { float16: 2 ** -10, bfloat16: 2 ** -7 };

/** Places the operand's elements, and says how many there are. */
export function placed(
  { batch = [], interleaved, transposed }: AttentionOptions,
  dtype: DType,
  rows: number,
  columns: number,
): { readonly operand: DotOperand; readonly length: number } {
  const heads = interleaved ? batch.at(-1)! : 1;
  const strides: number[] = [];
  let stride = rows * columns * heads;
  for (let d = batch.length - 1; d >= 0; d--) {
    const inRow = interleaved && d === batch.length - 1;
    strides[d] = inRow ? columns : stride;
    if (!inRow) stride *= batch[d]!;
  }
  const offset = transposed ? before : 0;
  const [row, column] = transposed ? [1, rows] : [columns * heads, 1];
  return {
    operand: { dtype, offset, batch: strides, row, column },
    length: product(batch) * rows * columns + offset,
  };
}

/** The operands that both have, with the buffers that they lie in. */
export function placedOperands(options: AttentionOptions): {
  readonly operands: AttentionOperands;
  readonly buffers: {
    readonly query: BufferParam;
    readonly key: BufferParam;
    readonly value: BufferParam;
    readonly mask?: BufferParam;
  };
} {
  const { batch = [], queries, keys, width, valueWidth, causal = false, mask, dtype = 'float32' } = options;
  const query = placed(options, dtype, queries, width);
  const key = placed(options, dtype, keys, width);
  const value = placed(options, dtype, keys, valueWidth);
  const seen = mask && placed(options, mask, queries, keys);
  return {
    operands: {
      ...{ batch, queries, keys, width, valueWidth, scale: 1 / Math.sqrt(width), causal },
      ...{ query: query.operand, key: key.operand, value: value.operand },
      ...(seen ? { mask: seen.operand } : {}),
    },
    buffers: {
      ...{ query: read(query), key: read(key), value: read(value) },
      ...(seen ? { mask: read(seen) } : {}),
    },
  };
}

/** The buffer of an operand. */
export const read = ({
  operand,
  length,
}: {
  readonly operand: DotOperand;
  readonly length: number;
}): BufferParam => ({ dtype: operand.dtype, length, access: 'read' });

export function epilogueOf(rows: number, columns: number, own: number): Epilogue {
  const b = new ExpressionBuilder();
  const space = [
    { name: 'row', extent: rows },
    { name: 'column', extent: columns },
  ];
  const [row, column] = space.map((variable) => b.index(variable)) as [
    ReturnType<typeof b.index>,
    ReturnType<typeof b.index>,
  ];
  const flat = b.alu('add', 'i32', b.alu('mul', 'i32', row, b.int(columns)), column);
  const scaled = b.alu('mul', 'f32', b.accumulator('f32', 0), b.scalar('f32', 0));
  return { space, value: b.alu('add', 'f32', scaled, b.load('f32', own, flat)) };
}

/** An element of an operand in a batch entry. */
export function elementOf(
  contents: BufferContents,
  batch: readonly number[],
  operand: DotOperand,
  entry: number,
  [row, column]: readonly [row: number, column: number],
): number {
  let [rest, index] = [entry, operand.offset + row * operand.row + column * operand.column];
  for (let d = batch.length - 1; d >= 0; d--) {
    index += (rest % batch[d]!) * operand.batch[d]!;
    rest = Math.floor(rest / batch[d]!);
  }
  return readElement(operand.dtype, contents, index);
}

/** The weights of a query, and the scores that they are made of, by the contract's formula. */
export function weightsOf(
  anchor: AttentionOperands,
  contents: readonly BufferContents[],
  maskSlot: number,
  entry: number,
  i: number,
): number[] {
  const { batch, keys, width, scale, causal, mask, query, key } = anchor;
  const scores = Array.from({ length: keys }, (_, j) => {
    const seen = mask ? elementOf(contents[maskSlot]!, batch, mask, entry, [i, j]) : 0;
    if ((causal && j > i) || (mask?.dtype === 'bool' && !seen)) return Number.NEGATIVE_INFINITY;
    let score = 0;
    for (let e = 0; e < width; e++)
      score +=
        elementOf(contents[0]!, batch, query, entry, [i, e]) *
        elementOf(contents[1]!, batch, key, entry, [j, e]);
    return score * scale + (mask?.dtype === 'float32' ? seen : 0);
  });
  const top = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}
