/** A small WebAssembly assembler: what generated kernels need, and no more. */
export { ByteWriter } from './bytes.ts';
export { FunctionBuilder, type Label, type Local, type Signature, type ValueType } from './function.ts';
export { type MemoryLimits, ModuleBuilder, maximumPages } from './module.ts';
export type { LaneOp, LoadLaneOp, LoadOp, MemoryOp, PlainOp, StoreLaneOp, StoreOp } from './opcodes.ts';
