/** Kernels of many shapes, in one page: every way in which lanes and copies get their elements. */
import {
  type DType,
  dtypeInfo,
  InternalError,
  type Kernel,
  type ReduceOp,
  type ScalarType,
  sizeOf,
} from '@tutti/core/backend';
import { interpretKernel } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import type { ShaderFeatures } from '../src/program.ts';
import { contentsOf, KernelBuilder, variable } from './support/build.ts';
import { difference } from './support/difference.ts';
import { pageFeatures, runPrograms } from './support/run.ts';

/** Each is planned for software or for hardware, by no rule that a test could follow. */
async function check(kernels: readonly Kernel[]): Promise<void> {
  const features = await pageFeatures();
  const cases = kernels.map((kernel, i) => ({
    program: compileKernel(kernel, { ...features, software: Math.imul(i, 0x9e3779b1) < 0 }),
    buffers: kernel.buffers,
    contents: contentsOf(kernel),
  }));
  const results = await runPrograms(cases);
  for (const [i, kernel] of kernels.entries()) {
    const want = contentsOf(kernel);
    interpretKernel(kernel, want);
    const wrong = difference(kernel, results[i]!, want);
    if (wrong) expect.fail(`${kernel.name}: ${wrong}\n${cases[i]!.program.source()}`);
  }
}

const dtypes = Object.keys(dtypeInfo) as DType[];
const lengths = [1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 33, 64, 100, 1021, 5000];

test('elements in order, of every dtype and length', () =>
  check(
    dtypes.flatMap((dtype) =>
      lengths.map((n) => {
        const i = variable('i', n);
        const k = new KernelBuilder(`${dtype}_${n}`, [i], dtype);
        const x = k.input(dtype, n)(k.b.index(i));
        return k.store(dtype === 'bool' ? k.b.alu('not', 'bool', x) : k.b.alu('add', x.type, x, x));
      }),
    ),
  ));

const small = [
  [3, 5, 7],
  [2, 8, 4],
  [1, 33, 5],
  [4, 1, 12],
  [6, 4, 3],
] as const;

test('transposed, shifted, reversed, repeated and padded, of every dtype', () =>
  check(
    dtypes.flatMap((dtype) =>
      small.flatMap(([p, q, r]) => {
        const [i, j, k] = [variable('i', p), variable('j', r), variable('k', q)];
        const all = p * q * r;
        const make = (name: string, space = [i, j, k]) =>
          new KernelBuilder(`${name}_${dtype}_${p}_${q}_${r}`, space, dtype);
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
        return [
          transposed.store(transposed.input(dtype, all)(transposed.at([i, k, j]))),
          shifted.store(shifted.input(dtype, all + 9)(shifted.add(shifted.at([i, j, k]), 6))),
          reversed.store(
            reversed.input(
              dtype,
              all,
            )(reversed.b.alu('sub', 'i32', reversed.b.int(all - 1), reversed.at([i, j, k]))),
          ),
          row.store(row.input(dtype, q)(row.b.index(k))),
          column.store(column.input(dtype, p * r)(column.at([i, j]))),
          padded.store(padded.input(dtype, all)(at, inside)),
          strided.store(strided.input(dtype, 2 * all)(strided.mul(strided.at([i, j, k]), 2))),
        ];
      }),
    ),
  ));

test('where a guard is false, the element stays as it was', () =>
  check(
    dtypes.flatMap((dtype) =>
      [1, 6, 21, 64].map((n) => {
        const i = variable('i', n);
        const k = new KernelBuilder(`guarded_${dtype}_${n}`, [i], dtype);
        const third = k.b.alu('eq', 'bool', k.b.alu('rem', 'i32', k.b.index(i), k.b.int(3)), k.b.int(1));
        return k.store(k.input(dtype, n)(k.b.index(i)), third);
      }),
    ),
  ));

test('elements at places that are data', () =>
  check(
    dtypes.flatMap((dtype) =>
      [
        [5, 7],
        [8, 12],
      ].map(([rows, columns]) => {
        const [i, j] = [variable('i', rows!), variable('j', columns!)];
        const k = new KernelBuilder(`taken_${dtype}_${columns}`, [i, j], dtype);
        const at = k.input('int32', rows!)(k.b.index(i));
        return k.store(
          k.input(dtype, 9 * columns!)(k.add(k.mul(at, columns!), k.b.index(j)), k.inside(at, 9)),
        );
      }),
    ),
  ));

const ops = (type: ScalarType): readonly ReduceOp[] =>
  type === 'bool' ? ['max', 'min', 'argMax', 'argMin'] : ['sum', 'prod', 'max', 'min', 'argMax', 'argMin'];

/** One reduction of a matrix; `prod` of what is 1 or 2 now and then. */
function reduction(
  op: ReduceOp,
  dtype: DType,
  points: number,
  length: number,
  along: 'rows' | 'columns',
): Kernel {
  const { scalar } = dtypeInfo[dtype];
  const [i, k] = [variable('i', points), variable('k', length)];
  const output = op.startsWith('arg')
    ? 'int32'
    : ({ f32: 'float32', i32: 'int32', u32: 'uint32', bool: 'bool' } as const)[scalar];
  const make = new KernelBuilder(`${op}_${dtype}_${along}_${points}_${length}`, [i], output);
  const at =
    along === 'rows'
      ? make.add(make.mul(make.b.index(i), length), make.b.index(k))
      : make.add(make.mul(make.b.index(k), points), make.b.index(i));
  let value = make.input(dtype, points * length)(at);
  if (op === 'prod' && scalar !== 'bool') {
    const rare = make.b.alu('le', 'bool', make.b.const(scalar, 14), value);
    value = make.b.alu('where', scalar, rare, make.b.const(scalar, 2), make.b.const(scalar, 1));
  }
  const position = op.startsWith('arg') ? make.b.index(k) : undefined;
  return make.store(make.over(k).accumulate(op, value, position));
}

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
test.each(dtypes)('every reduction of %s, along rows and columns', (dtype) =>
  check(
    ops(dtypeInfo[dtype].scalar).flatMap((op) =>
      sizes.flatMap(([points, length]) => [
        reduction(op, dtype, points, length, 'rows'),
        reduction(op, dtype, points, length, 'columns'),
      ]),
    ),
  ),
);

/** Of a kernel that is expected to be in parts. */
function parted(kernel: Kernel): Kernel {
  const features: ShaderFeatures = { maxInputs: 14, maxOutputs: 4, rowShift: 12, software: true };
  for (const software of [true, false])
    expect(compileKernel(kernel, { ...features, software }).stages, kernel.name).toHaveLength(2);
  return kernel;
}

test.each(['float32', 'float16', 'bool'] as const)(
  'long loops of %s are gone through in parts',
  (dtype) => {
    const [p, q, r] = [variable('p', 6), variable('q', 40), variable('r', 128)];
    const several = [[4], [3], [3, 5], [2, 8]].map((extents) => {
      const space = extents.map((extent, n) => variable(`i${n}`, extent));
      const make = new KernelBuilder(`loops_${dtype}_${extents.join('_')}`, space, dtype);
      const all = make.input(dtype, sizeOf([p, q, r, ...space]))(make.at([p, q, ...space, r]));
      return parted(make.store(make.over(p, q, r).accumulate('max', all)));
    });
    const few = [
      [1, 8192],
      [3, 8192],
      [8, 4096],
      [64, 512],
    ] as const;
    return check([
      ...several,
      ...ops(dtypeInfo[dtype].scalar).flatMap((op) =>
        few.flatMap(([points, length]) => [
          parted(reduction(op, dtype, points, length, 'rows')),
          parted(reduction(op, dtype, points, length, 'columns')),
        ]),
      ),
    ]);
  },
  60_000,
);

test('windows, several loops and several accumulators', () => {
  const [n, c, h, w] = [variable('n', 2), variable('c', 3), variable('h', 6), variable('w', 8)];
  const [p, q] = [variable('p', 3), variable('q', 3)];
  const window = new KernelBuilder('window', [n, c, h, w], 'float32');
  const y = window.add(window.add(window.b.index(h), window.b.index(p)), -1);
  const x = window.add(window.add(window.b.index(w), window.b.index(q)), -1);
  const both = window.b.alu('and', 'bool', window.inside(y, 6), window.inside(x, 8));
  const at = window.add(window.mul(window.add(window.mul(window.at([n, c]), 6), y), 8), x);
  const seen = window.input('float32', 2 * 3 * 6 * 8)(at, both);
  const weight = window.input('float32', 3 * 9)(window.at([c, p, q]));
  const convolution = window.store(
    window.over(p, q).accumulate('sum', window.b.alu('mul', 'f32', seen, weight)),
  );

  const [i, k] = [variable('i', 12), variable('k', 40)];
  const several = new KernelBuilder('several', [i], 'float32');
  const value = several.input('float32', 480)(several.at([i, k]));
  const sum = several.over(k).accumulate('sum', value);
  const best = several.accumulate('argMax', value, several.b.index(k));
  const place = several.add(several.mul(several.b.index(i), 40), best);
  const largest = several.b.alu('sub', 'f32', several.input('float32', 480)(place), sum);

  const [row, column] = [variable('row', 5), variable('column', 8)];
  const product = new KernelBuilder('product', [row, column], 'float32');
  const [left, right] = [product.input('float32', 60), product.input('float32', 96)];
  const [inner] = [variable('k', 12)];
  const factors = [left(product.at([row, inner])), right(product.at([inner, column]))] as const;
  const transposed = new KernelBuilder('product_of_transposed', [row, column], 'float32');
  const others = [
    transposed.input('float32', 60)(transposed.at([row, inner])),
    transposed.input('float32', 96)(transposed.at([column, inner])),
  ] as const;

  const all = [variable('a', 3), variable('b', 5), variable('c', 7)];
  const total = new KernelBuilder('total', [], 'float32');
  const everything = total.input('float32', 105)(total.at(all));
  return check([
    convolution,
    several.store(largest),
    product.store(product.over(inner).accumulate('sum', product.b.alu('mul', 'f32', ...factors))),
    transposed.store(transposed.over(inner).accumulate('sum', transposed.b.alu('mul', 'f32', ...others))),
    total.store(total.over(...all).accumulate('sum', everything)),
  ]);
});

/** Only what fragments cannot do is refused, and by name. */
test('refuses kernels that the capabilities rule out', () => {
  const features: ShaderFeatures = { maxInputs: 14, maxOutputs: 4, rowShift: 12, software: true };
  const i = variable('i', 8);
  const k = new KernelBuilder('elsewhere', [i], 'float32');
  const kernel = k.store(k.b.const('f32', 1));
  const [map] = kernel.phases;
  if (map?.kind !== 'map') throw new TypeError('a map');
  const stores = (store: object): Kernel => ({
    ...kernel,
    phases: [{ ...map, stores: [{ ...map.stores[0]!, ...store }] }],
  });
  const refused = [
    stores({ index: k.add(k.b.index(i), 1) }),
    stores({ mode: 'add' }),
    { ...kernel, phases: [map, map] },
    { ...kernel, phases: [{ ...map, loops: [variable('k', 3)] }] },
    { ...kernel, phases: [{ ...map, stores: [map.stores[0]!, map.stores[0]!] }] },
  ];
  for (const each of refused) expect(() => compileKernel(each, features)).toThrow(InternalError);
  const many = new KernelBuilder('many', [i], 'float32');
  const inputs = Array.from({ length: 15 }, () => many.input('float32', 8)(many.b.index(i)));
  const sum = inputs.reduce((a, x) => many.b.alu('add', 'f32', a, x));
  expect(() => compileKernel(many.store(sum), features)).toThrow(InternalError);
});

test('long sums keep their precision', async () => {
  const features = await pageFeatures();
  const kernels = [
    [1, 1 << 16],
    [4, 1 << 15],
    [3, 70_001],
  ].flatMap(([points, length]) => [
    reduction('sum', 'float32', points!, length!, 'rows'),
    reduction('sum', 'float32', points!, length!, 'columns'),
  ]);
  const results = await runPrograms(
    kernels.map((kernel) => ({
      program: compileKernel(kernel, features),
      buffers: kernel.buffers,
      contents: kernel.buffers.map(({ length }) => new Float32Array(length).fill(0.1)),
    })),
  );
  for (const [i, { buffers }] of kernels.entries()) {
    const exact = (Math.fround(0.1) * buffers[1]!.length) / buffers[0]!.length;
    for (const got of results[i]![0]!) expect(Math.abs(got - exact) / exact).toBeLessThan(3e-6);
  }
});
