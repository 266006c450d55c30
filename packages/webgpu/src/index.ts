export { createWebgpuBackend, type WebgpuOptions, webgpu } from './factory.ts';
