import type { Adapter } from './adapter.ts';

/** The library itself, and the peers that `--peers` adds. Each is loaded only in the process that measures it. */
export const adapters: Readonly<Record<string, () => Promise<Adapter>>> = {
  tutti: async () => (await import('./tutti.ts')).adapter,
  'tfjs-wasm': async () => (await import('./tfjs-wasm.ts')).adapter,
  'jax-js': async () => (await import('./jax-js.ts')).adapter,
};

export const ours = 'tutti';
export const peers: readonly string[] = Object.keys(adapters).filter((name) => name !== ours);
