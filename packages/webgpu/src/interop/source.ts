/** Pixels on their way to a texture. */
import { asPixels, keptPixels, type Pixels } from '@tutti/core/interop';

/** Puts them into a texture of their size, in format `rgba8unorm`. @throws ArgumentError where the browser keeps them */
export function writePixels(pixels: Pixels, device: GPUDevice, texture: GPUTexture): void {
  const { width, height, from } = pixels;
  if (from.kind === 'bytes') {
    const bytes = from.data as Uint8Array<ArrayBuffer>;
    device.queue.writeTexture({ texture }, bytes, { bytesPerRow: width * 4 }, [width, height]);
    return;
  }
  const { source } = from;
  try {
    device.queue.copyExternalImageToTexture(
      { source: asPixels(source, pixels) },
      { texture, premultipliedAlpha: false, colorSpace: 'srgb' },
      [width, height],
    );
  } catch (cause) {
    throw keptPixels(source, cause);
  }
}
