/** Kernels of the compiler's IR as CUDA C++. */
export { compileJoint, compileKernel } from './compile.ts';
export { preludeFor } from './prelude.ts';
