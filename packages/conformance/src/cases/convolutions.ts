/** Convolution and pooling, by their seven loops. */

import type { Shape } from '@tutti/core';
import { avgPool2d, conv1d, conv2d, convTranspose2d, maxPool2d } from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import { sample, viewSamples } from './build.ts';
import type { Input, NdArray, OpCase, Sample } from './case.ts';
import { constantInput, distinct, floats, input, randomInput } from './inputs.ts';

type Pair = readonly [number, number];

interface ConvGrid {
  readonly x: Shape;
  readonly w: Shape;
  readonly bias?: boolean;
  readonly stride?: number | Pair;
  readonly padding?: number | Pair | 'same' | 'valid';
  readonly dilation?: number | Pair;
  readonly groups?: number;
  readonly outputPadding?: number | Pair;
}

const pair = (value: number | Pair | undefined, otherwise: number): Pair =>
  value === undefined ? [otherwise, otherwise] : typeof value === 'number' ? [value, value] : value;

interface Geometry {
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly low: Pair;
  readonly high: Pair;
}

/** Zeros before and after each axis. 'same' keeps the extent (stride 1); an odd zero goes at the end, as in PyTorch. */
function geometry(grid: ConvGrid): Geometry {
  const stride = pair(grid.stride, 1);
  const dilation = pair(grid.dilation, 1);
  const kernel = grid.w.slice(2);
  if (grid.padding === 'same') {
    const total = [0, 1].map((d) => dilation[d]! * (kernel[d]! - 1));
    const low: Pair = [Math.floor(total[0]! / 2), Math.floor(total[1]! / 2)];
    return { stride, dilation, low, high: [total[0]! - low[0], total[1]! - low[1]] };
  }
  const low = grid.padding === 'valid' ? ([0, 0] as const) : pair(grid.padding, 0);
  return { stride, dilation, low, high: low };
}

/** out[n, o, y, x] = bias[o] + sum over i, v, u of image[n, g i, y s + v d - p, x s + u d - p] * weight[o, i, v, u] */
function convolve(
  image: NdArray,
  weight: NdArray,
  bias: NdArray | undefined,
  { stride, dilation, low, high }: Geometry,
  groups = 1,
): NdArray {
  const [batch, , height, width] = image.shape as [number, number, number, number];
  const [outChannels, inChannels, kernelHeight, kernelWidth] = weight.shape as [
    number,
    number,
    number,
    number,
  ];
  const extent = (size: number, kernel: number, d: 0 | 1): number =>
    Math.floor((size + low[d] + high[d] - dilation[d] * (kernel - 1) - 1) / stride[d]) + 1;
  const shape = [batch, outChannels, extent(height, kernelHeight, 0), extent(width, kernelWidth, 1)];
  const values = new Float64Array(count(shape));
  forEachIndex(shape, ([n, o, y, x], flat) => {
    const first = Math.floor(o! / (outChannels / groups)) * inChannels;
    let total = bias ? bias.values[o!]! : 0;
    for (let i = 0; i < inChannels; i++) {
      for (let v = 0; v < kernelHeight; v++) {
        for (let u = 0; u < kernelWidth; u++) {
          const [row, column] = [
            y! * stride[0] + v * dilation[0] - low[0],
            x! * stride[1] + u * dilation[1] - low[1],
          ];
          if (row < 0 || row >= height || column < 0 || column >= width) continue;
          total +=
            image.values[position([n!, first + i, row, column], image.shape)]! *
            weight.values[position([o!, i, v, u], weight.shape)]!;
        }
      }
    }
    values[flat] = total;
  });
  return { shape, values };
}

/** Every element of the image spreads over the kernel's reach: PyTorch's transposed convolution, weight (in, out/groups, kh, kw). */
function convolveTransposed(
  image: NdArray,
  weight: NdArray,
  bias: NdArray | undefined,
  grid: ConvGrid,
): NdArray {
  const [stride, padding, dilation] = [
    pair(grid.stride, 1),
    pair(grid.padding as number | Pair | undefined, 0),
    pair(grid.dilation, 1),
  ];
  const extra = pair(grid.outputPadding, 0);
  const groups = grid.groups ?? 1;
  const [batch, channels, height, width] = image.shape as [number, number, number, number];
  const [, outPerGroup, kernelHeight, kernelWidth] = weight.shape as [number, number, number, number];
  const extent = (size: number, kernel: number, d: 0 | 1): number =>
    (size - 1) * stride[d] - 2 * padding[d] + dilation[d] * (kernel - 1) + extra[d] + 1;
  const shape = [batch, outPerGroup * groups, extent(height, kernelHeight, 0), extent(width, kernelWidth, 1)];
  const values = new Float64Array(count(shape));
  forEachIndex(shape, ([, o], flat) => {
    values[flat] = bias ? bias.values[o!]! : 0;
  });
  forEachIndex(
    [batch, channels, height, width, outPerGroup, kernelHeight, kernelWidth],
    ([n, c, y, x, o, v, u]) => {
      const group = Math.floor(c! / (channels / groups));
      const [row, column] = [
        y! * stride[0] + v! * dilation[0] - padding[0],
        x! * stride[1] + u! * dilation[1] - padding[1],
      ];
      if (row < 0 || row >= shape[2]! || column < 0 || column >= shape[3]!) return;
      const at = position([n!, group * outPerGroup + o!, row, column], shape);
      values[at] =
        values[at]! +
        image.values[position([n!, c!, y!, x!], image.shape)]! *
          weight.values[position([c!, o!, v!, u!], weight.shape)]!;
    },
  );
  return { shape, values };
}

const labelOf = ({ x, w, ...rest }: ConvGrid): string =>
  [
    `[${x.join(', ')}] [${w.join(', ')}]`,
    ...Object.entries(rest).map(([key, value]) => `${key} ${JSON.stringify(value)}`),
  ].join(' ');

function operands(grid: ConvGrid, dtype: DType, outChannels: number): Input[] {
  const inputs = [randomInput(grid.x, dtype, undefined, 1), randomInput(grid.w, dtype, undefined, 2)];
  return grid.bias ? [...inputs, randomInput([outChannels], dtype, undefined, 3)] : inputs;
}

/** Only the options that are given, so that defaults are tested too. */
function attributes({ x: _x, w: _w, bias: _bias, ...rest }: ConvGrid): Omit<ConvGrid, 'x' | 'w' | 'bias'> {
  return rest;
}

const conv2dGrid: readonly ConvGrid[] = [
  { x: [1, 1, 3, 3], w: [1, 1, 1, 1] },
  { x: [2, 3, 5, 6], w: [4, 3, 3, 3] },
  { x: [2, 3, 5, 6], w: [4, 3, 3, 3], bias: true, padding: 1 },
  { x: [1, 2, 7, 8], w: [3, 2, 3, 2], stride: 2 },
  { x: [1, 2, 7, 8], w: [3, 2, 3, 2], stride: [2, 3], padding: [1, 0], bias: true },
  { x: [1, 2, 9, 9], w: [2, 2, 3, 3], dilation: 2, padding: 2 },
  { x: [1, 2, 9, 9], w: [2, 2, 2, 3], dilation: [3, 2], stride: [1, 2] },
  { x: [2, 4, 6, 5], w: [6, 2, 3, 3], groups: 2, padding: 1 },
  { x: [1, 5, 6, 6], w: [5, 1, 3, 3], groups: 5, padding: 'same' },
  { x: [1, 3, 6, 6], w: [6, 1, 3, 3], groups: 3, stride: 2, bias: true },
  { x: [1, 1, 5, 5], w: [2, 1, 4, 2], padding: 'same' },
  { x: [1, 1, 5, 5], w: [2, 1, 3, 3], padding: 'valid' },
  { x: [3, 8, 4, 4], w: [16, 8, 1, 1], bias: true },
  { x: [1, 3, 5, 5], w: [2, 3, 5, 5] },
  { x: [0, 2, 4, 4], w: [3, 2, 3, 3] },
  { x: [2, 9, 12, 13], w: [17, 9, 3, 3], padding: 1, bias: true },
];

function conv2dSamples(dtype: DType): Sample[] {
  const of = (grid: ConvGrid, inputs = operands(grid, dtype, grid.w[0]!)): Sample =>
    sample(
      labelOf(grid),
      inputs,
      (x, w, bias) => conv2d(x!, w!, { ...attributes(grid), ...(bias ? { bias } : {}) }),
      {
        reference: (x, w, bias) => convolve(x!, w!, bias, geometry(grid), grid.groups),
      },
    );
  const special: ConvGrid = { x: [1, 1, 4, 4], w: [1, 1, 2, 2], padding: 1 };
  const image = randomInput(special.x, dtype).values.map((value, i) =>
    i === 5 ? Number.NaN : i === 15 ? Infinity : value,
  );
  return [
    ...conv2dGrid.map((grid) => of(grid)),
    ...viewSamples(of({ x: [2, 3, 5, 6], w: [4, 3, 3, 3], padding: 1 })),
    {
      ...of(special, [
        constantInput(input(special.x, dtype, image)),
        constantInput(randomInput(special.w, dtype)),
      ]),
      label: 'special values',
    },
  ];
}

const conv1dGrid: readonly ConvGrid[] = [
  { x: [1, 1, 5], w: [1, 1, 2] },
  { x: [2, 3, 9], w: [4, 3, 3], stride: 2, padding: 1, bias: true },
  { x: [2, 4, 9], w: [6, 2, 3], dilation: 2, groups: 2 },
  { x: [1, 2, 8], w: [2, 2, 3], padding: 'same' },
];

/** One spatial axis is a convolution of images of height 1. */
function conv1dSamples(dtype: DType): Sample[] {
  const raised = (of: NdArray): NdArray => ({
    shape: [of.shape[0]!, of.shape[1]!, 1, of.shape[2]!],
    values: of.values,
  });
  return conv1dGrid.map((grid) => {
    const {
      stride = 1,
      padding = 0,
      dilation = 1,
    } = grid as { stride?: number; padding?: number | 'same'; dilation?: number };
    const flat: ConvGrid = {
      x: [grid.x[0]!, grid.x[1]!, 1, grid.x[2]!],
      w: [grid.w[0]!, grid.w[1]!, 1, grid.w[2]!],
      stride: [1, stride],
      dilation: [1, dilation],
      padding: padding === 'same' ? 'same' : [0, padding],
    };
    const options = attributes(grid) as {
      stride?: number;
      padding?: number | 'same' | 'valid';
      dilation?: number;
      groups?: number;
    };
    return sample(
      labelOf(grid),
      operands(grid, dtype, grid.w[0]!),
      (x, w, bias) => conv1d(x!, w!, { ...options, ...(bias ? { bias } : {}) }),
      {
        reference: (x, w, bias) => {
          const out = convolve(raised(x!), raised(w!), bias, geometry(flat), grid.groups);
          return { shape: out.shape.filter((_, axis) => axis !== 2), values: out.values };
        },
      },
    );
  });
}

const transposeGrid: readonly ConvGrid[] = [
  { x: [1, 1, 3, 3], w: [1, 1, 2, 2] },
  { x: [2, 3, 4, 5], w: [3, 4, 3, 3], bias: true },
  { x: [1, 2, 4, 5], w: [2, 3, 3, 3], stride: 2, padding: 1, outputPadding: 1 },
  { x: [1, 2, 4, 5], w: [2, 3, 3, 2], stride: [3, 2], padding: [1, 0], outputPadding: [2, 1], bias: true },
  { x: [1, 4, 4, 4], w: [4, 3, 3, 3], groups: 2, stride: 2 },
  { x: [1, 2, 4, 4], w: [2, 2, 3, 3], dilation: 2, padding: 2 },
];

function convTransposeSamples(dtype: DType): Sample[] {
  const of = (grid: ConvGrid): Sample => {
    const options = attributes(grid) as {
      stride?: number | Pair;
      padding?: number | Pair;
      dilation?: number | Pair;
      groups?: number;
      outputPadding?: number | Pair;
    };
    return sample(
      labelOf(grid),
      operands(grid, dtype, grid.w[1]! * (grid.groups ?? 1)),
      (x, w, bias) => convTranspose2d(x!, w!, { ...options, ...(bias ? { bias } : {}) }),
      { reference: (x, w, bias) => convolveTransposed(x!, w!, bias, grid) },
    );
  };
  return [
    ...transposeGrid.map(of),
    ...viewSamples(of({ x: [1, 3, 4, 5], w: [3, 2, 3, 3], stride: 2 }), ['transposed', 'strided']),
  ];
}

interface PoolGrid {
  readonly x: Shape;
  readonly size: number | Pair;
  readonly stride?: number | Pair;
  readonly padding?: number | Pair;
  readonly countIncludePad?: boolean;
}

const poolGrid: readonly PoolGrid[] = [
  { x: [1, 1, 4, 4], size: 2 },
  { x: [2, 3, 7, 8], size: 3 },
  { x: [2, 3, 7, 8], size: 3, stride: 2, padding: 1 },
  { x: [1, 2, 6, 9], size: [2, 3], stride: [1, 2] },
  { x: [1, 2, 5, 5], size: [3, 1], stride: 1, padding: [1, 0] },
  { x: [1, 1, 3, 3], size: 3 },
  { x: [0, 2, 4, 4], size: 2 },
];

/** The elements under each window, and how many places it has with its padding. */
function pool(x: NdArray, grid: PoolGrid, f: (values: number[], places: number) => number): NdArray {
  const size = pair(grid.size, 1);
  const stride = pair(grid.stride ?? grid.size, 1);
  const padding = pair(grid.padding, 0);
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const extent = (length: number, d: 0 | 1): number =>
    Math.floor((length + 2 * padding[d] - size[d]) / stride[d]) + 1;
  const shape = [batch, channels, extent(height, 0), extent(width, 1)];
  const values = new Float64Array(count(shape));
  forEachIndex(shape, ([n, c, y, column], flat) => {
    const inside: number[] = [];
    forEachIndex(size, ([v, u]) => {
      const [row, col] = [y! * stride[0] + v! - padding[0], column! * stride[1] + u! - padding[1]];
      if (row >= 0 && row < height && col >= 0 && col < width)
        inside.push(x.values[position([n!, c!, row, col], x.shape)]!);
    });
    values[flat] = f(inside, size[0] * size[1]);
  });
  return { shape, values };
}

const poolOptions = ({ x: _x, size: _size, ...rest }: PoolGrid): Omit<PoolGrid, 'x' | 'size'> => rest;

function poolSamples(op: 'maxPool2d' | 'avgPool2d', dtype: DType): Sample[] {
  const grids =
    op === 'maxPool2d'
      ? poolGrid
      : [...poolGrid, { x: [1, 2, 5, 5], size: 3, stride: 2, padding: 1, countIncludePad: false }];
  const of = (grid: PoolGrid, x = randomInput(grid.x, dtype, distinct)): Sample => {
    const label = [
      `[${grid.x.join(', ')}]`,
      ...Object.entries(grid)
        .slice(1)
        .map(([key, value]) => `${key} ${JSON.stringify(value)}`),
    ].join(' ');
    const call: Sample['call'] = (t) =>
      (op === 'maxPool2d' ? maxPool2d : avgPool2d)(t!, grid.size, poolOptions(grid));
    const f =
      op === 'maxPool2d'
        ? (values: number[]) => Math.max(...values)
        : (values: number[], places: number) =>
            values.reduce((a, b) => a + b, 0) / (grid.countIncludePad === false ? values.length : places);
    return sample(label, [x], call, { reference: (t) => pool(t!, grid, f) });
  };
  const special: PoolGrid = { x: [1, 1, 4, 4], size: 3, stride: 1, padding: 1 };
  const values = [
    -1,
    -2,
    -3,
    -Infinity,
    -5,
    Number.NaN,
    -7,
    -Infinity,
    -9,
    -10,
    -1e30,
    -Infinity,
    -4,
    -Infinity,
    -Infinity,
    -Infinity,
  ];
  return [
    ...grids.map((grid) => of(grid)),
    ...viewSamples(of({ x: [1, 2, 6, 6], size: 2 })),
    {
      ...of(
        special,
        constantInput(
          input(special.x, dtype, dtype === 'float16' ? values.map((v) => Math.max(v, -6e4) || v) : values),
        ),
      ),
      label: 'special values',
    },
  ];
}

const kernelWork = ([, w]: readonly Shape[]): number => 2 * count((w ?? []).slice(1));

export const convolutionCases: readonly OpCase[] = [
  {
    name: 'conv2d',
    op: 'conv2d',
    dtypes: floats,
    differentiable: true,
    samples: conv2dSamples,
    flopsPerElement: kernelWork,
  },
  {
    name: 'conv1d',
    op: 'conv1d',
    dtypes: floats,
    differentiable: true,
    samples: conv1dSamples,
    flopsPerElement: kernelWork,
  },
  {
    name: 'convTranspose2d',
    op: 'convTranspose2d',
    dtypes: floats,
    differentiable: true,
    samples: convTransposeSamples,
    flopsPerElement: kernelWork,
  },
  {
    name: 'maxPool2d',
    op: 'maxPool2d',
    dtypes: floats,
    differentiable: true,
    samples: (dtype) => poolSamples('maxPool2d', dtype),
    flopsPerElement: () => 9,
  },
  {
    name: 'avgPool2d',
    op: 'avgPool2d',
    dtypes: floats,
    differentiable: true,
    samples: (dtype) => poolSamples('avgPool2d', dtype),
    flopsPerElement: () => 9,
  },
];
