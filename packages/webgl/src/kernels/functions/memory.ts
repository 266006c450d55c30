/**
 * Elements out of texels, and into them. A *quad* is four elements from a multiple of four on; a *word* 32 bits, a *half* 16 and a *byte*
 * 8. All give bits, in the low end of a word for each element. Outside a texture there are zeros.
 */
import type { Functions } from './function.ts';

type Unit = 'word' | 'half' | 'byte';
export type MemoryName =
  | `${Unit}_at`
  | 'quad_of_halves'
  | 'quad_of_bytes'
  | 'words_from'
  | 'halves_from'
  | 'bytes_from'
  | 'component'
  | 'window'
  | 'is_set'
  | 'pack_halves'
  | 'pack_bytes';

export const memoryFunctions: Functions<MemoryName> = {
  component: {
    only: `uint component(uvec4 words, int i) {
  uvec2 pair = (i & 2) == 0 ? words.xy : words.zw;
  return (i & 1) == 0 ? pair.x : pair.y;
}`,
  },
  word_at: {
    scalar: `uint word_at(highp usampler2D t, int i) {
  return component(fetch(t, i >> 2), i & 3);
}`,
    vector: `uvec4 word_at(highp usampler2D t, ivec4 i) {
  ivec4 at = i >> 2;
  uvec4 a = fetch(t, at.x);
  uvec4 b = fetch(t, at.y);
  uvec4 c = fetch(t, at.z);
  uvec4 d = fetch(t, at.w);
  return uvec4(component(a, i.x & 3), component(b, i.y & 3), component(c, i.z & 3), component(d, i.w & 3));
}`,
  },
  half_at: `U half_at(highp usampler2D t, I i) {
  return (word_at(t, i >> 1) >> U((i & 1) << 4)) & 0xffffu;
}`,
  byte_at: `U byte_at(highp usampler2D t, I i) {
  return (word_at(t, i >> 2) >> U((i & 3) << 3)) & 0xffu;
}`,
  quad_of_halves: {
    only: `uvec4 quad_of_halves(highp usampler2D t, int quad) {
  uvec4 words = fetch(t, quad >> 1);
  uvec2 pair = (quad & 1) == 0 ? words.xy : words.zw;
  return uvec4(pair.x & 0xffffu, pair.x >> 16u, pair.y & 0xffffu, pair.y >> 16u);
}`,
  },
  quad_of_bytes: {
    only: `uvec4 quad_of_bytes(highp usampler2D t, int quad) {
  uint word = component(fetch(t, quad >> 2), quad & 3);
  return (uvec4(word) >> uvec4(0u, 8u, 16u, 24u)) & 0xffu;
}`,
  },
  // Four of eight elements, from number i of the first four on.
  window: {
    only: `uvec4 window(uvec4 a, uvec4 b, int i) {
  bool two = (i & 2) != 0;
  uvec4 even = two ? uvec4(a.zw, b.xy) : a;
  uint next = two ? b.z : b.x;
  return (i & 1) != 0 ? uvec4(even.yzw, next) : even;
}`,
  },
  // Four elements from any one on.
  words_from: {
    only: `uvec4 words_from(highp usampler2D t, int i) {
  uvec4 a = fetch(t, i >> 2);
  uvec4 b = fetch(t, (i + 3) >> 2);
  return window(a, b, i);
}`,
  },
  halves_from: {
    only: `uvec4 halves_from(highp usampler2D t, int i) {
  uvec4 a = quad_of_halves(t, i >> 2);
  uvec4 b = quad_of_halves(t, (i + 3) >> 2);
  return window(a, b, i);
}`,
  },
  bytes_from: {
    only: `uvec4 bytes_from(highp usampler2D t, int i) {
  uvec4 a = quad_of_bytes(t, i >> 2);
  uvec4 b = quad_of_bytes(t, (i + 3) >> 2);
  return window(a, b, i);
}`,
  },
  is_set: {
    scalar: `bool is_set(uint bits) {
  return bits != 0u;
}`,
    vector: `bvec4 is_set(uvec4 bits) {
  return notEqual(bits, uvec4(0u));
}`,
  },
  pack_halves: {
    only: `uvec2 pack_halves(uvec4 bits) {
  return bits.xz | (bits.yw << 16u);
}`,
  },
  pack_bytes: {
    only: `uint pack_bytes(uvec4 bits) {
  return bits.x | (bits.y << 8u) | (bits.z << 16u) | (bits.w << 24u);
}`,
  },
};
