export { type DecodeOptions, decodeSafetensors, safetensorsMetadata } from './decode.ts';
export { encodeSafetensors, type TensorDict } from './encode.ts';
export { loadSafetensors, loadSafetensorsMetadata, saveSafetensors } from './file.ts';
export type { Metadata } from './header.ts';
