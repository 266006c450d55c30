/** Bringing bytes back to the host. */
import type { Rectangle } from '../gpu/draw.ts';
import type { GlContext } from './context.ts';
import type { Fences } from './fences.ts';
import { type Block, texelBytes } from './pool.ts';

/** So many staging buffers are kept, of so many bytes together at most. */
const mostKept = 8;
const keptBytes = 32 * 1024 * 1024;
/** Staging buffers have at least so many bytes: small reads are put together in one. */
const leastBytes = 4096;

interface Staging {
  readonly buffer: WebGLBuffer;
  readonly bytes: number;
}

/** Reads that share a staging buffer and a fence. */
interface Batch {
  readonly staging: Staging;
  /** Bytes that are taken. */
  used: number;
  /** All of them, once they are there. */
  readonly contents: Promise<Uint8Array>;
}

/** What is read for a range of bytes: rows, where it is more than one. */
interface Area {
  readonly rectangle: Rectangle;
  readonly bytes: number;
  /** Where the range begins in it. */
  readonly skip: number;
}

function areaOf({ width }: Block, byteOffset: number, bytes: number): Area {
  const first = Math.floor(byteOffset / texelBytes);
  const last = Math.floor((byteOffset + bytes - 1) / texelBytes);
  const y = Math.floor(first / width);
  const height = Math.floor(last / width) - y + 1;
  const x = height === 1 ? first % width : 0;
  const columns = height === 1 ? last - first + 1 : width;
  return {
    rectangle: { x, y, width: columns, height },
    bytes: columns * height * texelBytes,
    skip: byteOffset - (y * width + x) * texelBytes,
  };
}

/**
 * Reads through staging buffers, behind a fence: to read the pixels themselves would stop the page until the GPU is done. Reads that are
 * asked for in one go (the flags of a step, its loss and its norm) share both, because every fence and every look at a staging buffer is a
 * round trip.
 */
export class Readback {
  readonly #context: GlContext;
  readonly #fences: Fences;
  readonly #kept: Staging[] = [];
  /** The batch that takes further reads. */
  #open: Batch | undefined;

  constructor(context: GlContext, fences: Fences) {
    this.#context = context;
    this.#fences = fences;
    context.health.onFailure(() => this.#dispose());
  }

  /** The value at the time of the call. */
  read(source: Block, byteOffset: number, bytes: number): Promise<Uint8Array> {
    const { gl, health } = this.#context;
    const area = areaOf(source, byteOffset, bytes);
    const batch = this.#batchWith(area.bytes);
    const from = batch.used + area.skip;
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, batch.staging.buffer);
    this.#readPixels(source, area.rectangle, batch.used);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, null);
    batch.used += area.bytes;
    const result = batch.contents.then((all) =>
      bytes === all.byteLength ? all : all.slice(from, from + bytes),
    );
    return health.guard(result);
  }

  /** A batch that has room for so many bytes. */
  #batchWith(bytes: number): Batch {
    if (this.#open && this.#open.used + bytes <= this.#open.staging.bytes) return this.#open;
    const staging = this.#take(bytes);
    // The fence comes when the caller's code has come to its end.
    const passed = Promise.resolve().then(() => {
      if (this.#open === batch) this.#open = undefined;
      return this.#fences.insert();
    });
    const contents = passed.then(() => this.#fetch(batch));
    contents.catch(() => {}); // told to those who read
    const batch: Batch = { staging, used: 0, contents };
    this.#open = batch;
    return batch;
  }

  /** As `read`, and waits for the device. */
  readSync(source: Block, byteOffset: number, bytes: number): Uint8Array {
    const area = areaOf(source, byteOffset, bytes);
    const words = new Uint32Array(area.bytes / 4);
    this.#readPixels(source, area.rectangle, words);
    this.#context.checkErrors(true);
    this.#context.checkLost();
    this.#context.health.check();
    return new Uint8Array(words.buffer).slice(area.skip, area.skip + bytes);
  }

  /** @param into Memory of the host, or an offset in the staging buffer that is bound. */
  #readPixels({ framebuffer }: Block, { x, y, width, height }: Rectangle, into: Uint32Array | number): void {
    const { gl } = this.#context;
    gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
    // Two overloads.
    if (typeof into === 'number') gl.readPixels(x, y, width, height, gl.RGBA_INTEGER, gl.UNSIGNED_INT, into);
    else gl.readPixels(x, y, width, height, gl.RGBA_INTEGER, gl.UNSIGNED_INT, into);
  }

  #fetch({ staging, used }: Batch): Uint8Array {
    this.#context.enter();
    const { gl } = this.#context;
    const contents = new Uint8Array(used);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, staging.buffer);
    gl.getBufferSubData(gl.PIXEL_PACK_BUFFER, 0, contents);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, null);
    this.#release(staging);
    return contents;
  }

  #take(bytes: number): Staging {
    const fits = this.#kept.findIndex((each) => each.bytes >= bytes && each.bytes <= bytes * 4 + leastBytes);
    if (fits >= 0) return this.#kept.splice(fits, 1)[0]!;
    const size = bytes <= leastBytes ? leastBytes : 2 ** Math.ceil(Math.log2(bytes));
    const { gl } = this.#context;
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, buffer);
    gl.bufferData(gl.PIXEL_PACK_BUFFER, size, gl.STREAM_READ);
    return { buffer, bytes: size };
  }

  #release(staging: Staging): void {
    this.#kept.push(staging);
    let sum = this.reserved;
    while (sum > keptBytes || this.#kept.length > mostKept) {
      const oldest = this.#kept.shift()!;
      this.#context.gl.deleteBuffer(oldest.buffer);
      sum -= oldest.bytes;
    }
  }

  /** Bytes of staging buffers that are kept. */
  get reserved(): number {
    return this.#kept.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #dispose(): void {
    for (const { buffer } of this.#kept.splice(0)) this.#context.gl.deleteBuffer(buffer);
  }
}
