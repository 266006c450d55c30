/** Sizes and counts. */

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
export const roundUp = (a: number, step: number): number => Math.ceil(a / step) * step;
export const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);
export const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);
