/**
 * Dawn asks its device for news on every turn of the event loop while it waits. Where the device computes on the same
 * processor, that takes one of its cores. After this call it asks once a millisecond.
 */
export function pollGently(): void {
  const atOnce = globalThis.setImmediate;
  const paced = (callback: (...args: unknown[]) => void, ...args: unknown[]): unknown =>
    isNative(callback) ? setTimeout(callback, 1, ...args) : atOnce(callback, ...args);
  globalThis.setImmediate = Object.assign(paced, atOnce) as typeof setImmediate;
}

/** Dawn's callbacks are no JavaScript. */
const isNative = (callback: unknown): boolean => String(callback).includes('[native code]');
