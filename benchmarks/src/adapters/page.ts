/** The libraries that a page can measure, all on WebGPU. */
import type { Adapters } from '../carry-out.ts';

export const pageAdapters: Adapters = {
  tutti: async () => (await import('./tutti.ts')).tutti('webgpu'),
  'tfjs-webgpu': async () => (await import('./tfjs-webgpu.ts')).adapter,
  'onnxruntime-web': async () => (await import('./onnxruntime-web.ts')).adapter,
  'jax-js': async () => (await import('./jax-js.ts')).jaxJs('webgpu'),
};
