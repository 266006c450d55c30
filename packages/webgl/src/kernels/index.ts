/** Kernels of the compiler's IR as GLSL. */
export { compileKernel, compileStage } from './compile.ts';
