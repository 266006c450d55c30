import type { DType } from '../backend/index.ts';
import type { Op, OpAttributes } from './op.ts';
import type { Simplifier } from './simplify.ts';

/** What does not change a maximum. */
const least: Partial<Record<DType, number>> = {
  float32: Number.NEGATIVE_INFINITY,
  int32: -(2 ** 31),
  uint32: 0,
};

/**
 * A scatter for devices that cannot store to computed indices: every element of the result looks for the updates that are
 * meant for it. With V elements and K updates along the axis that is V * K comparisons for each line.
 */
export function decomposeScatter(
  s: Simplifier,
  inputs: readonly Op[],
  { axis, mode }: OpAttributes['scatter'],
): Op {
  const [base, index, updates] = inputs as [Op, Op, Op];
  const { shape } = base;
  const count = index.shape[axis]!;
  // (.., V, K, ..): the updates along an axis of their own, after that of the elements.
  const common = [...shape.slice(0, axis + 1), count, ...shape.slice(axis + 1)];
  const spread = (x: Op): Op => {
    const ones = [...shape.slice(0, axis), 1, count, ...shape.slice(axis + 1)];
    return s.make('expand', [s.reshape(x, ones)], { shape: common });
  };
  const element = s.make('iota', [], { shape: common, axis });
  const meant = s.make('eq', [spread(s.make('cast', [index], { dtype: 'int32' })), element], {});
  const pick = (value: Op, otherwise: number): Op =>
    s.make('where', [meant, value, s.constant(otherwise, value.dtype, common)], {});
  const over = (op: 'reduceSum' | 'reduceMax', x: Op): Op =>
    s.reshape(s.make(op, [x], { axes: [axis + 1] }), shape);

  if (mode === 'add') return s.make('add', [base, over('reduceSum', pick(spread(updates), 0))], {});
  if (mode === 'max')
    return s.make('maximum', [base, over('reduceMax', pick(spread(updates), least[base.dtype]!))], {});
  // The last update wins: its position, counted from 1.
  const position = s.make(
    'add',
    [s.make('iota', [], { shape: common, axis: axis + 1 }), s.constant(1, 'int32', common)],
    {},
  );
  const last = over('reduceMax', pick(position, 0));
  const found = s.make('lt', [s.constant(0, 'int32', shape), last], {});
  const from = s.make('sub', [last, s.constant(1, 'int32', shape)], {});
  return s.make('where', [found, s.make('gather', [updates, from], { axis }), base], {});
}
