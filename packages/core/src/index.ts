export { type DType, dtypes } from './backend/dtype.ts';
export type { BackendFactory, DeviceInfo, DeviceMemory, ProbeResult } from './backend/backend.ts';
export * from './backend/errors.ts';
export * from './tensor/index.ts';
export * from './ops/primitives.ts';
export * from './autograd/index.ts';
export * from './ops/index.ts';
export * from './runtime/index.ts';
