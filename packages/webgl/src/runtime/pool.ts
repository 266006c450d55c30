/** Memory of the device: textures, kept for reuse. */
import { OutOfMemoryError, type OwnedBuffer, Pool } from '@tutti/core/backend';
import type { Target } from '../gpu/draw.ts';

export const texelBytes = 16;

/** Texels that hold so many bytes. There is no texture without a texel. */
export const texelsOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / texelBytes));

/** Width and height of a texture. */
interface Extent {
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
}

/** A texture of the pool. */
export interface Block extends Target {
  /** All of them: rows are full, so that there may be more than were asked for. */
  readonly texels: number;
  readonly bytes: number;
}

/** A buffer of this backend. What is computed in place goes to another texture, which then takes this one's place. */
export type WebglBuffer = OwnedBuffer<Block>;

/** What makes textures, and lets them go. */
export interface TextureMaker {
  /** Undefined where there is no memory for it. */
  create(width: number, height: number): Target | undefined;
  destroy(target: Target): void;
}

const reservedAnyway = 64 * 1024 * 1024;

/** Textures serve requests of exactly their size. */
export class TexturePool extends Pool<Extent, Block> {
  readonly #rowTexels: number;

  constructor(rowTexels: number, maker: TextureMaker) {
    super(
      {
        keyOf: ({ width, height }) => `${width}x${height}`,
        make: ({ width, height, bytes }) => {
          const target = maker.create(width, height);
          return target && { ...target, texels: width * height, bytes };
        },
        destroy: (block) => maker.destroy(block),
        exhausted: ({ bytes }) =>
          new OutOfMemoryError(`the GPU has no memory for a texture of ${bytes} bytes`, {
            received: bytes,
            fix: 'free tensors (scope, dispose), use smaller batches, or close other pages',
          }),
      },
      { reservedAnyway },
    );
    this.#rowTexels = rowTexels;
  }

  /** @param rowTexels Texels in a row, where that is not what it is for all buffers. @throws OutOfMemoryError */
  takeTexels(texels: number, rowTexels: number = this.#rowTexels): Block {
    const width = Math.min(texels, rowTexels);
    const height = Math.ceil(texels / width);
    return this.take({ width, height, bytes: width * height * texelBytes });
  }
}
