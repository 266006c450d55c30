import { ArgumentError, IndexError, ShapeError } from '@tutti/core';
import { checkInteger, type NdArray, ndarray, type TypedArray } from './ndarray.ts';
import { RandomStream } from './random.ts';

/**
 * Samples that can be asked for by number. `random` is what augmentations draw from: the loader gives each sample of each
 * epoch its own stream, so that a seed fixes them whatever the order of loading.
 */
export interface Dataset<Sample> {
  readonly length: number;
  /** The sample at `index`, 0 <= index < length. */
  get(index: number, random?: RandomStream): Sample | Promise<Sample>;
}

/** Arrays with a common first axis, by name or by position. */
export type Columns = Readonly<Record<string, NdArray>> | readonly NdArray[];

/** One row of each column. */
export type Row<C extends Columns> = { readonly [K in keyof C]: C[K] };

/** @throws IndexError unless 0 <= index < length. */
function checkIndex(index: number, length: number): number {
  if (Number.isInteger(index) && index >= 0 && index < length) return index;
  throw new IndexError(`get: sample ${index} of a dataset with ${length}`, {
    op: 'get',
    received: index,
    fix: length > 0 ? `samples go from 0 to ${length - 1}` : 'the dataset is empty',
  });
}

/**
 * A dataset of arrays in memory: sample i is row i of every array (a view, not a copy).
 *
 * Shapes: columns (N, ...) -> samples (...).
 *
 * @throws ShapeError when an array has no axis, or the first extents differ.
 * @example new ArrayDataset({ image: ndarray(pixels, [100, 1, 28, 28]), label: ndarray(labels) })
 */
export class ArrayDataset<C extends Columns> implements Dataset<Row<C>> {
  readonly length: number;
  readonly columns: C;

  constructor(columns: C) {
    const entries = Object.entries(columns);
    const first = entries[0]?.[1];
    if (first === undefined) {
      throw new ArgumentError('ArrayDataset: no arrays', {
        fix: 'pass at least one array made with ndarray(...)',
      });
    }
    for (const [name, { data, shape }] of entries) {
      ndarray(data, shape);
      if (shape.length > 0 && shape[0] === first.shape[0]) continue;
      throw new ShapeError(`ArrayDataset: '${name}' has shape [${shape}], the first array [${first.shape}]`, {
        op: 'ArrayDataset',
        received: shape,
        fix: 'the first axis counts the samples and is the same for all arrays',
      });
    }
    this.columns = columns;
    this.length = first.shape[0]!;
  }

  get(index: number): Row<C> {
    checkIndex(index, this.length);
    const { columns } = this;
    const row = <T extends TypedArray>({ data, shape }: NdArray<T>): NdArray<T> => {
      const rowShape = shape.slice(1);
      const size = data.length / this.length;
      return { data: data.subarray(index * size, (index + 1) * size) as T, shape: rowShape };
    };
    const rows = Array.isArray(columns)
      ? columns.map((column: NdArray) => row(column))
      : Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, row(column)]));
    return rows as Row<C>;
  }
}

/** The dataset whose sample i is `transform(sample i, random)`. It runs each time a sample is asked for. */
export function map<A, B>(
  dataset: Dataset<A>,
  transform: (sample: A, random: RandomStream, index: number) => B | Promise<B>,
): Dataset<B> {
  return {
    length: dataset.length,
    get(index, random = new RandomStream(index)) {
      const sample = dataset.get(index, random);
      if (sample instanceof Promise) return sample.then((value) => transform(value, random, index));
      return transform(sample, random, index);
    },
  };
}

/**
 * The samples with these numbers, in this order. A number may come more than once.
 *
 * @throws IndexError for a number outside of the dataset.
 */
export function subset<Sample>(dataset: Dataset<Sample>, indices: Iterable<number>): Dataset<Sample> {
  const chosen = [...indices];
  for (const index of chosen) checkIndex(index, dataset.length);
  return {
    length: chosen.length,
    get: (index, random) => dataset.get(chosen[checkIndex(index, chosen.length)]!, random),
  };
}

/** The first `count` samples (all, where there are fewer). */
export function take<Sample>(dataset: Dataset<Sample>, count: number): Dataset<Sample> {
  checkInteger(count, 0, 'take', 'count');
  return subset(
    dataset,
    Array.from({ length: Math.min(count, dataset.length) }, (_, i) => i),
  );
}

/** The samples of one dataset after those of another. */
export function concat<Sample>(...datasets: readonly Dataset<Sample>[]): Dataset<Sample> {
  const length = datasets.reduce((sum, dataset) => sum + dataset.length, 0);
  return {
    length,
    get(index, random) {
      let rest = checkIndex(index, length);
      const dataset = datasets.find((each) => {
        if (rest < each.length) return true;
        rest -= each.length;
        return false;
      });
      return dataset!.get(rest, random);
    },
  };
}
