/** What the adapter of this library makes of a piece of work. */
export type Tutti = typeof import('tutti');

export interface Queue {
  /** Does the work once, and does not wait. */
  queue(): Promise<void>;
  result(): Promise<Float32Array>;
  /** True where waiting is not part of the work. */
  readonly queueOnly?: boolean | undefined;
  /** What the work consists of, by itself. */
  readonly parts?: Readonly<Record<string, () => Promise<void>>>;
}

export const asFloats = (values: ArrayLike<number>): Float32Array =>
  values instanceof Float32Array ? values : Float32Array.from(values);
