export * from './evaluate.ts';
export { erf, power, roundEven, wrap } from './numbers.ts';
export { type FloatFormat, fromBits, roundTo, unitInLastPlace } from './rounding.ts';
export * from './table.ts';
export * from './threefry.ts';
export * from './value.ts';
