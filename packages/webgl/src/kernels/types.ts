/** Names of types, and values of one width where another is wanted. */
import { bare, type ScalarType } from '@tutti/core/backend';
import type { Width } from './functions/index.ts';

const names: Readonly<Record<Width, Readonly<Record<ScalarType, string>>>> = {
  scalar: { f32: 'float', i32: 'int', u32: 'uint', bool: 'bool' },
  vector: { f32: 'vec4', i32: 'ivec4', u32: 'uvec4', bool: 'bvec4' },
};

export const typeName = (type: ScalarType, width: Width): string => names[width][type];

/** The text of a value, and whether it is one element or four. */
export interface Value {
  readonly text: string;
  readonly width: Width;
}

export const widthOf = (values: readonly Value[]): Width =>
  values.some(({ width }) => width === 'vector') ? 'vector' : 'scalar';

/** A value as a vector, or as it is. */
export function widened({ text, width }: Value, type: ScalarType, wanted: Width): string {
  return width === wanted ? text : `${typeName(type, wanted)}(${bare(text)})`;
}
