/** Tensors on canvases. */
import type { DeviceBuffer } from '@tutti/core/backend';
import {
  allocateElements,
  checkPicture,
  checkPictureSize,
  contextOfCanvas,
  type Device,
  type Picture,
  type PixelDType,
  refuseInTrace,
  type Tensor,
  useDeviceBuffer,
} from '@tutti/core/interop';
import { texelsOf } from '../runtime/pool.ts';
import type { Recipe } from '../runtime/programs.ts';
import { rectanglesOf } from '../runtime/ranges.ts';
import { backendOf } from './device.ts';
import { namedRecipe } from './recipes.ts';

const op = 'toCanvas';

/**
 * Shows a tensor on a canvas, whose size becomes that of the tensor. A canvas of the page cannot be drawn to by the context that computes,
 * so the pixels, as bytes, take the way of a read: the page waits for nothing meanwhile.
 *
 * Shape `[height, width]` or `[height, width, channels]` with 1 (grey), 3 (RGB) or 4 channels (RGBA, alpha not multiplied in).
 * dtype uint8 is 0 to 255, float32 is 0 to 1; what is outside is clamped.
 *
 * @param canvas One that has no context yet, or one for two dimensions.
 * @throws ShapeError, also for more pixels in a row or a column than the device has in a texture; DTypeError; ArgumentError for what is
 * no tensor, what is no canvas, and one that has another context; DeviceError for a tensor that is not on WebGL.
 *
 * @example
 * await toCanvas(sub(1, fromImage(video, { dtype: 'float32' })), canvas); // the negative
 */
export function toCanvas(tensor: Tensor, canvas: HTMLCanvasElement | OffscreenCanvas): Promise<void> {
  refuseInTrace(op); // at once, because nobody there could wait for a promise
  return show(tensor, canvas);
}

async function show(tensor: Tensor, canvas: HTMLCanvasElement | OffscreenCanvas): Promise<void> {
  const picture = checkPicture(tensor);
  const context = contextOfCanvas(
    canvas,
    '2d',
    "take a canvas that has none yet, or one of canvas.getContext('2d')",
  ) as CanvasRenderingContext2D;
  const data = await useDeviceBuffer(tensor, op, (own, device) => bytesOf(device, own, picture));
  const { height, width } = picture;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const pixels = new Uint8ClampedArray(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  context.putImageData(new ImageData(pixels, width, height), 0, 0);
}

/** RGBA, as an `ImageData` has it. */
function bytesOf(device: Device, source: DeviceBuffer, picture: Picture): Promise<Uint8Array> {
  const backend = backendOf(device, op);
  const from = backend.memoryOf(source);
  return backend.perform(({ gl }, programs) => {
    checkPictureSize(picture, gl.getParameter(gl.MAX_TEXTURE_SIZE) as number);
    const draw = programs.use(recipe(picture));
    const { height, width } = picture;
    const buffer = allocateElements(op, { shape: [height, width, 4], dtype: 'uint8', device });
    const target = backend.memoryOf(buffer);
    draw.run([from], [height * width], target, rectanglesOf(0, texelsOf(buffer.bytes), target.width));
    const read = backend.read(buffer, 0, buffer.bytes);
    backend.free(buffer); // the read has been asked for
    return read;
  });
}

const load: Readonly<Record<PixelDType, string>> = {
  float32: 'return uintBitsToFloat(fetch(t0, index >> 2)[index & 3]);',
  uint8: 'return float((fetch(t0, index >> 4)[(index >> 2) & 3] >> uint(8 * (index & 3))) & 255u) / 255.0;',
};

const colours: Readonly<Record<number, string>> = {
  1: 'vec4(vec3(load(first)), 1.0)',
  3: 'vec4(load(first), load(first + 1), load(first + 2), 1.0)',
  4: 'vec4(load(first), load(first + 1), load(first + 2), load(first + 3))',
};

/** A texel has four pixels. `s0` is how many there are. */
const recipe = ({ dtype, channels }: Picture): Recipe =>
  namedRecipe(`${op} ${dtype} ${channels}`, () => ({
    inputs: ['texels'],
    scalars: 1,
    code: `float load(int index) { ${load[dtype]} }

uint pixel(int number) {
  if (number >= s0) { return 0u; }
  int first = number * ${channels};
  uvec4 bytes = uvec4(clamp(${colours[channels]}, 0.0, 1.0) * 255.0 + 0.5);
  return bytes.x | (bytes.y << 8) | (bytes.z << 16) | (bytes.w << 24);
}

uvec4 texel(int index) {
  int first = index * 4;
  return uvec4(pixel(first), pixel(first + 1), pixel(first + 2), pixel(first + 3));
}`,
  }));
