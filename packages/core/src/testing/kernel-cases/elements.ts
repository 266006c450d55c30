/** Kernels without loops: the ways in which points get and store their elements. */
import { type DType, dtypes, ExpressionBuilder } from '../../backend/index.ts';
import { KernelBuilder } from './builder.ts';
import { type KernelCase, kernelCase, mapKernel, variable } from './case.ts';

const lengths = [1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 33, 64, 100, 1021, 5000];

const volumes: readonly (readonly [number, number, number])[] = [
  [3, 5, 7],
  [2, 8, 4],
  [1, 33, 5],
  [4, 1, 12],
  [6, 4, 3],
];

/** Every dtype in order, at every length; where a guard is false, the element stays as it was. */
export const orderedCases = (): KernelCase[] =>
  dtypes.flatMap((dtype) => [
    ...lengths.map((n) => {
      const i = variable('i', n);
      const k = new KernelBuilder('in_order', [i], dtype);
      const x = k.input(dtype, n)(k.b.index(i));
      const value = dtype === 'bool' ? k.b.alu('not', 'bool', x) : k.b.alu('add', x.type, x, x);
      return kernelCase(`${dtype} in order, ${n}`, k.store(value));
    }),
    ...[1, 6, 21, 64].map((n) => {
      const i = variable('i', n);
      const k = new KernelBuilder('guarded', [i], dtype);
      const third = k.b.alu('eq', 'bool', k.b.alu('rem', 'i32', k.b.index(i), k.b.int(3)), k.b.int(1));
      return kernelCase(`${dtype} under a guard, ${n}`, k.store(k.input(dtype, n)(k.b.index(i)), third));
    }),
  ]);

/** Elements of every dtype, transposed, shifted, reversed, repeated and padded. */
export const movedCases = (): KernelCase[] =>
  dtypes.flatMap((dtype) => volumes.flatMap((volume) => movedOf(dtype, ...volume)));

function movedOf(dtype: DType, p: number, q: number, r: number): KernelCase[] {
  const [i, j, k] = [variable('i', p), variable('j', r), variable('k', q)];
  const all = p * q * r;
  const make = (name: string): KernelBuilder => new KernelBuilder(name, [i, j, k], dtype);
  const transposed = make('transposed');
  const shifted = make('shifted');
  const reversed = make('reversed');
  const row = make('row');
  const column = make('column');
  const padded = make('padded');
  const edge = padded.add(padded.b.index(k), -1);
  const inside = padded.inside(edge, q - 1);
  const at = padded.add(padded.mul(padded.at([i, j]), q), edge);
  const strided = make('strided');
  const from = reversed.b.alu('sub', 'i32', reversed.b.int(all - 1), reversed.at([i, j, k]));
  const kernels = [
    transposed.store(transposed.input(dtype, all)(transposed.at([i, k, j]))),
    shifted.store(shifted.input(dtype, all + 9)(shifted.add(shifted.at([i, j, k]), 6))),
    reversed.store(reversed.input(dtype, all)(from)),
    row.store(row.input(dtype, q)(row.b.index(k))),
    column.store(column.input(dtype, p * r)(column.at([i, j]))),
    padded.store(padded.input(dtype, all)(at, inside)),
    strided.store(strided.input(dtype, 2 * all)(strided.mul(strided.at([i, j, k]), 2))),
  ];
  return kernels.map((kernel) => kernelCase(`${dtype} ${kernel.name}, ${p} x ${q} x ${r}`, kernel));
}

/** Elements at places that are data. */
export const gatherCases = (): KernelCase[] =>
  dtypes.flatMap((dtype) =>
    [
      [5, 7],
      [8, 12],
    ].map(([rows, columns]) => {
      const [i, j] = [variable('i', rows!), variable('j', columns!)];
      const k = new KernelBuilder('taken', [i, j], dtype);
      const at = k.input('int32', rows!)(k.b.index(i));
      const place = k.add(k.mul(at, columns!), k.b.index(j));
      const value = k.input(dtype, 9 * columns!)(place, k.inside(at, 9));
      return kernelCase(`${dtype} at places that are data, ${rows} x ${columns}`, k.store(value));
    }),
  );

/** Many elements, each once: `2 x + 1`, as float32 and at once as float16. */
export const coverCases = (): KernelCase[] =>
  [1, 2, 5, 255, 256, 1000, 4096, 5000, 8191, 16384, 100_003].flatMap((n) =>
    [['float32'] as const, ['float32', 'float16'] as const].map((outputs) => {
      const b = new ExpressionBuilder();
      const i = variable('i', n);
      const x = b.load('f32', 0, b.index(i));
      const value = b.alu('add', 'f32', b.alu('mul', 'f32', x, b.const('f32', 2)), b.const('f32', 1));
      const kernel = mapKernel(
        'affine',
        [
          { dtype: 'float32', length: n, access: 'read' },
          ...outputs.map((dtype) => ({ dtype, length: n, access: 'write' as const })),
        ],
        [i],
        outputs.map((_, k) => ({ buffer: k + 1, index: b.index(i), value, mode: 'set' })),
      );
      return kernelCase(`${n} elements, each once, as ${outputs.join(' and ')}`, kernel, {
        needs: outputs.length > 1 ? ['multipleOutputs'] : [],
      });
    }),
  );

/** Bytes of larger matrices are read across and stored in order. */
export const byteTransposeCases = (): KernelCase[] =>
  [
    [3, 5, 7],
    [2, 64, 8],
    [1, 33, 50],
    [30, 4, 31],
  ].map(([p, q, r]) => {
    const [i, j, k] = [variable('i', p!), variable('j', r!), variable('k', q!)];
    const make = new KernelBuilder('transpose', [i, j, k], 'uint8');
    const kernel = make.store(make.input('uint8', p! * q! * r!)(make.at([i, k, j])));
    return kernelCase(`a transpose of ${p} x ${q} x ${r} through bytes`, kernel);
  });
