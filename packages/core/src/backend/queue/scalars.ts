/** Scalars of a command as they are handed to a kernel. */
import type { ScalarType } from '../dtype.ts';
import { InternalError } from '../errors.ts';

const view = new DataView(new ArrayBuffer(4));

const encode: Readonly<Record<ScalarType, (value: number) => void>> = {
  f32: (value) => view.setFloat32(0, value),
  i32: (value) => view.setInt32(0, value),
  u32: (value) => view.setUint32(0, value),
  bool: (value) => view.setUint32(0, value ? 1 : 0),
};

/** The raw bits of a program's scalars, one word each; a bool is 0 or 1. */
export function scalarBits(
  { name, scalarTypes }: { readonly name: string; readonly scalarTypes: readonly ScalarType[] },
  values: readonly number[],
): Uint32Array<ArrayBuffer> {
  if (values.length !== scalarTypes.length) {
    throw new InternalError(`kernel ${name} takes ${scalarTypes.length} scalars and got ${values.length}`);
  }
  const bits = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    encode[scalarTypes[i]!](values[i]!);
    bits[i] = view.getUint32(0);
  }
  return bits;
}
