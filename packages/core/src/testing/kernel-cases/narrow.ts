/** Elements of 8 and 16 bits: their conversions, and stores of many points into the same words. */
import {
  type DType,
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Kernel,
} from '../../backend/index.ts';
import { sizeOf } from '../../backend/render/index.ts';
import { type BufferContents, bufferContents } from '../interpret.ts';
import { elementwiseKernel, filled, type KernelCase, type KernelNeed, kernelCase, variable } from './case.ts';

const halves = ['float16', 'bfloat16'] as const;

/** Every 131,101st float; a device may take denormal ones for zero. */
function someFloats(length: number): Float32Array {
  const bits = Uint32Array.from({ length }, (_, k) => Math.imul(k, 131_101) >>> 0);
  return new Float32Array(bits.buffer).map((x) => (Math.abs(x) < 2 ** -126 ? 0 : x));
}

/** Every half survives load and store, NaN stays NaN; floats round to the nearest half, whatever they are. */
export const halfCases = (): KernelCase[] =>
  halves.flatMap((dtype) => {
    const copy = (name: string, from: DType, contents: BufferContents): KernelCase =>
      kernelCase(
        name,
        elementwiseKernel('copy', contents.length, [from], dtype, (_, x) => x!),
        { zeros: 'signed', contents: () => [contents.slice(), bufferContents(dtype, contents.length)] },
      );
    return [
      copy(
        `every ${dtype} loaded and stored`,
        dtype,
        Uint16Array.from({ length: 65536 }, (_, k) => k),
      ),
      copy(`floats rounded to ${dtype}`, 'float32', someFloats(1 << 15)),
    ];
  });

const ways = {
  'in order': [],
  'in order, not to the end': ['scatterStores'],
  reversed: ['scatterStores'],
  transposed: ['scatterStores'],
  offset: ['scatterStores'],
  'per row': [],
  'per row, not to the end': ['scatterStores'],
  'of rows': ['rowPrograms'],
} as const satisfies Record<string, readonly KernelNeed[]>;
type Way = keyof typeof ways;

const storedDTypes = ['float16', 'bfloat16', 'uint8', 'bool'] as const;
const lengths = [1, 2, 3, 5, 31, 64, 1021];
const width = 5;

/** Ways in which many points store into the same words. */
export const narrowStoreCases = (): KernelCase[] =>
  storedDTypes.flatMap((dtype) =>
    (Object.keys(ways) as Way[]).flatMap((way) =>
      lengths.map((length) => {
        const kernel = storing(dtype, way, length);
        return kernelCase(`${dtype} stored ${way}, ${length}`, kernel, {
          needs: ways[way],
          contents: () =>
            kernel.buffers.map((param, k) =>
              filled(
                param.dtype,
                Array.from({ length: param.length }, (_, n) =>
                  k === 0 ? n % 7 : param.dtype === 'bool' ? n % 2 : 1 + (n % 3),
                ),
              ),
            ),
        });
      }),
    ),
  );

/** From a matrix of int32 of `length` rows, in the way's own order. */
function storing(dtype: DType, way: Way, length: number): Kernel {
  const b = new ExpressionBuilder();
  const { scalar } = dtypeInfo[dtype];
  const [i, k] = [variable('i', length), variable('k', width)];
  const [row, column] = [b.index(i), b.index(k)];
  const at = (outer: Expression, inner: Expression, extent: number): Expression =>
    b.alu('add', 'i32', b.alu('mul', 'i32', outer, b.int(extent)), inner);
  const value = (index: Expression): Expression => b.alu('cast', scalar, b.load('i32', 0, index));
  const kernel = (
    index: Expression,
    stored: Expression,
    space: readonly IndexVariable[],
    loops: readonly IndexVariable[] = [],
    before: Kernel['phases'] = [],
  ): Kernel => ({
    kind: 'kernel',
    name: way,
    buffers: [
      { dtype: 'int32', length: length * width, access: 'read' },
      { dtype, length: sizeOf([...space, ...loops]) + more, access: 'write' },
    ],
    scalars: [],
    space,
    phases: [
      ...before,
      { kind: 'map', loops, order: 'parallel', stores: [{ buffer: 1, index, value: stored, mode: 'set' }] },
    ],
  });
  // What is not stored stays as it was.
  const more = ['in order', 'transposed', 'per row', 'of rows'].includes(way) ? 0 : 6;
  const sum = b.accumulator('i32', 0);
  const reduce: Kernel['phases'][number] = {
    kind: 'reduce',
    loops: [k],
    accumulators: [{ id: 0, op: 'sum', type: 'i32', value: b.load('i32', 0, at(row, column, width)) }],
  };
  const small = (x: Expression): Expression => b.alu('cast', scalar, b.alu('and', 'i32', x, b.int(15)));
  switch (way) {
    case 'in order':
    case 'in order, not to the end':
      return kernel(row, value(row), [i]);
    case 'reversed':
      return kernel(b.alu('sub', 'i32', b.int(length - 1), row), value(row), [i]);
    case 'transposed':
      return kernel(at(column, row, length), value(at(row, column, width)), [i, k]);
    case 'offset':
      return kernel(b.alu('add', 'i32', row, b.int(3)), value(row), [i]);
    case 'per row':
    case 'per row, not to the end':
      return kernel(row, small(sum), [i], [], [reduce]);
    case 'of rows': {
      const inner = variable('k', width);
      const index = at(row, b.index(inner), width);
      return kernel(index, small(b.alu('add', 'i32', sum, b.load('i32', 0, index))), [i], [inner], [reduce]);
    }
  }
}
