/** Constants in GLSL. */
import type { ScalarType } from '@tutti/core/backend';
import { floatLiteral, type Library } from './functions/index.ts';

/** A constant. Compilers may take one zero for the other, and do as they like with infinities and NaN. */
export function literal(type: ScalarType, value: number, library: Library): string {
  if (type === 'bool') return value ? 'true' : 'false';
  if (type === 'u32') return `${value}u`;
  if (type === 'i32') {
    if (value === -(2 ** 31)) return 'int(0x80000000u)';
    return value < 0 ? `(${value})` : `${value}`;
  }
  if (Number.isNaN(value)) return library.call('not_a_number', 'scalar');
  if (!Number.isFinite(value)) {
    const infinity = library.call('infinity', 'scalar');
    return value < 0 ? `(-${infinity})` : infinity;
  }
  if (Object.is(value, -0)) return library.call('negative_zero', 'scalar');
  return value < 0 ? `(${floatLiteral(value)})` : floatLiteral(value);
}
