/**
 * Pixels to elements: `element[(y * width + x) * channels + c] = (colour of channel c at (x, y) - mean[c]) * scale[c]`. A texel has 4
 * float32 or 16 uint8, which may be of several pixels.
 */
import type { Channels, ImagePlan, PixelDType } from '@tutti/core/interop';
import type { Recipe } from '../runtime/programs.ts';
import { namedRecipe } from './recipes.ts';

const shared = (channels: Channels): string => `ivec2 source() { return ivec2(s0, s1); }
ivec2 size() { return ivec2(s2, s3); }
vec4 mean() { return intBitsToFloat(ivec4(s4, s5, s6, s7)); }
vec4 scale() { return intBitsToFloat(ivec4(s8, s9, s10, s11)); }

vec4 pixel(int x, int y) { return texelFetch(t0, ivec2(x, y), 0); }

vec4 colour(ivec2 at) {
  if (source() == size()) { return pixel(at.x, at.y); }
  vec2 ratio = vec2(source()) / vec2(size());
  vec2 place = clamp((vec2(at) + 0.5) * ratio - 0.5, vec2(0.0), vec2(source() - 1));
  ivec2 low = ivec2(place);
  ivec2 high = min(low + 1, source() - 1);
  vec2 part = place - vec2(low);
  vec4 top = mix(pixel(low.x, low.y), pixel(high.x, low.y), part.x);
  vec4 bottom = mix(pixel(low.x, high.y), pixel(high.x, high.y), part.x);
  return mix(top, bottom, part.y);
}

float element(int index) {
  if (index >= size().x * size().y * ${channels}) { return 0.0; }
  int channel = index % ${channels};
  int position = index / ${channels};
  vec4 rgba = colour(ivec2(position % size().x, position / size().x));
  float value = ${channels === 1 ? 'dot(rgba.rgb, vec3(0.299, 0.587, 0.114))' : 'rgba[channel]'};
  return (value - mean()[channel]) * scale()[channel];
}
`;

const texel: Readonly<Record<PixelDType, string>> = {
  float32: `uvec4 texel(int index) {
  int first = index * 4;
  return floatBitsToUint(vec4(element(first), element(first + 1), element(first + 2), element(first + 3)));
}`,
  uint8: `uint byteOf(int index) { return uint(clamp(element(index), 0.0, 1.0) * 255.0 + 0.5); }
uint word(int first) {
  return byteOf(first) | (byteOf(first + 1) << 8) | (byteOf(first + 2) << 16) | (byteOf(first + 3) << 24);
}
uvec4 texel(int index) {
  int first = index * 16;
  return uvec4(word(first), word(first + 4), word(first + 8), word(first + 12));
}`,
};

/** Reads an image as its only input; its scalars are those of {@link imageScalars}. */
export const imageRecipe = (dtype: PixelDType, channels: Channels): Recipe =>
  namedRecipe(`fromImage ${dtype} ${channels}`, () => ({
    code: `${shared(channels)}\n${texel[dtype]}`,
    inputs: ['pixels'],
    scalars: 12,
  }));

/** Sizes of source and result, mean and scale, as bits. */
export function imageScalars({ pixels, shape, mean, scale }: ImagePlan): number[] {
  const [height, width] = shape;
  const floats = Float32Array.of(...mean, ...scale);
  return [pixels.width, pixels.height, width, height, ...new Int32Array(floats.buffer)];
}
