/** Matrix products, by the triple loop. */

import type { Shape } from '@tutti/core';
import { linear, matmul, outer } from '@tutti/core';
import { type DType, isFloat } from '@tutti/core/backend';
import { count, forEachIndex } from '../oracle/indices.ts';
import { narrow } from './arithmetic.ts';
import { broadcastMap, broadcastShape, readBroadcast, sample, shapeLabel, viewSamples } from './build.ts';
import type { Input, NdArray, OpCase, Sample } from './case.ts';
import { constantInput, everything, floats, input, numbers, randomInput } from './inputs.ts';

/** uint8 and bool are multiplied as int32. */
const productDType = (dtype: DType): DType => (dtype === 'uint8' || dtype === 'bool' ? 'int32' : dtype);

/** NumPy's matmul: a 1-d operand is a row on the left and a column on the right. */
export function matmulNd(a: NdArray, b: NdArray, dtype: DType = 'float32'): NdArray {
  const left = a.shape.length === 1 ? { ...a, shape: [1, ...a.shape] } : a;
  const right = b.shape.length === 1 ? { ...b, shape: [...b.shape, 1] } : b;
  const [rows, depth] = left.shape.slice(-2) as [number, number];
  const columns = right.shape[right.shape.length - 1]!;
  const batch = broadcastShape(left.shape.slice(0, -2), right.shape.slice(0, -2));
  const full = [...batch, rows, columns];
  const values = new Float64Array(count(full));
  forEachIndex(full, (index, flat) => {
    const outerIndex = index.slice(0, -2);
    const [i, j] = index.slice(-2) as [number, number];
    const terms = Array.from({ length: depth }, (_, k) => [
      readBroadcast(left, [...outerIndex, i, k]),
      readBroadcast(right, [...outerIndex, k, j]),
    ]);
    values[flat] = isFloat(dtype)
      ? terms.reduce((total, [x, y]) => total + x! * y!, 0)
      : narrow(
          terms.reduce((total, [x, y]) => total + BigInt(x!) * BigInt(y!), 0n),
          dtype,
        );
  });
  const shape = [
    ...batch,
    ...(a.shape.length === 1 ? [] : [rows]),
    ...(b.shape.length === 1 ? [] : [columns]),
  ];
  return { shape, values };
}

const matmulPairs: readonly (readonly [Shape, Shape])[] = [
  [
    [1, 1],
    [1, 1],
  ],
  [
    [2, 3],
    [3, 4],
  ],
  [
    [5, 7],
    [7, 3],
  ],
  [
    [17, 33],
    [33, 19],
  ],
  [
    [64, 16],
    [16, 48],
  ],
  [[4], [4]],
  [[3], [3, 2]],
  [[2, 3], [3]],
  [
    [5, 2, 3],
    [3, 4],
  ],
  [
    [2, 3],
    [4, 3, 2],
  ],
  [
    [2, 1, 3, 2],
    [3, 2, 4],
  ],
  [
    [4, 3, 5],
    [4, 5, 2],
  ],
  [
    [0, 3],
    [3, 2],
  ],
  [
    [2, 0],
    [0, 3],
  ],
  [
    [0, 2, 3],
    [3, 1],
  ],
  [
    [1, 130],
    [130, 9],
  ],
];

function matmulSamples(dtype: DType): Sample[] {
  const of = (a: Shape, b: Shape, inputs?: Input[]): Sample =>
    sample(
      shapeLabel(a, b),
      inputs ?? [randomInput(a, dtype, undefined, 1), randomInput(b, dtype, undefined, 2)],
      (x, y) => matmul(x!, y!),
      {
        result: productDType(dtype),
        reference: (x, y) => matmulNd(x!, y!, productDType(dtype)),
      },
    );
  const special = isFloat(dtype)
    ? [
        of(
          [3, 3],
          [3, 2],
          [
            constantInput(input([3, 3], dtype, [1, 2, 3, Number.NaN, 1, 1, Infinity, 1, 2])),
            constantInput(input([3, 2], dtype, [1, 0, 2, -Infinity, 3, 1])),
          ],
        ),
      ]
    : [of([2, 2], [2, 1], [randomInput([2, 2], dtype), randomInput([2, 1], dtype)])];
  return [
    ...matmulPairs.map(([a, b]) => of(a, b)),
    ...viewSamples(of([6, 5], [5, 7])),
    ...viewSamples(of([2, 6, 5], [2, 5, 3]), ['transposed', 'offset']),
    ...special.map((one) => ({ ...one, label: 'special values' })),
  ];
}

function outerSamples(dtype: DType): Sample[] {
  const of = (m: number, n: number): Sample =>
    sample(
      `[${m}] [${n}]`,
      [randomInput([m], dtype, undefined, 1), randomInput([n], dtype, undefined, 2)],
      (a, b) => outer(a!, b!),
      {
        reference: (a, b) =>
          broadcastMap({ shape: [m, 1], values: a!.values }, { shape: [1, n], values: b!.values }, (x, y) =>
            isFloat(dtype) ? x * y : narrow(BigInt(x) * BigInt(y), dtype),
          ),
      },
    );
  return [of(3, 4), of(1, 5), of(0, 2), ...viewSamples(of(4, 4), ['strided', 'flipped'])];
}

/** x W^T + b, with the bias optional. */
function linearNd(x: NdArray, weight: NdArray, bias?: NdArray): NdArray {
  const [rows, depth] = weight.shape as [number, number];
  const turned = new Float64Array(rows * depth);
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < depth; k++) turned[k * rows + i] = weight.values[i * depth + k]!;
  const product = matmulNd(x, { shape: [depth, rows], values: turned });
  return bias ? broadcastMap(product, bias, (a, b) => a + b) : product;
}

function linearSamples(dtype: DType): Sample[] {
  const of = (x: Shape, out: number, withBias: boolean): Sample => {
    const features = x[x.length - 1]!;
    const inputs = [randomInput(x, dtype, undefined, 1), randomInput([out, features], dtype, undefined, 2)];
    if (withBias) inputs.push(randomInput([out], dtype, undefined, 3));
    return sample(
      `[${x.join(', ')}] to ${out}${withBias ? ' with bias' : ''}`,
      inputs,
      (a, w, b) => linear(a!, w!, b),
      {
        reference: (a, w, b) => linearNd(a!, w!, b),
      },
    );
  };
  return [
    of([5], 3, true),
    of([4, 6], 5, false),
    of([4, 6], 5, true),
    of([2, 3, 7], 9, true),
    of([0, 4], 3, true),
    ...viewSamples(of([4, 6], 4, true)),
  ];
}

const depthOf = ([a]: readonly Shape[]): number => a?.[a.length - 1] ?? 1;

export const productCases: readonly OpCase[] = [
  {
    name: 'matmul',
    op: 'matmul',
    dtypes: everything,
    differentiable: true,
    samples: matmulSamples,
    flopsPerElement: (shapes) => 2 * depthOf(shapes),
  },
  {
    name: 'outer',
    op: 'outer',
    dtypes: numbers,
    differentiable: true,
    samples: outerSamples,
    flopsPerElement: () => 1,
  },
  {
    name: 'linear',
    op: 'linear',
    dtypes: floats,
    differentiable: true,
    samples: linearSamples,
    flopsPerElement: (shapes) => 2 * depthOf(shapes) + 1,
  },
];
