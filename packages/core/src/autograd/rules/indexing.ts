import { apply } from '../../tensor/apply.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { cast, div, eq, fill, gather, keepWhere, scatter } from '../arithmetic.ts';
import { none, type VjpArguments, type VjpRule, type VjpRules } from '../rule.ts';

type ScatterRule = (
  args: VjpArguments<'scatter'>,
  axis: number,
) => readonly [base: Tensor | undefined, updates: Tensor | undefined];

const addRule: ScatterRule = ({ inputs, gradient, needs }, axis) => [
  gradient,
  needs[2] ? gather(gradient, inputs[1]!, axis) : undefined,
];

/** Where several updates have one index the last was written, and it alone gets the gradient. What was overwritten gets 0. */
const setRule: ScatterRule = ({ inputs, gradient, needs }, axis) => {
  const index = inputs[1]!;
  const forUpdates = (): Tensor => {
    const writer = apply('iota', [], { shape: index.shape, axis }, index.device);
    const last = scatter('max', fill(-1, gradient, 'int32'), index, writer, axis);
    return keepWhere(eq(gather(last, index, axis), writer), gather(gradient, index, axis));
  };
  return [
    needs[0] ? scatter('set', gradient, index, fill(0, index), axis) : undefined,
    needs[2] ? forUpdates() : undefined,
  ];
};

/** All that equal the maximum, the base among them, share the gradient evenly. */
const maxRule: ScatterRule = ({ inputs, output, gradient }, axis) => {
  const [base, index, updates] = inputs as [Tensor, Tensor, Tensor];
  const baseWon = eq(base, output);
  const updateWon = eq(updates, gather(output, index, axis));
  const winners = scatter('add', cast(baseWon, 'float32'), index, cast(updateWon, 'float32'), axis);
  const share = div(gradient, winners);
  return [keepWhere(baseWon, share), keepWhere(updateWon, gather(share, index, axis))];
};

const scatterRules: Readonly<Record<'set' | 'add' | 'max', ScatterRule>> = {
  set: setRule,
  add: addRule,
  max: maxRule,
};

const scatterRule: VjpRule<'scatter'> = (args) => {
  const { mode, axis } = args.attributes;
  const [base, updates] = scatterRules[mode](args, axis);
  return [base, undefined, updates];
};

export const indexingRules: VjpRules<'gather' | 'scatter' | 'randomBits'> = {
  gather: ({ inputs, gradient, attributes }) => [
    scatter('add', fill(0, inputs[0]!), inputs[1]!, gradient, attributes.axis),
  ],
  scatter: scatterRule,
  randomBits: none,
};
