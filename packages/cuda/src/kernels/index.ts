/** Kernels of the compiler's IR as CUDA C++. */
export { compileKernel } from './compile.ts';
export { preludeFor } from './prelude.ts';
