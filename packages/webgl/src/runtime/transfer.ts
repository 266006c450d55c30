/** Bytes from the host to textures, and from one texture to another. */
import type { Target } from '../gpu/draw.ts';
import type { GlContext } from './context.ts';
import { type Block, type TexturePool, texelBytes } from './pool.ts';
import { type Programs, recipeOf } from './programs.ts';
import { type PartialTexel, rectanglesOf, splitTexels, wordMasks } from './ranges.ts';

/** `texel = (t0[0] & ~mask) | (t1[s0] & mask)`: a texel of which a part is written. The mask is s1 to s4. */
const merge = recipeOf({
  name: 'mergeTexel',
  inputs: ['texels', 'texels'],
  scalars: 5,
  code: `uvec4 texel(int index) {
  uvec4 mask = uvec4(uint(s1), uint(s2), uint(s3), uint(s4));
  return (fetch(t0, 0) & ~mask) | (fetch(t1, s0) & mask);
}`,
});

export class Transfer {
  readonly #context: GlContext;
  readonly #pool: TexturePool;
  readonly #programs: Programs;

  constructor(context: GlContext, pool: TexturePool, programs: Programs) {
    this.#context = context;
    this.#pool = pool;
    this.#programs = programs;
  }

  /** Writes bytes of a buffer that has `size` of them. */
  write(target: Block, size: number, data: Uint8Array, byteOffset: number): void {
    const { from, to, partial } = splitTexels(byteOffset, byteOffset + data.byteLength, size);
    if (to > from) {
      const start = from * texelBytes - byteOffset;
      this.#upload(target, from, data.subarray(start, start + (to - from) * texelBytes), to - from);
    }
    for (const each of partial) {
      const bytes = new Uint8Array(texelBytes);
      const start = each.texel * texelBytes + each.from - byteOffset;
      bytes.set(data.subarray(start, start + each.to - each.from), each.from);
      const source = this.#pool.takeTexels(1);
      this.#upload(source, 0, bytes, 1);
      this.#mergeTexel(source, 0, target, each);
      this.#pool.release(source);
    }
  }

  /** Copies bytes from the start of one buffer to the start of another one, which has `size` of them. */
  copy(source: Block, target: Block, bytes: number, size: number): void {
    const { to, partial } = splitTexels(0, bytes, size);
    this.copyTexels(source, target, 0, to);
    for (const each of partial) this.#mergeTexel(source, each.texel, target, each);
  }

  /** Texels `from` to `to` (exclusive), which stay where they are. */
  copyTexels(source: Target, target: Target, from: number, to: number): void {
    const { gl } = this.#context;
    gl.bindFramebuffer(gl.FRAMEBUFFER, source.framebuffer);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, target.texture);
    // Either has one row, or their rows have one length.
    for (const { x, y, width, height } of rectanglesOf(from, to, Math.max(source.width, target.width))) {
      gl.copyTexSubImage2D(gl.TEXTURE_2D, 0, x, y, x, y, width, height);
    }
  }

  /** The data may lack some bytes at the end, where zeros are written. */
  #upload(target: Target, from: number, data: Uint8Array, texels: number): void {
    const words = wordsOf(data, texels);
    const { gl } = this.#context;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, target.texture);
    let at = 0;
    for (const { x, y, width, height } of rectanglesOf(from, from + texels, target.width)) {
      const count = width * height * 4;
      const part = words.subarray(at, at + count);
      gl.texSubImage2D(gl.TEXTURE_2D, 0, x, y, width, height, gl.RGBA_INTEGER, gl.UNSIGNED_INT, part);
      at += count;
    }
  }

  #mergeTexel(source: Target, index: number, target: Target, partial: PartialTexel): void {
    const x = partial.texel % target.width;
    const y = Math.floor(partial.texel / target.width);
    const before = this.#pool.takeTexels(1);
    const { gl } = this.#context;
    gl.bindFramebuffer(gl.FRAMEBUFFER, target.framebuffer);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, before.texture);
    gl.copyTexSubImage2D(gl.TEXTURE_2D, 0, 0, 0, x, y, 1, 1);
    const draw = this.#programs.use(merge);
    draw.run([before, source], [index, ...wordMasks(partial)], target, [{ x, y, width: 1, height: 1 }]);
    this.#pool.release(before);
  }
}

/** As WebGL takes them: words at addresses of words, of memory that no other thread has. */
function wordsOf(data: Uint8Array, texels: number): Uint32Array {
  const fits = data.byteLength === texels * texelBytes && data.byteOffset % 4 === 0;
  if (fits && data.buffer instanceof ArrayBuffer) {
    return new Uint32Array(data.buffer, data.byteOffset, texels * 4);
  }
  const words = new Uint32Array(texels * 4);
  new Uint8Array(words.buffer).set(data);
  return words;
}
