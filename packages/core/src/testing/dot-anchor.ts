/** Matrix products for tests of routines, and what they must give. */
import {
  type BufferParam,
  type DotAnchor,
  type DType,
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Kernel,
  product,
  type ScalarType,
} from '../backend/index.ts';
import {
  type BufferContents,
  bufferContents,
  interpretKernel,
  readElement,
  writeElement,
} from './interpret.ts';

export type DotLayout = 'rows' | 'columns' | 'strided' | 'padded' | 'same row' | 'same column';
export const dotLayouts: readonly DotLayout[] = [
  'rows',
  'columns',
  'strided',
  'padded',
  'same row',
  'same column',
];

export interface DotOptions {
  readonly batch?: readonly number[];
  readonly layouts?: readonly [lhs: DotLayout, rhs: DotLayout];
  /** The operand is the same for all of the batch. */
  readonly shared?: readonly [lhs: boolean, rhs: boolean];
  readonly dtypes?: readonly [lhs: DType, rhs: DType, out: DType];
  readonly type?: ScalarType;
  /**
   * Over dimensions that make up the result: `max(0, sum * scalar + bias[d]) + residual[flat]`, where d is one of them; cast to the
   * result's type.
   */
  readonly epilogue?: { readonly space: readonly number[]; readonly bias: number; readonly dtype?: DType };
}

function operand(
  rows: number,
  columns: number,
  layout: DotLayout,
  batch: readonly number[],
  shared: boolean,
): Omit<DotAnchor['lhs'], 'dtype'> & { readonly length: number } {
  const [row, column] = {
    rows: [columns, 1],
    columns: [1, rows],
    strided: [columns * 3 + 1, 3],
    padded: [Math.ceil(columns / 4) * 4 + 8, 1],
    'same row': [0, 1],
    'same column': [1, 0],
  }[layout] as [number, number];
  const offset = layout === 'strided' ? 5 : layout === 'padded' ? 8 : 0;
  let length = Math.max(1, (rows - 1) * row + (columns - 1) * column + 1);
  const strides = batch.map(() => 0);
  for (let d = batch.length - 1; d >= 0 && !shared; d--) {
    strides[d] = length;
    length *= batch[d]!;
  }
  return { length: length + offset, offset, batch: strides, row, column };
}

/** What `epilogue` asks for, in terms of `sum`; its loads are from buffer `first` on. */
function finished(
  b: ExpressionBuilder,
  space: readonly IndexVariable[],
  { bias, dtype = 'float32' }: NonNullable<DotOptions['epilogue']>,
  sum: Expression,
  first: number,
  out: ScalarType,
): Expression {
  let flat: Expression | undefined;
  for (const variable of space) {
    const index = b.index(variable);
    flat = flat ? b.alu('add', 'i32', b.alu('mul', 'i32', flat, b.int(variable.extent)), index) : index;
  }
  const float = sum.type === 'f32' ? sum : b.alu('cast', 'f32', sum);
  const scaled = b.alu('mul', 'f32', float, b.scalar('f32', 0));
  const own = b.load('f32', first, space[bias] ? b.index(space[bias]!) : b.int(0));
  const relu = b.alu('max', 'f32', b.alu('add', 'f32', scaled, own), b.const('f32', 0));
  const residual = b.load(dtypeInfo[dtype].scalar, first + 1, flat ?? b.int(0));
  const value = b.alu(
    'add',
    'f32',
    relu,
    residual.type === 'f32' ? residual : b.alu('cast', 'f32', residual),
  );
  return out === 'f32' ? value : b.alu('cast', out, value);
}

export function dotAnchor(m: number, n: number, k: number, options: DotOptions = {}): DotAnchor {
  const { batch = [], type = 'f32', epilogue } = options;
  const [layoutA, layoutB] = options.layouts ?? ['rows', 'rows'];
  const [sharedA, sharedB] = options.shared ?? [false, false];
  const wide = ({ f32: 'float32', i32: 'int32', u32: 'uint32', bool: 'bool' } as const)[type];
  const [dtypeA, dtypeB, dtypeOut] = options.dtypes ?? [wide, wide, wide];
  const { length: lengthA, ...lhs } = operand(m, k, layoutA, batch, sharedA);
  const { length: lengthB, ...rhs } = operand(k, n, layoutB, batch, sharedB);
  const elements = product(batch) * m * n;
  const buffers: BufferParam[] = [
    { dtype: dtypeA, length: lengthA, access: 'read' },
    { dtype: dtypeB, length: lengthB, access: 'read' },
    { dtype: dtypeOut, length: elements, access: 'write' },
  ];
  const anchor: DotAnchor = {
    kind: 'dot',
    name: 'dot',
    batch,
    m,
    n,
    k,
    lhs: { dtype: dtypeA, ...lhs },
    rhs: { dtype: dtypeB, ...rhs },
    type,
    buffers,
    scalars: epilogue ? ['f32'] : [],
  };
  if (!epilogue) return anchor;
  buffers.push({ dtype: 'float32', length: epilogue.space[epilogue.bias] ?? 1, access: 'read' });
  buffers.push({ dtype: epilogue.dtype ?? 'float32', length: elements, access: 'read' });
  const b = new ExpressionBuilder();
  const space = epilogue.space.map((extent, i) => ({ name: `d${i}`, extent }));
  const sum = b.accumulator(type, 0);
  const value = finished(b, space, epilogue, sum, 3, dtypeInfo[dtypeOut].scalar);
  return { ...anchor, epilogue: { space, value } };
}

/** Sums in f64; integers wrap. */
export function dotSums(anchor: DotAnchor, lhs: BufferContents, rhs: BufferContents): number[] {
  const { batch, m, n, k } = anchor;
  const sums: number[] = [];
  const widened = (side: DotAnchor['lhs'], contents: BufferContents): Float64Array =>
    Float64Array.from(contents, (_, i) => readElement(side.dtype, contents, i));
  const [a, b] = [widened(anchor.lhs, lhs), widened(anchor.rhs, rhs)];
  const [stepA, stepB] = [anchor.lhs.column, anchor.rhs.row];
  for (let matrix = 0; matrix < product(batch); matrix++) {
    let rest = matrix;
    let [atA, atB] = [anchor.lhs.offset, anchor.rhs.offset];
    for (let d = batch.length - 1; d >= 0; d--) {
      const i = rest % batch[d]!;
      rest = (rest - i) / batch[d]!;
      atA += i * anchor.lhs.batch[d]!;
      atB += i * anchor.rhs.batch[d]!;
    }
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        const [row, column] = [atA + i * anchor.lhs.row, atB + j * anchor.rhs.column];
        let sum = 0;
        if (anchor.type === 'f32')
          for (let t = 0; t < k; t++) sum += a[row + t * stepA]! * b[column + t * stepB]!;
        else
          for (let t = 0; t < k; t++)
            sum = (sum + Math.imul(a[row + t * stepA]!, b[column + t * stepB]!)) | 0;
        sums.push(anchor.type === 'u32' ? sum >>> 0 : sum);
      }
    }
  }
  return sums;
}

/** All of the anchor's buffers: `next` gives the elements of those that are read. */
export function dotBuffers(anchor: DotAnchor, next: () => number): BufferContents[] {
  return anchor.buffers.map(({ dtype, length, access }) => {
    const contents = bufferContents(dtype, length);
    for (let i = 0; i < length && access === 'read'; i++) writeElement(dtype, contents, i, next());
    return contents;
  });
}

/** The value of the anchor's scalar, if it has one. */
export const dotScalar: number = 0.5;

/** The result by the reference: sums, the epilogue by the interpreter, and the conversion to the result's dtype. */
export function dotReference(
  anchor: DotAnchor,
  buffers: readonly BufferContents[],
  { epilogue }: DotOptions,
): BufferContents {
  const sums = dotSums(anchor, buffers[0]!, buffers[1]!);
  const { dtype, length } = anchor.buffers[2]!;
  const want = bufferContents(dtype, length);
  if (!epilogue) {
    for (const [i, sum] of sums.entries()) writeElement(dtype, want, i, sum);
    return want;
  }
  const b = new ExpressionBuilder();
  const space = epilogue.space.map((extent, i) => ({ name: `d${i}`, extent }));
  let flat: Expression = b.int(0);
  for (const variable of space)
    flat = b.alu('add', 'i32', b.alu('mul', 'i32', flat, b.int(variable.extent)), b.index(variable));
  const wide = ({ f32: 'float32', i32: 'int32', u32: 'uint32', bool: 'bool' } as const)[anchor.type];
  const sum = b.load(anchor.type, 0, flat);
  const value = finished(b, space, epilogue, sum, 2, dtypeInfo[dtype].scalar);
  const kernel: Kernel = {
    kind: 'kernel',
    name: 'reference',
    buffers: [{ dtype: wide, length, access: 'read' }, ...anchor.buffers.slice(2)],
    scalars: ['f32'],
    space,
    phases: [
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [{ buffer: 1, index: flat, value, mode: 'set' }],
      },
    ],
  };
  const first = bufferContents(wide, length);
  for (const [i, each] of sums.entries()) first[i] = each;
  interpretKernel(kernel, [first, want, ...buffers.slice(3)], [dotScalar]);
  return want;
}
