/** Images, canvases and video frames as tensors. */
import {
  allocateElements,
  asPixels,
  type BrowserImage,
  checkImageOptions,
  checkImageSize,
  type Device,
  defaultDevice,
  drawn,
  fromDeviceBuffer,
  type ImageOptions,
  type ImageSource,
  imagesInTraces,
  keptPixels,
  type Pixels,
  planImage,
  refuseInTrace,
  type Tensor,
} from '@tutti/core/interop';
import type { GlContext } from '../runtime/context.ts';
import { texelsOf } from '../runtime/pool.ts';
import { rectanglesOf } from '../runtime/ranges.ts';
import { backendOf } from './device.ts';
import { imageRecipe, imageScalars } from './image-shader.ts';

const op = 'fromImage';

export interface FromImageOptions extends ImageOptions {
  /** A device of WebGL. Default: the default device. */
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
 * @param source Also an object `{ data, width, height }` with RGBA bytes.
 * @throws ArgumentError for what is no image, has not loaded, or whose pixels the browser keeps to itself; ShapeError,
 * DTypeError; DeviceError when the device is not an open one of WebGL; TraceError inside of a function that `jit` traces.
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
    const target = backend.memoryOf(buffer);
    backend.perform((context, programs) => {
      const texture = upload(context, pixels);
      const draw = programs.use(imageRecipe(dtype, shape[2]));
      const rectangles = rectanglesOf(0, texelsOf(buffer.bytes), target.width);
      draw.run([{ texture }], imageScalars(plan), target, rectangles);
      context.gl.deleteTexture(texture); // what has been submitted still sees it
      context.gl.flush();
    });
    return fromDeviceBuffer(buffer, { shape, dtype, device });
  } catch (error) {
    backend.free(buffer);
    throw error;
  }
}

function upload({ gl }: GlContext, pixels: Pixels): WebGLTexture {
  checkImageSize(pixels, gl.getParameter(gl.MAX_TEXTURE_SIZE) as number);
  const { width, height, from } = pixels;
  const texture = gl.createTexture();
  gl.activeTexture(gl.TEXTURE0);
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA8, width, height);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  if (from.kind === 'bytes') {
    const { data } = from;
    // WebGL takes no memory that threads share.
    const own = data.buffer instanceof ArrayBuffer ? data : data.slice();
    const bytes = new Uint8Array(own.buffer, own.byteOffset, own.byteLength);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    return texture;
  }
  try {
    const source = handedOver(from.source, pixels);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, source);
    return texture;
  } catch (cause) {
    gl.deleteTexture(texture);
    throw keptPixels(from.source, cause);
  }
}

/**
 * A bitmap goes to WebGL as it is, most often with its alpha multiplied in, and does not tell which. A canvas that it is drawn on takes
 * it as it is meant, and is taken apart by WebGL.
 */
function handedOver(source: BrowserImage, pixels: Pixels): BrowserImage {
  const isBitmap = Object.prototype.toString.call(source) === '[object ImageBitmap]';
  return isBitmap ? drawn({ ...pixels, source }) : asPixels(source, pixels);
}
