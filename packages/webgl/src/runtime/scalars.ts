/** Scalars of a command as bits, which is how shaders take them: a float uniform would lose -0 and NaN to gpu.js's caches. */
import { InternalError, type ScalarType } from '@tutti/core/backend';
import type { GlslProgram } from '../program.ts';

const view = new DataView(new ArrayBuffer(4));

const encode: Readonly<Record<ScalarType, (value: number) => void>> = {
  f32: (value) => view.setFloat32(0, value),
  i32: (value) => view.setInt32(0, value),
  u32: (value) => view.setUint32(0, value),
  bool: (value) => view.setUint32(0, value ? 1 : 0),
};

export function scalarBits({ name, scalarTypes }: GlslProgram, values: readonly number[]): number[] {
  if (values.length !== scalarTypes.length) {
    throw new InternalError(`kernel ${name} takes ${scalarTypes.length} scalars and got ${values.length}`);
  }
  return values.map((value, i) => {
    encode[scalarTypes[i]!](value);
    return view.getInt32(0);
  });
}
