export { createCudaBackend, cuda } from './factory.ts';
export type { CudaOptions } from './options.ts';
