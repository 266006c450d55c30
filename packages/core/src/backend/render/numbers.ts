/** Sizes and counts. */

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
export const roundUp = (a: number, step: number): number => Math.ceil(a / step) * step;
export const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
export const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);
export const clamp = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x));

/** The largest power of two, from 1 on, that is not above a number. */
export const powerBelow = (x: number): number => 2 ** Math.max(0, Math.floor(Math.log2(x)));
/** The least power of two, from 1 on, that is not below a number. */
export const powerAbove = (x: number): number => 2 ** Math.max(0, Math.ceil(Math.log2(x)));
