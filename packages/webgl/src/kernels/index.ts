/** Kernels of the compiler's IR as GLSL. */
export { compileKernel } from './compile.ts';
