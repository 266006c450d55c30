/** Kernels that reduce: every operation of every dtype, along rows and columns, and over several loops. */
import {
  type DType,
  dtypeInfo,
  dtypes,
  type Kernel,
  type ReduceOp,
  type ScalarType,
} from '../../backend/index.ts';
import { sizeOf } from '../../backend/render/index.ts';
import { bufferContents } from '../interpret.ts';
import { KernelBuilder } from './builder.ts';
import { type KernelCase, kernelCase, variable, wideDType } from './case.ts';

const ops = (type: ScalarType): readonly ReduceOp[] =>
  type === 'bool' ? ['max', 'min', 'argMax', 'argMin'] : ['sum', 'prod', 'max', 'min', 'argMax', 'argMin'];

const ways = ['rows', 'columns'] as const;

/** One reduction of a matrix; `prod` of what is 1 or 2 now and then. */
function reduction(
  op: ReduceOp,
  dtype: DType,
  points: number,
  length: number,
  along: (typeof ways)[number],
): Kernel {
  const { scalar } = dtypeInfo[dtype];
  const [i, k] = [variable('i', points), variable('k', length)];
  const argument = op === 'argMax' || op === 'argMin';
  const make = new KernelBuilder(op, [i], argument ? 'int32' : wideDType[scalar]);
  const at = along === 'rows' ? make.at([i, k]) : make.at([k, i]);
  let value = make.input(dtype, points * length)(at);
  if (op === 'prod' && scalar !== 'bool') {
    const rare = make.b.alu('le', 'bool', make.b.const(scalar, 14), value);
    value = make.b.alu('where', scalar, rare, make.b.const(scalar, 2), make.b.const(scalar, 1));
  }
  return make.store(make.over(k).accumulate(op, value, argument ? make.b.index(k) : undefined));
}

const reductionsOf = (
  dtype: DType,
  sizes: readonly (readonly [points: number, length: number])[],
): KernelCase[] =>
  ops(dtypeInfo[dtype].scalar).flatMap((op) =>
    sizes.flatMap(([points, length]) =>
      ways.map((along) =>
        kernelCase(
          `${op} of ${dtype}, ${points} of ${length} along ${along}`,
          reduction(op, dtype, points, length, along),
        ),
      ),
    ),
  );

const sizes = [
  [1, 1],
  [1, 3],
  [1, 700],
  [3, 50],
  [4, 64],
  [5, 13],
  [18, 7],
  [64, 30],
] as const;

/** Every reduction of every dtype. */
export const reductionCases = (): KernelCase[] => dtypes.flatMap((dtype) => reductionsOf(dtype, sizes));

/** Loops so long, over so few points, that a device does well to go through them in parts. */
export const longReductionCases = (): KernelCase[] =>
  (['float32', 'float16', 'bool'] as const).flatMap((dtype) => {
    const [p, q, r] = [variable('p', 6), variable('q', 40), variable('r', 128)];
    const several = [[4], [3], [3, 5], [2, 8]].map((extents) => {
      const space = extents.map((extent, n) => variable(`i${n}`, extent));
      const make = new KernelBuilder('loops', space, dtype);
      const all = make.input(dtype, sizeOf([p, q, r, ...space]))(make.at([p, q, ...space, r]));
      const kernel = make.store(make.over(p, q, r).accumulate('max', all));
      return kernelCase(`max of ${dtype} over three loops, ${extents.join(' x ')}`, kernel);
    });
    const few = [
      [1, 8192],
      [3, 8192],
      [8, 4096],
      [64, 512],
    ] as const;
    return [...several, ...reductionsOf(dtype, few)];
  });

/** NaN wins, else the first of equals; infinities are values like others. */
export const firstExtremeCases = (): KernelCase[] => {
  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
  const rows = [
    [1, 5, 5, 2, 0, 0, 1, 3, 5, 1, -1],
    [1, 5, nan, 2, 0, 0, nan, 3, 5, 1, -1],
    Array.from({ length: 11 }, () => -inf),
    [inf, inf, inf, inf, inf, inf, inf, inf, inf, inf, nan],
    [4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -5],
  ];
  return (['max', 'min', 'argMax', 'argMin'] as const).flatMap((op) =>
    ways.map((along) => {
      const [points, length] = along === 'rows' ? [5, 11] : [11, 5];
      const kernel = reduction(op, 'float32', points, length, along);
      return kernelCase(`${op} of NaN and of equals along ${along}`, kernel, {
        contents: () => [bufferContents(kernel.buffers[0]!.dtype, points), Float32Array.from(rows.flat())],
      });
    }),
  );
};

/**
 * Sums of so many equal terms that to add them one by one in float32 would lose digits.
 *
 * @param within How far a sum may be off, in parts of its value.
 */
export const longSumCases = (within = 1e-5): KernelCase[] =>
  (
    [
      [1, 1 << 16],
      [4, 1 << 15],
      [4, 1 << 16],
      [3, 70_001],
    ] as const
  ).flatMap(([points, length]) =>
    ways.map((along) => {
      const kernel = reduction('sum', 'float32', points, length, along);
      const name = `${points} long sums of ${length} along ${along}`;
      const exact = Math.fround(0.1) * length;
      return {
        ...kernelCase(name, kernel),
        contents: () => [new Float32Array(points), new Float32Array(points * length).fill(0.1)],
        check: ([sums]) => {
          const wrong = [...sums!].find((sum) => !(Math.abs(sum - exact) / exact < within));
          return wrong === undefined ? undefined : `${name}: ${wrong}, not ${exact}`;
        },
      };
    }),
  );

/** Windows with padding, products of matrices, totals, and several accumulators of one loop. */
export const loopCases = (): KernelCase[] =>
  [window(), several(), ...products(), total(), channels()].map((kernel) => kernelCase(kernel.name, kernel));

function window(): Kernel {
  const [n, c, h, w] = [variable('n', 2), variable('c', 3), variable('h', 6), variable('w', 8)];
  const [p, q] = [variable('p', 3), variable('q', 3)];
  const make = new KernelBuilder('window', [n, c, h, w], 'float32');
  const y = make.add(make.add(make.b.index(h), make.b.index(p)), -1);
  const x = make.add(make.add(make.b.index(w), make.b.index(q)), -1);
  const both = make.b.alu('and', 'bool', make.inside(y, 6), make.inside(x, 8));
  const at = make.add(make.mul(make.add(make.mul(make.at([n, c]), 6), y), 8), x);
  const seen = make.input('float32', 2 * 3 * 6 * 8)(at, both);
  const weight = make.input('float32', 3 * 9)(make.at([c, p, q]));
  return make.store(make.over(p, q).accumulate('sum', make.b.alu('mul', 'f32', seen, weight)));
}

/** `x[i, argMax(x[i])] - sum(x[i])` */
function several(): Kernel {
  const [i, k] = [variable('i', 12), variable('k', 40)];
  const make = new KernelBuilder('several_accumulators', [i], 'float32');
  const value = make.input('float32', 480)(make.at([i, k]));
  const sum = make.over(k).accumulate('sum', value);
  const best = make.accumulate('argMax', value, make.b.index(k));
  const place = make.add(make.mul(make.b.index(i), 40), best);
  return make.store(make.b.alu('sub', 'f32', make.input('float32', 480)(place), sum));
}

const products = (): Kernel[] =>
  [false, true].map((transposed) => {
    const [row, column, inner] = [variable('row', 5), variable('column', 8), variable('k', 12)];
    const name = transposed ? 'product_of_transposed' : 'product';
    const make = new KernelBuilder(name, [row, column], 'float32');
    const [left, right] = [make.input('float32', 60), make.input('float32', 96)];
    const a = left(make.at([row, inner]));
    const b = right(make.at(transposed ? [column, inner] : [inner, column]));
    return make.store(make.over(inner).accumulate('sum', make.b.alu('mul', 'f32', a, b)));
  });

function total(): Kernel {
  const all = [variable('a', 3), variable('b', 5), variable('c', 7)];
  const make = new KernelBuilder('total', [], 'float32');
  return make.store(make.over(...all).accumulate('sum', make.input('float32', 105)(make.at(all))));
}

/** Sums over all but the second axis. */
function channels(): Kernel {
  const [i, c, h, w] = [variable('i', 3), variable('c', 7), variable('h', 9), variable('w', 11)];
  const make = new KernelBuilder('channels', [i], 'float32');
  const value = make.input('float32', sizeOf([c, i, h, w]))(make.at([c, i, h, w]));
  return make.store(make.over(c, h, w).accumulate('sum', value));
}
