/** Kernels of several phases: reductions whose results are mapped over the same row, and scatters. */
import {
  type Accumulator,
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Kernel,
  type Phase,
  type ReduceOp,
  type ScalarType,
  type Store,
} from '../../backend/index.ts';
import { type BufferContents, interpretKernel } from '../interpret.ts';
import { generator } from '../random-kernel.ts';
import { type KernelCase, kernelCase, variable, wideDType } from './case.ts';

const map = (loops: readonly IndexVariable[], ...stores: readonly Store[]): Phase => ({
  kind: 'map',
  loops,
  order: 'parallel',
  stores,
});

const add = (b: ExpressionBuilder, x: Expression, y: Expression): Expression => b.alu('add', 'i32', x, y);

/** The row-major position of `column` in row `row`. */
const at = (b: ExpressionBuilder, row: Expression, columns: number, column: Expression): Expression =>
  add(b, b.alu('mul', 'i32', row, b.int(columns)), column);

const sizes = [
  [1, 5000],
  [1, 3],
  [3, 1000],
  [5, 64],
  [70, 129],
  [300, 20],
  [1500, 7],
] as const;

/** All reductions of a matrix at once, along its rows or its columns, then a map over what was reduced. */
export const rowCases = (): KernelCase[] =>
  sizes.flatMap(([points, length]) =>
    (['rows', 'columns'] as const).flatMap((along) =>
      (['f32', 'i32', 'u32', 'bool'] as const).map((type) =>
        kernelCase(
          `all reductions of ${type}, ${points} of ${length} along ${along}`,
          reductions(points, length, along, type),
          { needs: ['rowPrograms', 'multipleOutputs'] },
        ),
      ),
    ),
  );

function reductions(points: number, length: number, along: 'rows' | 'columns', type: ScalarType): Kernel {
  const b = new ExpressionBuilder();
  const [i, k, again] = [variable('i', points), variable('k', length), variable('k', length)];
  const place = (loop: IndexVariable): Expression =>
    along === 'rows' ? at(b, b.index(i), length, b.index(loop)) : at(b, b.index(loop), points, b.index(i));
  const value = b.load(type, 0, place(k));
  const ops: readonly ReduceOp[] =
    type === 'bool' ? ['max', 'min', 'argMax', 'argMin'] : ['sum', 'max', 'min', 'argMax', 'argMin'];
  const accumulators = ops.map(
    (op, id): Accumulator => ({
      id,
      op,
      type,
      value,
      ...(op.startsWith('arg') ? { position: b.index(k) } : {}),
    }),
  );
  const first = b.accumulator(type, 0);
  const [greatest, smallest] = (['argMax', 'argMin'] as const).map((op) =>
    b.accumulator('i32', ops.indexOf(op)),
  ) as [Expression, Expression];
  const element = b.load(type, 0, place(again));
  const combined =
    type === 'bool' ? b.alu('xor', 'bool', element, first) : b.alu('sub', type, first, element);
  const flag = b.alu('cast', 'u32', b.alu('cast', 'bool', smallest));
  return {
    kind: 'kernel',
    name: 'reductions',
    buffers: [
      { dtype: wideDType[type], length: points * length, access: 'read' },
      { dtype: wideDType[type], length: points * length, access: 'write' },
      { dtype: 'int32', length: points, access: 'write' },
      { dtype: 'uint8', length: points, access: 'write' },
    ],
    scalars: [],
    space: [i],
    phases: [
      { kind: 'reduce', loops: [k], accumulators },
      map([again], { buffer: 1, index: place(again), value: combined, mode: 'set' }),
      map(
        [],
        { buffer: 2, index: b.index(i), value: b.alu('sub', 'i32', smallest, greatest), mode: 'set' },
        { buffer: 3, index: b.index(i), value: flag, mode: 'set' },
      ),
    ],
  };
}

/** `exp(x - max) / sum` over rows; the sum is of so few terms that each element is within 6e-7 of its value. */
export const softmaxCases = (): KernelCase[] =>
  [1, 3, 4, 10, 64, 131].map((width) => {
    const [name, rows] = [`softmax of rows of ${width}`, 9];
    const kernel = softmaxKernel(rows, width);
    const contents = (): BufferContents[] => {
      const random = generator(5 + width);
      const x = Float32Array.from({ length: rows * width }, () => (random() - 0.5) * 20);
      return [x, new Float32Array(rows * width)];
    };
    const check = ([, got]: readonly BufferContents[]): string | undefined => {
      const want = contents();
      interpretKernel(kernel, want);
      for (const [i, value] of want[1]!.entries()) {
        if (!(Math.abs(got![i]! - value) <= 6e-7 * value))
          return `${name}: element ${i} is ${got![i]}, not ${value}`;
      }
      return undefined;
    };
    return { ...kernelCase(name, kernel, { contents, needs: ['rowPrograms'] }), check };
  });

export function softmaxKernel(rows: number, width: number): Kernel {
  const b = new ExpressionBuilder();
  const i = variable('i', rows);
  const [k, l, m] = ['k', 'l', 'm'].map((name) => variable(name, width)) as [
    IndexVariable,
    IndexVariable,
    IndexVariable,
  ];
  const place = (loop: IndexVariable): Expression => at(b, b.index(i), width, b.index(loop));
  const power = (loop: IndexVariable): Expression =>
    b.alu('exp', 'f32', b.alu('sub', 'f32', b.load('f32', 0, place(loop)), b.accumulator('f32', 0)));
  const value = b.alu('div', 'f32', power(m), b.accumulator('f32', 1));
  return {
    kind: 'kernel',
    name: 'softmax',
    buffers: [
      { dtype: 'float32', length: rows * width, access: 'read' },
      { dtype: 'float32', length: rows * width, access: 'write' },
    ],
    scalars: [],
    space: [i],
    phases: [
      {
        kind: 'reduce',
        loops: [k],
        accumulators: [{ id: 0, op: 'max', type: 'f32', value: b.load('f32', 0, place(k)) }],
      },
      { kind: 'reduce', loops: [l], accumulators: [{ id: 1, op: 'sum', type: 'f32', value: power(l) }] },
      map([m], { buffer: 1, index: place(m), value, mode: 'set' }),
    ],
  };
}

/** A base in any order, then updates in order at rows that are data. */
export const scatterCases = (): KernelCase[] =>
  (['float32', 'float16', 'uint8', 'bool'] as const).map((dtype) => {
    const b = new ExpressionBuilder();
    const { scalar } = dtypeInfo[dtype];
    const [i, v, k] = [variable('i', 9), variable('v', 50), variable('k', 40)];
    const place = (row: Expression): Expression => at(b, row, 9, b.index(i));
    const target = b.load('i32', 1, b.index(k));
    const update: Store = {
      buffer: 0,
      index: place(target),
      value: b.load(scalar, 2, place(b.index(k))),
      mode: dtype === 'bool' ? 'max' : 'add',
      guard: b.alu('lt', 'bool', target, b.int(12)),
    };
    const base: Store = { buffer: 0, index: place(b.index(v)), value: b.const(scalar, 1), mode: 'set' };
    const kernel: Kernel = {
      kind: 'kernel',
      name: 'scatter',
      buffers: [
        { dtype, length: 450, access: 'readWrite' },
        { dtype: 'int32', length: 40, access: 'read' },
        { dtype, length: 360, access: 'read' },
      ],
      scalars: [],
      space: [i],
      phases: [map([v], base), { kind: 'map', loops: [k], order: 'sequential', stores: [update] }],
    };
    return kernelCase(`a scatter into ${dtype}`, kernel, { needs: ['rowPrograms', 'scatterStores'] });
  });
