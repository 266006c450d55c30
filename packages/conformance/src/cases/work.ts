import { type DType, dtypeInfo } from '@tutti/core/backend';
import { count } from '../oracle/indices.ts';
import type { OpCase, Sample, Work } from './case.ts';

interface Sized {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

const bytesOf = ({ shape, dtype }: Sized): number => count(shape) * dtypeInfo[dtype].bytes;

/** What one call of a sample computes, and the bytes that it reads and writes at the least: each operand and result once. */
export function workOf(opCase: OpCase, sample: Sample, results: readonly Sized[]): Work {
  const perElement = opCase.flopsPerElement(sample.inputs.map((input) => input.shape));
  const elements = results.reduce((total, { shape }) => total + count(shape), 0);
  const bytes = [...sample.inputs, ...results].reduce((total, each) => total + bytesOf(each), 0);
  return { flops: perElement * elements, bytes };
}
