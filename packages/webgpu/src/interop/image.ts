/** Images, canvases and video frames as tensors. */
import {
  allocateElements,
  checkImageOptions,
  checkImageSize,
  type Device,
  defaultDevice,
  fromDeviceBuffer,
  type ImageOptions,
  type ImagePlan,
  type ImageSource,
  imagesInTraces,
  type Pixels,
  planImage,
  refuseInTrace,
  type Tensor,
} from '@tutti/core/interop';
import { backendOf } from './device.ts';
import { imagePipeline, runOver } from './image-shader.ts';
import { uniformBuffer } from './resources.ts';
import { writePixels } from './source.ts';

const op = 'fromImage';

export interface FromImageOptions extends ImageOptions {
  /** A device of WebGPU. Default: the default device. */
  readonly device?: Device;
}

/**
 * The pixels of an image, a canvas, a video or one of its frames as a tensor `[height, width, channels]`. They go to the GPU
 * as the browser has them, and become a tensor there: no JavaScript array is in between, and nothing is waited for. The
 * image is looked at before this returns, so that a frame may be closed or a canvas painted over.
 *
 * Colours are those of sRGB, alpha is not multiplied in. Grey is `0.299 R + 0.587 G + 0.114 B`. Scaling is linear between the
 * four nearest pixels, whose centres are at halves (`align_corners=False`); to make an image much smaller, scale it with
 * `createImageBitmap(image, { resizeWidth, resizeHeight, resizeQuality: 'high' })` first. uint8 rounds to the nearest.
 *
 * An image element (and a frame that is shown in another size than it has) is taken as pages show it, from a canvas, which keeps colours
 * multiplied by their alpha.
 *
 * @param source Also an object `{ data, width, height }` with RGBA bytes: there are no images in Node.
 * @throws ArgumentError for what is no image, has not loaded, or whose pixels the browser keeps to itself; ShapeError,
 * DTypeError; DeviceError when the device is not an open one of WebGPU; TraceError inside of a function that `jit` traces.
 *
 * @example
 * const pixels = fromImage(video, { shape: [224, 224, 3], normalize: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } });
 * const batch = pixels.permute([2, 0, 1]).unsqueeze(0); // (1, 3, 224, 224)
 */
export function fromImage(source: ImageSource, options: FromImageOptions = {}): Tensor {
  refuseInTrace(op, imagesInTraces);
  checkImageOptions(options);
  const { device = defaultDevice() } = options;
  const backend = backendOf(device, op);
  const plan = planImage(source, options);
  const { pixels, shape, dtype } = plan;
  const buffer = allocateElements(op, { shape, dtype, device });
  try {
    const { gpu, offset } = backend.memoryOf(buffer);
    backend.perform('while an image became a tensor', (on) => {
      const texture = upload(on, pixels);
      const uniforms = uniformBuffer(on, parameters(plan));
      const words = Math.ceil(buffer.bytes / 4);
      runOver(on, words, imagePipeline(on, dtype, shape[2]), [
        texture.createView(),
        { buffer: gpu, offset, size: words * 4 },
        { buffer: uniforms },
      ]);
      // What has been submitted still sees them.
      texture.destroy();
      uniforms.destroy();
    });
    return fromDeviceBuffer(buffer, { shape, dtype, device });
  } catch (error) {
    backend.free(buffer);
    throw error;
  }
}

/** `TEXTURE_BINDING | COPY_DST | RENDER_ATTACHMENT`: the last, because browsers draw images that they copy. */
const textureUsage = 0x04 | 0x02 | 0x10;

function upload(device: GPUDevice, pixels: Pixels): GPUTexture {
  checkImageSize(pixels, device.limits.maxTextureDimension2D);
  const { width, height } = pixels;
  const texture = device.createTexture({ size: [width, height], format: 'rgba8unorm', usage: textureUsage });
  try {
    writePixels(pixels, device, texture);
  } catch (error) {
    texture.destroy();
    throw error;
  }
  return texture;
}

/** Sizes of source and result, mean and scale. */
function parameters({ pixels, shape, mean, scale }: ImagePlan): Uint32Array<ArrayBuffer> {
  const [height, width] = shape;
  const floats = Float32Array.of(...mean, ...scale);
  return Uint32Array.of(pixels.width, pixels.height, width, height, ...new Uint32Array(floats.buffer));
}
