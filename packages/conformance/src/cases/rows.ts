/** Formulas over rows, which normalisation, losses and attention share. */
import type { DType } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import type { NdArray, OpCase, Sample } from './case.ts';

export const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Applies a function to every row along an axis. */
export function alongAxis(x: NdArray, axis: number, f: (row: number[]) => readonly number[]): NdArray {
  const at = axis < 0 ? axis + x.shape.length : axis;
  const values = new Float64Array(count(x.shape));
  const extent = x.shape[at]!;
  forEachIndex(
    x.shape.map((own, a) => (a === at ? 1 : own)),
    (index) => {
      const places = Array.from({ length: extent }, (_, i) =>
        position(
          index.map((own, a) => (a === at ? i : own)),
          x.shape,
        ),
      );
      const row = f(places.map((place) => x.values[place]!));
      for (const [i, place] of places.entries()) values[place] = row[i]!;
    },
  );
  return { shape: x.shape, values };
}

export function softmaxRow(row: readonly number[]): number[] {
  const top = Math.max(...row);
  const powers = row.map((x) => Math.exp(x - top));
  const sum = total(powers);
  return powers.map((x) => x / sum);
}

export function logSoftmaxRow(row: readonly number[]): number[] {
  const top = Math.max(...row);
  const level = top + Math.log(total(row.map((x) => Math.exp(x - top))));
  return row.map((x) => x - level);
}

/** A differentiable operation on rows. */
export const row = (
  name: string,
  dtypes: readonly DType[],
  samples: (dtype: DType) => Sample[],
  flops: number,
  op: string = name,
): OpCase => ({
  name,
  op,
  dtypes,
  differentiable: true,
  samples,
  flopsPerElement: () => flops,
});
