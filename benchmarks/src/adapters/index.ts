/** The libraries that a process can measure. Those of a page are in `page.ts`. */
import type { Adapters } from '../carry-out.ts';

export const nodeAdapters: Adapters = {
  tutti: async () => (await import('./tutti.ts')).tutti('auto'),
  'tfjs-wasm': async () => (await import('./tfjs-wasm.ts')).adapter,
  'jax-js': async () => (await import('./jax-js.ts')).jaxJs('wasm'),
};

/** Those that run on WebGPU in Node. */
export const dawnAdapters: Adapters = {
  tutti: async () => (await import('./tutti.ts')).tutti('webgpu'),
};
