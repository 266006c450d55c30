import type { BackendFactory } from '@tutti/core/backend';
import { cpu } from '@tutti/cpu';
import { failedImport, optionalBackend } from './load.ts';

/** A backend that this package can find without being told where it is. */
export interface KnownBackend {
  /** The first half of its device ids. */
  readonly name: string;
  /** The npm package that brings it. It exports a factory under the backend's name. */
  readonly package: string;
  /** Where it runs, in a few words. */
  readonly runs: string;
  /** True for one that comes with this package; the others are installed by whoever wants them. */
  readonly included: boolean;
  /** True where there is no such package yet. */
  readonly planned: boolean;
  /** True for one that no page has. */
  readonly nodeOnly: boolean;
  /** Imports nothing before it is asked for something. */
  readonly factory: BackendFactory;
}

/**
 * All known backends, in the order of the automatic choice. To add one is to add an entry, and its package to the optional
 * peer dependencies. One that is planned has its types in a `declare module` until it is there.
 *
 * The imports stand in `try` blocks with their names written out: a bundler then takes in those that are installed, and
 * leaves the others as a failure at run time, which is an answer.
 */
export const knownBackends: readonly KnownBackend[] = [
  {
    name: 'cuda',
    package: '@tutti/cuda',
    runs: 'NVIDIA GPUs, in Node',
    included: false,
    planned: false,
    nodeOnly: true,
    factory: optionalBackend({ name: 'cuda', priority: 40, planned: false, nodeOnly: true }, async () => {
      try {
        return (await import('@tutti/cuda')).cuda;
      } catch (cause) {
        return failedImport('cuda', cause);
      }
    }),
  },
  {
    name: 'webgpu',
    package: '@tutti/webgpu',
    runs: 'GPUs, in browsers with WebGPU and in Node',
    included: false,
    planned: false,
    nodeOnly: false,
    factory: optionalBackend({ name: 'webgpu', priority: 30, planned: false }, async () => {
      try {
        return (await import('@tutti/webgpu')).webgpu;
      } catch (cause) {
        return failedImport('webgpu', cause);
      }
    }),
  },
  {
    name: 'webgl',
    package: '@tutti/webgl',
    runs: 'GPUs, in browsers with WebGL 2',
    included: false,
    planned: false,
    nodeOnly: false,
    factory: optionalBackend({ name: 'webgl', priority: 20, planned: false }, async () => {
      try {
        return (await import('@tutti/webgl')).webgl;
      } catch (cause) {
        return failedImport('webgl', cause);
      }
    }),
  },
  {
    name: 'cpu',
    package: '@tutti/cpu',
    runs: 'every processor with WebAssembly SIMD, in browsers and in Node',
    included: true,
    planned: false,
    nodeOnly: false,
    factory: cpu,
  },
];
