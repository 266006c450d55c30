export type { ImageSource, PixelData, PixelDType, PixelNormalization } from '@tutti/core/interop';
export { createWebglBackend, type WebglOptions, webgl } from './factory.ts';
export { toCanvas } from './interop/canvas.ts';
export { type FromImageOptions, fromImage } from './interop/image.ts';
