export type { ImageSource, PixelData, PixelNormalization } from '@tutti/core/interop';
export { createWebgpuBackend, type WebgpuOptions, webgpu } from './factory.ts';
export {
  type FromGPUBufferOptions,
  fromGPUBuffer,
  gpuBufferOf,
  type TensorMemory,
} from './interop/buffer.ts';
export { toCanvas } from './interop/canvas.ts';
export { gpuDeviceOf } from './interop/device.ts';
export { type FromImageOptions, fromImage } from './interop/image.ts';
export { Tuning, type TuningChoice, tuning } from './tuning.ts';
