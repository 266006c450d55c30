/**
 * Operands of a product as its core reads them: texels of four elements, in *lines* that run along k or across it.
 *
 *     lhs (m, k)    a line is a row (along k), or a column (across)
 *     rhs (k, n)    a line is a column (along k), or a row (across)
 *
 * An operand whose lines do not start at whole texels, or that is not made of 32-bit words, is written anew into scratch memory.
 */
import {
  type BufferParam,
  ceilDiv,
  type DotOperand,
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Product,
  type ProductOperand,
  product,
  roundUp,
  type ScalarType,
} from '@tutti/core/backend';
import type { GlslStage, ShaderFeatures, StageBuffer } from '../program.ts';
import { type Copy, copyStages } from './copy.ts';

/** Offsets and strides are in texels. */
export interface Texels {
  readonly source: StageBuffer;
  /** Texels of its buffer. */
  readonly total: number;
  readonly along: 'k' | 'across';
  readonly offset: number;
  readonly batch: readonly number[];
  /** From one line to the next. */
  readonly line: number;
  /** Texels of a line. */
  readonly length: number;
}

export interface Relaid {
  readonly texels: Texels;
  /** Writes the operand anew; none where it can be read as it is. */
  readonly stages: readonly GlslStage[];
  /** Bytes of scratch memory. */
  readonly bytes: number;
}

/** An operand with the names of its dimensions: k, and the other one. */
interface Side extends Pick<DotOperand, 'dtype' | 'offset' | 'batch'> {
  readonly slot: number;
  readonly k: { readonly extent: number; readonly stride: number };
  readonly other: { readonly extent: number; readonly stride: number };
  /** Lines may run across k. */
  readonly mayCross: boolean;
}

const sideOf = (
  operand: ProductOperand,
  k: number,
  kStride: number,
  other: number,
  stride: number,
  mayCross: boolean,
): Side => ({
  ...operand,
  k: { extent: k, stride: kStride },
  other: { extent: other, stride },
  mayCross,
});

/** Four rows lie in the texels of a line across k, which takes four outputs. */
export const lhsOf = ({ lhs, m, k }: Product, { maxOutputs }: ShaderFeatures): Side =>
  sideOf(lhs, k, lhs.column, m, lhs.row, maxOutputs >= 4);
export const rhsOf = ({ rhs, n, k }: Product): Side => sideOf(rhs, k, rhs.row, n, rhs.column, true);

/** The operand as it lies, where its lines are made of whole texels. */
function direct(side: Side, { length }: BufferParam): Texels | undefined {
  const { dtype, offset, batch, slot } = side;
  if (dtypeInfo[dtype].bytes !== 4 || ![offset, ...batch].every((each) => each % 4 === 0)) return undefined;
  for (const along of side.mayCross ? (['k', 'across'] as const) : (['k'] as const)) {
    const [inner, outer] = along === 'k' ? [side.k, side.other] : [side.other, side.k];
    const isWhole = inner.extent === 1 || inner.stride === 1;
    if (!isWhole || (outer.extent > 1 && outer.stride % 4 !== 0)) continue;
    return {
      source: { kind: 'buffer', index: slot },
      total: ceilDiv(length, 4),
      along,
      offset: offset / 4,
      batch: batch.map((each) => each / 4),
      line: outer.extent > 1 ? outer.stride / 4 : ceilDiv(inner.extent, 4),
      length: ceilDiv(inner.extent, 4),
    };
  }
  return undefined;
}

const wide = { f32: 'float32', i32: 'int32', u32: 'uint32', bool: 'bool' } as const;

export const isDirect = (side: Side, buffer: BufferParam): boolean => direct(side, buffer) !== undefined;

/** @param scratch The number of a scratch buffer that it may have. */
export function relay(
  side: Side,
  { type, batch, anchor }: Product,
  scratch: number,
  features: ShaderFeatures,
): Relaid {
  const buffer = anchor.buffers[side.slot]!;
  const texels = direct(side, buffer);
  if (texels) return { texels, stages: [], bytes: 0 };
  const isCrossing =
    side.mayCross && side.k.stride !== 1 && side.other.stride === 1 && side.other.extent >= 4;
  const along = isCrossing ? 'across' : 'k';
  const [inner, outer] = along === 'k' ? [side.k, side.other] : [side.other, side.k];
  const width = roundUp(inner.extent, 4);
  const extents = batch.map((extent, i) => (side.batch[i] === 0 ? 1 : extent));
  const copy = relayed(side, type, extents, outer, inner);
  const matrix = (outer.extent * width) / 4;
  const strides = extents.map((extent, i) =>
    extent === 1 && side.batch[i] === 0 ? 0 : matrix * product(extents.slice(i + 1)),
  );
  const source: StageBuffer = { kind: 'scratch', index: scratch };
  return {
    texels: {
      source,
      total: matrix * product(extents),
      along,
      offset: 0,
      batch: strides,
      line: width / 4,
      length: width / 4,
    },
    stages: copyStages(copy, side.slot, source, features),
    bytes: matrix * product(extents) * 16,
  };
}

/** Lines one after the other, each filled up with zeros to whole texels. */
function relayed(
  { dtype, offset, batch }: Side,
  type: ScalarType,
  extents: readonly number[],
  outer: Side['k'],
  inner: Side['k'],
): Copy {
  const b = new ExpressionBuilder();
  const width = roundUp(inner.extent, 4);
  const space: IndexVariable[] = [];
  let index: Expression = b.int(offset);
  const add = (variable: IndexVariable, stride: number): void => {
    if (variable.extent === 1) return;
    space.push(variable);
    index = b.alu('add', 'i32', index, b.alu('mul', 'i32', b.index(variable), b.int(stride)));
  };
  for (const [i, extent] of extents.entries()) add({ name: `b${i}`, extent }, batch[i]!);
  add({ name: 'line', extent: outer.extent }, outer.stride);
  const column = { name: 'column', extent: width };
  add(column, inner.stride);
  const guard =
    width === inner.extent ? undefined : b.alu('lt', 'bool', b.index(column), b.int(inner.extent));
  return { name: 'relay', from: dtype, to: wide[type], space, value: b.load(type, 0, index, guard) };
}
