/**
 * Every WebAssembly instruction that generated code uses, under the exact name of the specification.
 *
 * The tables are runs of consecutive opcodes: the first opcode, a prefix of the names, and the names in order. Types are
 * derived from the same text, so a misspelt instruction does not compile.
 */

type Words<S extends string> = S extends `${infer Head} ${infer Tail}` ? Head | Words<Tail> : S;
type NamesOf<Runs extends readonly (readonly [number, string, string])[]> = {
  [K in keyof Runs]: `${Runs[K][1]}${Words<Runs[K][2]>}`;
}[number];

/** Plain instructions: no immediate. Opcodes from 0xfc00 and 0xfd000 up stand for the prefixes 0xfc and 0xfd. */
const plainRuns = [
  [0x00, '', 'unreachable nop'],
  [0x0f, '', 'return'],
  [0x1a, '', 'drop select'],
  [0x45, 'i32.', 'eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'],
  [0x50, 'i64.', 'eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'],
  [0x5b, 'f32.', 'eq ne lt gt le ge'],
  [0x61, 'f64.', 'eq ne lt gt le ge'],
  [0x67, 'i32.', 'clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr'],
  [0x79, 'i64.', 'clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr'],
  [0x8b, 'f32.', 'abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign'],
  [0x99, 'f64.', 'abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign'],
  [0xa7, 'i32.', 'wrap_i64 trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u'],
  [0xac, 'i64.', 'extend_i32_s extend_i32_u trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u'],
  [0xb2, 'f32.', 'convert_i32_s convert_i32_u convert_i64_s convert_i64_u demote_f64'],
  [0xb7, 'f64.', 'convert_i32_s convert_i32_u convert_i64_s convert_i64_u promote_f32'],
  [0xbc, '', 'i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64'],
  [0xc0, '', 'i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s'],
  [0xfc00, 'i32.', 'trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u'],
  [0xfc04, 'i64.', 'trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u'],
  [0xfd00e, '', 'i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat'],
  [0xfd023, 'i8x16.', 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'],
  [0xfd02d, 'i16x8.', 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'],
  [0xfd037, 'i32x4.', 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'],
  [0xfd041, 'f32x4.', 'eq ne lt gt le ge'],
  [0xfd047, 'f64x2.', 'eq ne lt gt le ge'],
  [0xfd04d, 'v128.', 'not and andnot or xor bitselect any_true'],
  [0xfd05e, '', 'f32x4.demote_f64x2_zero f64x2.promote_low_f32x4'],
  [0xfd060, 'i8x16.', 'abs neg popcnt all_true bitmask narrow_i16x8_s narrow_i16x8_u'],
  [0xfd067, 'f32x4.', 'ceil floor trunc nearest'],
  [0xfd06b, 'i8x16.', 'shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u'],
  [
    0xfd074,
    '',
    'f64x2.ceil f64x2.floor i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u f64x2.trunc i8x16.avgr_u',
  ],
  [0xfd07c, 'i16x8.', 'extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u'],
  [0xfd07e, 'i32x4.', 'extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u'],
  [0xfd080, 'i16x8.', 'abs neg q15mulr_sat_s all_true bitmask narrow_i32x4_s narrow_i32x4_u'],
  [0xfd087, 'i16x8.', 'extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u'],
  [0xfd08b, 'i16x8.', 'shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u'],
  [0xfd094, '', 'f64x2.nearest i16x8.mul i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u'],
  [0xfd09b, 'i16x8.', 'avgr_u extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u'],
  [0xfd0a0, 'i32x4.', 'abs neg'],
  [0xfd0a3, 'i32x4.', 'all_true bitmask'],
  [0xfd0a7, 'i32x4.', 'extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u'],
  [0xfd0ab, 'i32x4.', 'shl shr_s shr_u add'],
  [0xfd0b1, 'i32x4.', 'sub'],
  [0xfd0b5, 'i32x4.', 'mul min_s min_u max_s max_u dot_i16x8_s'],
  [0xfd0bc, 'i32x4.', 'extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u'],
  [0xfd0c0, 'i64x2.', 'abs neg'],
  [0xfd0c3, 'i64x2.', 'all_true bitmask'],
  [0xfd0c7, 'i64x2.', 'extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u'],
  [0xfd0cb, 'i64x2.', 'shl shr_s shr_u add'],
  [0xfd0d1, 'i64x2.', 'sub'],
  [0xfd0d5, 'i64x2.', 'mul eq ne lt_s gt_s le_s ge_s'],
  [0xfd0dc, 'i64x2.', 'extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u'],
  [0xfd0e0, 'f32x4.', 'abs neg'],
  [0xfd0e3, 'f32x4.', 'sqrt add sub mul div min max pmin pmax'],
  [0xfd0ec, 'f64x2.', 'abs neg'],
  [0xfd0ef, 'f64x2.', 'sqrt add sub mul div min max pmin pmax'],
  [
    0xfd0f8,
    '',
    'i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u',
  ],
  [0xfd0fc, '', 'i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero'],
  [0xfd0fe, 'f64x2.', 'convert_low_i32x4_s convert_low_i32x4_u'],
  // Relaxed SIMD: use only where `features.relaxedMadd` is true.
  [0xfd100, 'i8x16.', 'relaxed_swizzle'],
  [0xfd105, '', 'f32x4.relaxed_madd f32x4.relaxed_nmadd f64x2.relaxed_madd f64x2.relaxed_nmadd'],
] as const;

/** Instructions with a lane number as immediate. */
const laneRuns = [
  [0xfd015, 'i8x16.', 'extract_lane_s extract_lane_u replace_lane'],
  [0xfd018, 'i16x8.', 'extract_lane_s extract_lane_u replace_lane'],
  [0xfd01b, 'i32x4.', 'extract_lane replace_lane'],
  [0xfd01d, 'i64x2.', 'extract_lane replace_lane'],
  [0xfd01f, 'f32x4.', 'extract_lane replace_lane'],
  [0xfd021, 'f64x2.', 'extract_lane replace_lane'],
] as const;

const loadRuns = [
  [0x28, '', 'i32.load i64.load f32.load f64.load'],
  [0x2c, 'i32.', 'load8_s load8_u load16_s load16_u'],
  [0x30, 'i64.', 'load8_s load8_u load16_s load16_u load32_s load32_u'],
  [0xfd000, 'v128.', 'load load8x8_s load8x8_u load16x4_s load16x4_u load32x2_s load32x2_u'],
  [0xfd007, 'v128.', 'load8_splat load16_splat load32_splat load64_splat'],
  [0xfd05c, 'v128.', 'load32_zero load64_zero'],
] as const;

const storeRuns = [
  [
    0x36,
    '',
    'i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32',
  ],
  [0xfd00b, 'v128.', 'store'],
] as const;

const loadLaneRuns = [[0xfd054, 'v128.', 'load8_lane load16_lane load32_lane load64_lane']] as const;
const storeLaneRuns = [[0xfd058, 'v128.', 'store8_lane store16_lane store32_lane store64_lane']] as const;

export type PlainOp = NamesOf<typeof plainRuns>;
export type LaneOp = NamesOf<typeof laneRuns>;
export type LoadOp = NamesOf<typeof loadRuns>;
export type StoreOp = NamesOf<typeof storeRuns>;
export type LoadLaneOp = NamesOf<typeof loadLaneRuns>;
export type StoreLaneOp = NamesOf<typeof storeLaneRuns>;
export type MemoryOp = LoadOp | StoreOp | LoadLaneOp | StoreLaneOp;

/** The bytes of an opcode: one byte, or a prefix and a LEB128 number. */
function opcodeBytes(opcode: number): readonly number[] {
  if (opcode < 0x100) return [opcode];
  if (opcode < 0x10000) return [0xfc, opcode & 0xff];
  const index = opcode - 0xfd000;
  return index < 0x80 ? [0xfd, index] : [0xfd, (index & 0x7f) | 0x80, index >> 7];
}

function table(runs: readonly (readonly [number, string, string])[]): ReadonlyMap<string, readonly number[]> {
  const all = new Map<string, readonly number[]>();
  for (const [first, prefix, names] of runs) {
    for (const [i, name] of names.split(' ').entries()) all.set(prefix + name, opcodeBytes(first + i));
  }
  return all;
}

export const plainOps: ReadonlyMap<string, readonly number[]> = table(plainRuns);
export const laneOps: ReadonlyMap<string, readonly number[]> = table(laneRuns);
export const memoryOps: ReadonlyMap<string, readonly number[]> = table([
  ...loadRuns,
  ...storeRuns,
  ...loadLaneRuns,
  ...storeLaneRuns,
]);

/** The number of bytes that a memory instruction touches. A larger alignment hint than this is invalid. */
export function accessBytes(op: MemoryOp): number {
  const width = /(?:load|store)(\d+)(x\d)?/.exec(op);
  if (width) return width[2] ? 8 : Number(width[1]) / 8;
  if (op.startsWith('v128')) return 16;
  return op.startsWith('i64') || op.startsWith('f64') ? 8 : 4;
}
