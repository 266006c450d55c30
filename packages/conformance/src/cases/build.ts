/** Builders of cases: what is common to a family of operations, so that a case states only what is its own. */
import type { Shape, Tensor } from '@tutti/core';
import { type DType, dtypeInfo } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import type { Input, NdArray, OpCase, Sample, View } from './case.ts';
import {
  constantInput,
  type Domain,
  randomInput,
  specialInput,
  specialPairs,
  standard,
  viewed,
  views,
} from './inputs.ts';

/** From the dtype of the operand to that of the result. */
export type DTypeRule = (dtype: DType) => DType;

export const sameDType: DTypeRule = (dtype) => dtype;
/** Functions without an integer form: floats keep their dtype, everything else gives float32. */
export const floatResult: DTypeRule = (dtype) => (dtypeInfo[dtype].kind === 'float' ? dtype : 'float32');
export const boolResult: DTypeRule = () => 'bool';

/** Scalar, size 1, odd sizes around and beyond a vector, several axes, no elements. */
const plainShapes: readonly Shape[] = [[], [1], [5], [2, 3], [3, 1, 4], [0], [2, 0, 3], [7, 33], [1037]];

type Reference = NonNullable<Sample['reference']>;

interface SampleOptions {
  readonly reference?: Reference | undefined;
  readonly result?: DType | undefined;
  readonly unjudged?: number;
  readonly smooth?: boolean;
}

export function sample(
  label: string,
  inputs: readonly Input[],
  call: Sample['call'],
  { reference, result, unjudged, smooth }: SampleOptions = {},
): Sample {
  return {
    label,
    inputs,
    call,
    ...(reference ? { reference } : {}),
    ...(result ? { result } : {}),
    ...(unjudged === undefined ? {} : { unjudged }),
    ...(smooth === undefined ? {} : { smooth }),
  };
}

/** Share of special values at which a result hangs on rounding: overflow at the largest float, the sine of a huge number. */
export const specialShare = 0.12;

export const shapeLabel = (...shapes: Shape[]): string =>
  shapes.map((shape) => `[${shape.join(', ')}]`).join(' ');

/** The same call on operands that lie differently in memory. All operands take the view. */
export function viewSamples(of: Sample, which: readonly View[] = views): Sample[] {
  return which.map((view) => ({
    ...of,
    label: `${view} ${of.label}`,
    inputs: of.inputs.map((input) => viewed(input, view)),
  }));
}

export const mapValues = (x: NdArray, f: (value: number) => number): NdArray => ({
  shape: x.shape,
  values: Float64Array.from(x.values, f),
});

export interface UnaryOptions {
  readonly name?: string;
  readonly op: string;
  readonly call: (x: Tensor) => Tensor;
  readonly reference: (x: number, dtype: DType) => number;
  readonly dtypes: readonly DType[];
  readonly result?: DTypeRule;
  readonly domain?: Domain;
  readonly differentiable?: boolean;
  readonly flops?: number;
  /** False where the formula and the composition differ at infinities; they are then judged by the graph alone. */
  readonly specialReference?: boolean;
  /** Share of the special values that need not be judged. */
  readonly unjudged?: number;
}

/** A function applied to each element. */
export function unaryCase(options: UnaryOptions): OpCase {
  const { op, call, dtypes, domain = standard, result = sameDType, differentiable = false } = options;
  const samples = (dtype: DType): Sample[] => {
    const reference: Reference = (x) => mapValues(x!, (value) => options.reference(value, dtype));
    const more = { reference, result: result(dtype) };
    const special = sample('special values', [constantInput(specialInput(dtype))], call as Sample['call'], {
      result: result(dtype),
      unjudged: options.unjudged ?? specialShare,
      ...(options.specialReference === false ? {} : { reference }),
    });
    return [
      ...plainShapes.map((shape, i) =>
        sample(shapeLabel(shape), [randomInput(shape, dtype, domain, i)], call as Sample['call'], more),
      ),
      ...viewSamples(sample('[4, 6]', [randomInput([4, 6], dtype, domain, 3)], call as Sample['call'], more)),
      special,
    ];
  };
  return {
    name: options.name ?? op,
    op,
    dtypes,
    differentiable,
    samples,
    flopsPerElement: () => options.flops ?? 1,
  };
}

export type Scalar2 = (a: number, b: number, dtype: DType) => number;

export interface BinaryOptions {
  readonly op: string;
  readonly call: (a: Tensor | number, b: Tensor | number) => Tensor;
  readonly reference: Scalar2;
  readonly dtypes: readonly DType[];
  readonly result?: DTypeRule;
  readonly domainA?: Domain;
  readonly domainB?: Domain;
  readonly differentiable?: boolean;
  readonly flops?: number;
  readonly smooth?: boolean;
  readonly specialReference?: boolean;
}

const broadcastPairs: readonly (readonly [Shape, Shape])[] = [
  [[], []],
  [[5], [5]],
  [
    [7, 33],
    [7, 33],
  ],
  [
    [3, 1],
    [1, 4],
  ],
  [[2, 3], [3]],
  [[], [4]],
  [
    [2, 1, 3],
    [4, 1],
  ],
  [[1], [9]],
  [[0], [1]],
  [[0, 3], [3]],
  [[2, 5], []],
];

/** The shape of a broadcast, written once more: the cases do not ask the library what is right. */
export function broadcastShape(a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const x = a[axis - (rank - a.length)] ?? 1;
    const y = b[axis - (rank - b.length)] ?? 1;
    return x === 1 ? y : x;
  });
}

/** Element of `x` that a broadcast index reads. */
export function readBroadcast(x: NdArray, index: readonly number[]): number {
  const own = index.slice(index.length - x.shape.length);
  return x.values[
    position(
      own.map((i, axis) => (x.shape[axis] === 1 ? 0 : i)),
      x.shape,
    )
  ]!;
}

export function broadcastMap(a: NdArray, b: NdArray, f: (a: number, b: number) => number): NdArray {
  const shape = broadcastShape(a.shape, b.shape);
  const values = new Float64Array(count(shape));
  forEachIndex(shape, (index, flat) => {
    values[flat] = f(readBroadcast(a, index), readBroadcast(b, index));
  });
  return { shape, values };
}

/** An operator on two operands that broadcast; numbers stand for either. */
export function binaryCase(options: BinaryOptions): OpCase {
  const {
    op,
    dtypes,
    domainA = standard,
    domainB = standard,
    result = sameDType,
    differentiable = false,
  } = options;
  const both: Sample['call'] = (a, b) => options.call(a!, b!);
  const samples = (dtype: DType): Sample[] => {
    const reference: Reference = (a, b) => broadcastMap(a!, b!, (x, y) => options.reference(x, y, dtype));
    const more = {
      reference,
      result: result(dtype),
      ...(options.smooth === undefined ? {} : { smooth: options.smooth }),
    };
    const pair = (a: Shape, b: Shape, seed: number): Input[] => [
      randomInput(a, dtype, domainA, seed),
      randomInput(b, dtype, domainB, seed + 50),
    ];
    const number = dtype === 'bool' ? 1 : 2;
    const scalars = dtype === 'bool' ? [] : scalarSamples(options, dtype, number, more);
    return [
      ...broadcastPairs.map(([a, b], i) => sample(shapeLabel(a, b), pair(a, b, i), both, more)),
      ...viewSamples(sample('[4, 6] [4, 6]', pair([4, 6], [4, 6], 3), both, more)),
      ...scalars,
      sample('special values', specialPairs(dtype).map(constantInput), both, {
        ...more,
        unjudged: specialShare,
        reference: options.specialReference === false ? undefined : reference,
      }),
    ];
  };
  return { name: op, op, dtypes, differentiable, samples, flopsPerElement: () => options.flops ?? 1 };
}

function scalarSamples(options: BinaryOptions, dtype: DType, number: number, more: SampleOptions): Sample[] {
  const { call, reference, domainA = standard, domainB = standard } = options;
  return [
    sample(`[5] with ${number}`, [randomInput([5], dtype, domainA, 8)], (a) => call(a!, number), {
      ...more,
      reference: (a) => mapValues(a!, (x) => reference(x, number, dtype)),
    }),
    sample(`${number} with [5]`, [randomInput([5], dtype, domainB, 9)], (b) => call(number, b!), {
      ...more,
      reference: (b) => mapValues(b!, (y) => reference(number, y, dtype)),
    }),
  ];
}
