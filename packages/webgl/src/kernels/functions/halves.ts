/**
 * float16 and bfloat16 from and to f32, with integer arithmetic: built-in conversions may flush denormals and round either way.
 * Round to nearest, ties to even; the same bits as the host's conversions. Bits of a half are in the low end of a word.
 */
import type { Functions } from './function.ts';

export type HalvesName = 'f16_bits' | 'f16_to_f32' | 'bf16_bits' | 'bf16_to_f32' | 'round_f16' | 'round_bf16';

export const halvesFunctions: Functions<HalvesName> = {
  f16_to_f32: `F f16_to_f32(U bits) {
  U magnitude = bits & 0x7fffu;
  U denormal = floatBitsToUint(F(magnitude) * 5.9604645e-8);
  U exponent = select_u32(U(0x38000000u), U(0x70000000u), le_u32(U(0x7c00u), magnitude));
  U absolute = select_u32((magnitude << 13u) + exponent, denormal, lt_u32(magnitude, U(0x400u)));
  return uintBitsToFloat(absolute | ((bits & 0x8000u) << 16u));
}`,
  // Adding 0.5 aligns the last bit of a float with 2^-24, the step of the denormals, so that the adder rounds.
  f16_bits: `U f16_bits(F x) {
  U bits = floatBitsToUint(x);
  U magnitude = bits & 0x7fffffffu;
  U rounded = (magnitude - 0x37fff001u + ((magnitude >> 13u) & 1u)) >> 13u;
  U denormal = floatBitsToUint(abs(x) + 0.5) - 0x3f000000u;
  U finite = select_u32(rounded, denormal, lt_u32(magnitude, U(0x38800000u)));
  U limited = select_u32(finite, U(0x7c00u), le_u32(U(0x477ff000u), magnitude));
  return select_u32(limited, U(0x7e00u), lt_u32(U(0x7f800000u), magnitude)) | ((bits >> 16u) & 0x8000u);
}`,
  bf16_to_f32: `F bf16_to_f32(U bits) {
  return uintBitsToFloat(bits << 16u);
}`,
  bf16_bits: `U bf16_bits(F x) {
  U bits = floatBitsToUint(x);
  U rounded = bits + 0x7fffu + ((bits >> 16u) & 1u);
  return select_u32(rounded, bits | 0x400000u, is_nan(x)) >> 16u;
}`,
  round_f16: `F round_f16(F x) {
  return f16_to_f32(f16_bits(x));
}`,
  round_bf16: `F round_bf16(F x) {
  return bf16_to_f32(bf16_bits(x));
}`,
};
