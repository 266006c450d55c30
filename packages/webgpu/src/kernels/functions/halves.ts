/**
 * float16 and bfloat16 from and to f32, with integer arithmetic: built-in conversions may flush denormals and round either way.
 * Round to nearest, ties to even; the same bits as the host's conversions. Values of halves are taken from the built-in where
 * it has been seen to give all of them.
 *
 * `f16_bits` and `bf16_bits` put them into the high half of a word, `f16_to_f32` takes them from the low half, whatever is in the high one: constant shifts to
 * the left are products, which software does faster.
 */
import type { Functions } from './function.ts';

export type HalvesName = 'f16_bits' | 'f16_to_f32' | 'bf16_bits' | 'round_f16' | 'round_bf16';

export const halvesFunctions: Functions<HalvesName> = {
  f16_to_f32: `fn f16_to_f32(half: u32) -> f32 {
  let magnitude = half & 0x7fffu;
  let denormal = bitcast<u32>(f32(magnitude) * 5.9604645e-8);
  let normal = magnitude * 8192u + select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
  return bitcast<f32>(select(normal, denormal, magnitude < 0x400u) | ((half & 0x8000u) * 65536u));
}`,
  // Adding 0.5 aligns the last bit of a float with 2^-24, the step of the denormals, so that the adder rounds.
  f16_bits: `fn f16_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let magnitude = bits & 0x7fffffffu;
  let rounded = magnitude - select(0x37fff001u, 0x37fff000u, (magnitude & 0x2000u) != 0u);
  let denormal = (bitcast<u32>(abs(x) + 0.5) - 0x3f000000u) * 65536u;
  let finite = select((rounded & 0xffffe000u) * 8u, denormal, magnitude < 0x38800000u);
  let limited = select(finite, 0x7c000000u, magnitude >= 0x477ff000u);
  return select(limited, 0x7e000000u, magnitude > 0x7f800000u) | (bits & 0x80000000u);
}`,
  bf16_bits: `fn bf16_bits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let rounded = bits + select(0x7fffu, 0x8000u, (bits & 0x10000u) != 0u);
  return select(rounded, bits | 0x400000u, is_nan(x)) & 0xffff0000u;
}`,
  round_f16: `fn round_f16(x: f32) -> f32 {
  return f16_to_f32(f16_bits(x) >> 16u);
}`,
  round_bf16: `fn round_bf16(x: f32) -> f32 {
  return bitcast<f32>(bf16_bits(x));
}`,
};

/** For devices with `exactHalves`. */
export const builtInHalves: Functions<'f16_to_f32'> = {
  f16_to_f32: `fn f16_to_f32(half: u32) -> f32 {
  return unpack2x16float(half).x;
}`,
};
