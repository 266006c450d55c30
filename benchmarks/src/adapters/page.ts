/** The libraries that a page can measure. */
import type { Adapters } from '../carry-out.ts';
import type { PagePlace } from '../suites.ts';

export const pageAdapters: Readonly<Record<PagePlace, Adapters>> = {
  webgpuPage: {
    tutti: async () => (await import('./tutti.ts')).tutti({ device: 'webgpu' }),
    'tfjs-webgpu': async () => (await import('./tfjs-webgpu.ts')).adapter,
    'onnxruntime-web': async () => (await import('./onnxruntime-web.ts')).adapter,
    'jax-js': async () => (await import('./jax-js.ts')).jaxJs('webgpu'),
  },
  webglPage: {
    tutti: async () => (await import('./tutti.ts')).tutti({ device: 'webgl' }),
    'tfjs-webgl': async () => (await import('./tfjs-webgl.ts')).adapter,
  },
};
