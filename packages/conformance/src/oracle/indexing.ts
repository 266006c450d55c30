import { count, forEachIndex, position } from './indices.ts';
import { wrap } from './numbers.ts';
import { threefry2x32 } from './threefry.ts';
import { type OracleFunction, operand } from './value.ts';

const replaced = (index: readonly number[], axis: number, at: number): number[] =>
  index.map((i, a) => (a === axis ? at : i));

export const gather: OracleFunction<'gather'> = (operands, node) => {
  const x = operand(operands, 0);
  const chosen = operand(operands, 1);
  const { axis } = node.attributes;
  const out = new Float64Array(count(node.shape));
  forEachIndex(node.shape, (index, flat) => {
    const at = chosen.values[flat]!;
    const inRange = at >= 0 && at < x.shape[axis]!;
    out[flat] = inRange ? x.values[position(replaced(index, axis, at), x.shape)]! : 0;
  });
  return out;
};

export const scatter: OracleFunction<'scatter'> = (operands, node) => {
  const [base, chosen, updates] = [operand(operands, 0), operand(operands, 1), operand(operands, 2)];
  const { axis, mode } = node.attributes;
  const out = base.values.slice();
  forEachIndex(chosen.shape, (index, flat) => {
    const at = chosen.values[flat]!;
    if (at < 0 || at >= base.shape[axis]!) return;
    const target = position(replaced(index, axis, at), base.shape);
    const update = updates.values[flat]!;
    if (mode === 'set') out[target] = update;
    else if (mode === 'add') out[target] = wrap(out[target]! + update, base.dtype);
    else out[target] = Math.max(out[target]!, update);
  });
  return out;
};

export const randomBits: OracleFunction<'randomBits'> = (operands, node) => {
  const key = operand(operands, 0).values;
  return new Float64Array(count(node.shape)).map((_, i) => threefry2x32([key[0]!, key[1]!], [i, 0])[0]);
};
