/**
 * float16 and bfloat16 in the low 16 bits of a word, to and from f32, with integer arithmetic: built-in conversions may flush
 * denormals and round either way. Round to nearest, ties to even; the same bits as the host's conversions.
 */
import type { Functions } from './function.ts';

export type HalvesName =
  | 'f32_to_f16'
  | 'f16_to_f32'
  | 'f32_to_bf16'
  | 'bf16_to_f32'
  | 'round_f16'
  | 'round_bf16';

export const halvesFunctions: Functions<HalvesName> = {
  f16_to_f32: `fn f16_to_f32(half: u32) -> f32 {
  let magnitude = half & 0x7fffu;
  let denormal = bitcast<u32>(f32(magnitude) * 5.9604645e-8);
  let normal = (magnitude << 13u) + select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
  return bitcast<f32>(select(normal, denormal, magnitude < 0x400u) | ((half & 0x8000u) << 16u));
}`,
  // Adding 0.5 aligns the last bit of a float with 2^-24, the step of the denormals, so that the adder rounds.
  f32_to_f16: `fn f32_to_f16(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let magnitude = bits & 0x7fffffffu;
  let normal = (magnitude + ((magnitude >> 13u) & 1u) - 0x37fff001u) >> 13u;
  let denormal = bitcast<u32>(abs(x) + 0.5) - 0x3f000000u;
  let finite = select(normal, denormal, magnitude < 0x38800000u);
  let limited = select(finite, 0x7c00u, magnitude >= 0x477ff000u);
  return select(limited, 0x7e00u, magnitude > 0x7f800000u) | ((bits >> 16u) & 0x8000u);
}`,
  bf16_to_f32: `fn bf16_to_f32(half: u32) -> f32 {
  return bitcast<f32>(half << 16u);
}`,
  f32_to_bf16: `fn f32_to_bf16(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let rounded = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
  return select(rounded, (bits >> 16u) | 0x40u, is_nan(x));
}`,
  round_f16: `fn round_f16(x: f32) -> f32 {
  return f16_to_f32(f32_to_f16(x));
}`,
  round_bf16: `fn round_bf16(x: f32) -> f32 {
  return bf16_to_f32(f32_to_bf16(x));
}`,
};
