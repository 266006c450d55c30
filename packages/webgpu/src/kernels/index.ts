/** Kernels of the compiler's IR as WGSL. */
export { compileKernel } from './compile.ts';
