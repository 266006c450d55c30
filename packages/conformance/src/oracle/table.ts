import { InternalError } from '@tutti/core/backend';
import type { Primitive } from '@tutti/core/graph';
import { conv, dot } from './anchors.ts';
import { attention, attentionGradient } from './attention.ts';
import { binary, bitcast, cast, unary, where } from './elementwise.ts';
import { gather, randomBits, scatter } from './indexing.ts';
import { expand, flip, identity, iota, pad, permute, slice, unfold } from './movement.ts';
import { argMax, argMin, reduceMax, reduceMin, reduceProd, reduceSum } from './reduce.ts';
import { roundTo } from './rounding.ts';
import type { OracleFunction } from './value.ts';

/** What every primitive means. Its type demands a function for each of them. */
export const oracleTable: { readonly [P in Primitive]: OracleFunction<P> } = {
  data: (_, node) => {
    throw new InternalError(`oracle: leaf ${node.id} has no function; its elements are given`);
  },
  const: (_, { attributes: { value, dtype } }) =>
    Float64Array.of(
      dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float32' ? roundTo(value, dtype) : value,
    ),
  iota,
  randomBits,

  ...unary,
  ...binary,
  where,
  cast,
  bitcast,

  reshape: identity,
  permute,
  expand,
  pad,
  slice,
  flip,
  unfold,

  reduceSum,
  reduceProd,
  reduceMax,
  reduceMin,
  argMax,
  argMin,

  gather,
  scatter,

  dot,
  conv,
  attention,
  attentionGradient,

  detach: identity,
  alias: identity,
  barrier: identity,
  custom: identity,
};
