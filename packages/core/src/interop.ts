/**
 * Tensors from the memory of a device, and the memory of tensors. For packages of backends that share a device with programs
 * which are not ours: what another library computed becomes a tensor, and a tensor goes to a renderer, without a copy.
 *
 * The contract of backends (`@tutti/core/backend`) knows buffers and no tensors, so this stands beside it. Users of tensors
 * need nothing from here: they call what such a package makes of it.
 */
export { closestName } from './backend/suggest.ts';
export { asPixels, drawn, newCanvas } from './images/drawn.ts';
export {
  type Channels,
  checkImageOptions,
  checkImageSize,
  type ImageOptions,
  type ImagePlan,
  imagesInTraces,
  type PixelDType,
  type PixelNormalization,
  planImage,
} from './images/options.ts';
export {
  checkPicture,
  checkPictureSize,
  contextOfCanvas,
  type Picture,
} from './images/picture.ts';
export {
  type BrowserImage,
  type ImageSource,
  keptPixels,
  type PixelData,
  type Pixels,
} from './images/source.ts';
export { allocateElements } from './runtime/allocation.ts';
export { backendOfDevice, type OwnBackend } from './runtime/device-backend.ts';
export {
  type DeviceBufferOptions,
  deviceBufferOf,
  fromDeviceBuffer,
  refuseInTrace,
  useDeviceBuffer,
} from './runtime/device-memory.ts';
export { defaultDevice } from './tensor/context.ts';
export { describe, isPromise } from './tensor/describe.ts';
export { Device } from './tensor/device.ts';
export { checkOptions, type OptionNames, refusedOption, requireOptions } from './tensor/options.ts';
export { checkShape, formatShape, type Shape, sizeOf } from './tensor/shape.ts';
export { requireTensor, Tensor } from './tensor/tensor.ts';
