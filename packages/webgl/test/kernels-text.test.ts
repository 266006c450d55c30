/** What shaders look like, without a browser. */
import type { Kernel } from '@tutti/core/backend';
import { KernelBuilder, variable } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import type { ShaderFeatures } from '../src/program.ts';

const features: ShaderFeatures = { maxInputs: 14, maxOutputs: 4, rowShift: 12, software: false };

const glsl = (kernel: Kernel): string => compileKernel(kernel, features).source();

/** Without the functions that it draws from. */
function mainOf(kernel: Kernel): string {
  const text = glsl(kernel);
  return text.slice(0, text.indexOf('\n') + 1) + text.slice(text.indexOf('uvec4 texel('));
}

const [i, j, k] = [variable('i0', 12), variable('i1', 8), variable('k0', 64)];

test('a chain of arithmetic: a texel of each operand', () => {
  const make = new KernelBuilder('mul_add_relu', [i, j], 'float32');
  const { b } = make;
  const [x, y] = [make.input('float32', 96), make.input('float32', 96)].map((load) => load(make.at([i, j])));
  const sum = b.alu('add', 'f32', b.alu('mul', 'f32', x!, make.scalar('f32')), y!);
  expect(glsl(make.store(b.alu('max', 'f32', sum, b.const('f32', 0))))).toMatchInlineSnapshot(`
    "// mul_add_relu: 12 x 8 of float32
    vec4 select_f32(vec4 a, vec4 b, bvec4 c) {
      return mix(a, b, c);
    }

    bvec4 lt_i32(ivec4 a, ivec4 b) {
      return lessThan(a, b);
    }

    bvec4 is_below_zero(vec4 x) {
      return lt_i32(floatBitsToInt(x), ivec4(-8388607));
    }

    vec4 above_zero(vec4 x) {
      return select_f32(x, vec4(0.0), is_below_zero(x));
    }

    uvec4 texel(int index) {
      float v0 = intBitsToFloat(s0);
      vec4 x0 = uintBitsToFloat(fetch(t0, index));
      vec4 x1 = uintBitsToFloat(fetch(t1, index));
      return floatBitsToUint(above_zero((x0 * v0) + x1));
    }
    "
  `);
});

test('broadcasting: a row has texels, of a column each row has an element', () => {
  const make = new KernelBuilder('add_row_column', [i, j], 'float32');
  const row = make.input('float32', 8)(make.b.index(j));
  const column = make.input('float32', 12)(make.b.index(i));
  expect(mainOf(make.store(make.b.alu('add', 'f32', row, column)))).toMatchInlineSnapshot(`
    "// add_row_column: 12 x 8 of float32
    uvec4 texel(int index) {
      int i1_quad = index & 1;
      int q0 = index >> 1;
      vec4 x0 = uintBitsToFloat(fetch(t0, i1_quad));
      float x1 = uintBitsToFloat(word_at(t1, q0));
      return floatBitsToUint(x0 + x1);
    }
    "
  `);
});

test('rows that end within a texel: every lane has indices of its own', () => {
  const odd = variable('i1', 7);
  const make = new KernelBuilder('add_row', [i, odd], 'float32');
  const row = make.input('float32', 7)(make.b.index(odd));
  const all = make.input('float32', 84)(make.at([i, odd]));
  expect(mainOf(make.store(make.b.alu('add', 'f32', row, all)))).toMatchInlineSnapshot(`
    "// add_row: 12 x 7 of float32
    uvec4 texel(int index) {
      ivec4 point = index * 4 + ivec4(0, 1, 2, 3);
      ivec4 i1 = point % 7;
      vec4 x0 = uintBitsToFloat(word_at(t0, i1));
      vec4 x1 = uintBitsToFloat(fetch(t1, index));
      return floatBitsToUint(x0 + x1);
    }
    "
  `);
});

test('a transpose: an element of each of four texels', () => {
  const make = new KernelBuilder('transpose', [i, j], 'int32');
  expect(mainOf(make.store(make.input('int32', 96)(make.at([j, i]))))).toMatchInlineSnapshot(`
    "// transpose: 12 x 8 of int32
    uvec4 texel(int index) {
      int i1_quad = index & 1;
      int q0 = index >> 1;
      ivec4 i1 = i1_quad * 4 + ivec4(0, 1, 2, 3);
      ivec4 x0 = ivec4(word_at(t0, (i1 * 12) + q0));
      return uvec4(x0);
    }
    "
  `);
});

test('padding: four elements out of two texels, where the guard holds', () => {
  const make = new KernelBuilder('pad', [i, j], 'float32');
  const at = make.add(make.b.index(j), -1);
  const load = make.input('float32', 72);
  const value = load(make.add(make.mul(make.b.index(i), 6), at), make.inside(at, 6));
  expect(mainOf(make.store(value))).toMatchInlineSnapshot(`
    "// pad: 12 x 8 of float32
    uvec4 texel(int index) {
      infinity_bits = 0x7f800000u | uint(index >> 31);
      int i1_quad = index & 1;
      int q0 = index >> 1;
      ivec4 i1 = i1_quad * 4 + ivec4(0, 1, 2, 3);
      ivec4 v0 = i1 - 1;
      vec4 x0 = select_f32(vec4(opaque(0.0)), uintBitsToFloat(words_from(t0, (q0 * 6) + ((i1_quad * 4) - 1))), both(lessThanEqual(ivec4(0), v0), lessThan(v0, ivec4(6))));
      return floatBitsToUint(x0);
    }
    "
  `);
});

test('sums of rows: four rows by four columns a turn', () => {
  const make = new KernelBuilder('row_sum', [i], 'float32');
  const x = make.input('float32', 12 * 64)(make.at([i, k]));
  expect(mainOf(make.store(make.over(k).accumulate('sum', x)))).toMatchInlineSnapshot(`
    "// row_sum: 12 of float32, each from sum of f32 over 64
    uvec4 texel(int index) {
      ivec4 point = index * 4 + ivec4(0, 1, 2, 3);
      ivec4 v0 = point * 16;
      vec4 a0 = vec4(0.0);
      for (int k0_quad = 0; k0_quad < 16; k0_quad++) {
        ivec4 n0 = v0 + k0_quad;
        vec4 x0 = uintBitsToFloat(fetch(t0, n0.x));
        vec4 x1 = uintBitsToFloat(fetch(t0, n0.y));
        vec4 x2 = uintBitsToFloat(fetch(t0, n0.z));
        vec4 x3 = uintBitsToFloat(fetch(t0, n0.w));
        vec4 x4 = vec4(x0.x, x1.x, x2.x, x3.x);
        vec4 x5 = vec4(x0.y, x1.y, x2.y, x3.y);
        vec4 x6 = vec4(x0.z, x1.z, x2.z, x3.z);
        vec4 x7 = vec4(x0.w, x1.w, x2.w, x3.w);
        a0 += (x4 + x5) + (x6 + x7);
      }
      return floatBitsToUint(a0);
    }
    "
  `);
});

test('sums of columns: four rows a turn, and what is left', () => {
  const long = variable('k0', 1026);
  const make = new KernelBuilder('column_sum', [j], 'float32');
  const x = make.input('float32', 8 * 1026)(make.at([long, j]));
  expect(mainOf(make.store(make.over(long).accumulate('sum', x)))).toMatchInlineSnapshot(`
    "// column_sum: 8 of float32, each from sum of f32 over 1026
    uvec4 texel(int index) {
      vec4 a0 = vec4(0.0);
      for (int k0_quad = 0; k0_quad < 256; k0_quad++) {
        vec4 x0 = uintBitsToFloat(fetch(t0, ((k0_quad * 4) * 2) + index));
        vec4 x1 = uintBitsToFloat(fetch(t0, ((k0_quad * 4 + 1) * 2) + index));
        vec4 x2 = uintBitsToFloat(fetch(t0, ((k0_quad * 4 + 2) * 2) + index));
        vec4 x3 = uintBitsToFloat(fetch(t0, ((k0_quad * 4 + 3) * 2) + index));
        a0 += (x0 + x1) + (x2 + x3);
      }
      vec4 x4 = uintBitsToFloat(fetch(t0, (1024 * 2) + index));
      vec4 x5 = uintBitsToFloat(fetch(t0, (1025 * 2) + index));
      a0 += x4 + x5;
      return floatBitsToUint(a0);
    }
    "
  `);
});

test('a long sum: fragments that take turns, and one that joins what they found', () => {
  const long = variable('k0', 1 << 15);
  const make = new KernelBuilder('sum', [], 'float32');
  const x = make.input('float32', 1 << 15)(make.b.index(long));
  const program = compileKernel(make.store(make.over(long).accumulate('sum', x)), {
    ...features,
    software: true,
  });
  expect(program.scratch).toEqual([{ bytes: 4096, rowShift: 4 }]);
  expect(program.stages.map(({ inputs, outputs }) => [...inputs, ...outputs])).toEqual([
    [
      { kind: 'buffer', index: 1 },
      { kind: 'scratch', index: 0 },
    ],
    [
      { kind: 'scratch', index: 0 },
      { kind: 'buffer', index: 0 },
    ],
  ]);
  expect(program.source()).toMatchInlineSnapshot(`
    "// sum_parts: 1024 of float32, each from sum of f32 over 32
    uvec4 texel(int index) {
      vec4 a0 = vec4(0.0);
      for (int k0_quad = 0; k0_quad < 8; k0_quad++) {
        vec4 x0 = uintBitsToFloat(fetch(t0, ((k0_quad * 4) * 256) + index));
        vec4 x1 = uintBitsToFloat(fetch(t0, ((k0_quad * 4 + 1) * 256) + index));
        vec4 x2 = uintBitsToFloat(fetch(t0, ((k0_quad * 4 + 2) * 256) + index));
        vec4 x3 = uintBitsToFloat(fetch(t0, ((k0_quad * 4 + 3) * 256) + index));
        a0 += (x0 + x1) + (x2 + x3);
      }
      return floatBitsToUint(a0);
    }

    // sum: 1 of float32, each from sum of f32 over 1024
    uvec4 fetch_scratch(int index) {
      return texelFetch(t0, ivec2(index & 15, index >> 4), 0);
    }

    uvec4 texel(int index) {
      float a0 = 0.0;
      for (int p_quad = 0; p_quad < 256; p_quad++) {
        vec4 x0 = uintBitsToFloat(fetch_scratch(p_quad));
        a0 += (x0.x + x0.y) + (x0.z + x0.w);
      }
      return uvec4(floatBitsToUint(a0));
    }
    "
  `);
});

test('the largest of all: one point has no lanes', () => {
  const make = new KernelBuilder('max', [], 'float32');
  const x = make.input('float32', 64)(make.b.index(k));
  expect(glsl(make.store(make.over(k).accumulate('max', x)))).toMatchInlineSnapshot(`
    "// max: 1 of float32, each from max of f32 over 64
    uint infinity_bits;

    float infinity() {
      return uintBitsToFloat(infinity_bits);
    }

    float negative_zero() {
      return uintBitsToFloat(0x80000000u | (infinity_bits & 0x7fffffu));
    }

    float not_a_number() {
      return uintBitsToFloat(infinity_bits | 0x400000u);
    }

    bool lt_u32(uint a, uint b) {
      return a < b;
    }

    float select_f32(float a, float b, bool c) {
      return c ? b : a;
    }

    uvec4 texel(int index) {
      infinity_bits = 0x7f800000u | uint(index >> 31);
      float a0 = (-infinity());
      uint a1 = 0u;
      for (int k0_quad = 0; k0_quad < 16; k0_quad++) {
        vec4 x0 = uintBitsToFloat(fetch(t0, k0_quad));
        a0 = max(a0, max(max(x0.x, x0.y), max(x0.z, x0.w)));
        a1 = max(a1, max(max(floatBitsToUint(x0.x) & 0x7fffffffu, floatBitsToUint(x0.y) & 0x7fffffffu), max(floatBitsToUint(x0.z) & 0x7fffffffu, floatBitsToUint(x0.w) & 0x7fffffffu)));
      }
      float a2 = select_f32(a0 + negative_zero(), not_a_number(), lt_u32(0x7f800000u, a1));
      return uvec4(floatBitsToUint(a2));
    }
    "
  `);
});

test('the place of the largest', () => {
  const make = new KernelBuilder('arg_max', [i], 'int32');
  const x = make.input('float32', 12 * 64)(make.at([i, k]));
  expect(mainOf(make.store(make.over(k).accumulate('argMax', x, make.b.index(k))))).toMatchInlineSnapshot(`
    "// arg_max: 12 of int32, each from argMax of f32 over 64
    uvec4 texel(int index) {
      ivec4 point = index * 4 + ivec4(0, 1, 2, 3);
      ivec4 v0 = point * 16;
      ivec4 a0 = ivec4(int(0x80000000u));
      ivec4 a1 = ivec4(2147483647);
      for (int k0_quad = 0; k0_quad < 16; k0_quad++) {
        ivec4 n0 = v0 + k0_quad;
        vec4 x0 = uintBitsToFloat(fetch(t0, n0.x));
        vec4 x1 = uintBitsToFloat(fetch(t0, n0.y));
        vec4 x2 = uintBitsToFloat(fetch(t0, n0.z));
        vec4 x3 = uintBitsToFloat(fetch(t0, n0.w));
        vec4 x4 = vec4(x0.x, x1.x, x2.x, x3.x);
        vec4 x5 = vec4(x0.y, x1.y, x2.y, x3.y);
        vec4 x6 = vec4(x0.z, x1.z, x2.z, x3.z);
        vec4 x7 = vec4(x0.w, x1.w, x2.w, x3.w);
        ivec4 v1 = key_of_f32(x4);
        a1 = select_i32(a1, ivec4(k0_quad * 4), lt_i32(a0, v1));
        a0 = max(a0, v1);
        ivec4 v2 = key_of_f32(x5);
        a1 = select_i32(a1, ivec4(k0_quad * 4 + 1), lt_i32(a0, v2));
        a0 = max(a0, v2);
        ivec4 v3 = key_of_f32(x6);
        a1 = select_i32(a1, ivec4(k0_quad * 4 + 2), lt_i32(a0, v3));
        a0 = max(a0, v3);
        ivec4 v4 = key_of_f32(x7);
        a1 = select_i32(a1, ivec4(k0_quad * 4 + 3), lt_i32(a0, v4));
        a0 = max(a0, v4);
      }
      return uvec4(a1);
    }
    "
  `);
});

test('halves: two fours in a texel', () => {
  const make = new KernelBuilder('double', [i, j], 'float16');
  const x = make.input('float16', 96)(make.at([i, j]));
  expect(glsl(make.store(make.b.alu('add', 'f32', x, x)))).toMatchInlineSnapshot(`
    "// double: 12 x 8 of float16
    uvec4 quad_of_halves(highp usampler2D t, int quad) {
      uvec4 words = fetch(t, quad >> 1);
      uvec2 pair = (quad & 1) == 0 ? words.xy : words.zw;
      return uvec4(pair.x & 0xffffu, pair.x >> 16u, pair.y & 0xffffu, pair.y >> 16u);
    }

    uvec4 select_u32(uvec4 a, uvec4 b, bvec4 c) {
      return uvec4(c.x ? b.x : a.x, c.y ? b.y : a.y, c.z ? b.z : a.z, c.w ? b.w : a.w);
    }

    bvec4 le_u32(uvec4 a, uvec4 b) {
      return lessThanEqual(a, b);
    }

    bvec4 lt_u32(uvec4 a, uvec4 b) {
      return lessThan(a, b);
    }

    vec4 f16_to_f32(uvec4 bits) {
      uvec4 magnitude = bits & 0x7fffu;
      uvec4 denormal = floatBitsToUint(vec4(magnitude) * 5.9604645e-8);
      uvec4 exponent = select_u32(uvec4(0x38000000u), uvec4(0x70000000u), le_u32(uvec4(0x7c00u), magnitude));
      uvec4 absolute = select_u32((magnitude << 13u) + exponent, denormal, lt_u32(magnitude, uvec4(0x400u)));
      return uintBitsToFloat(absolute | ((bits & 0x8000u) << 16u));
    }

    uvec4 f16_bits(vec4 x) {
      uvec4 bits = floatBitsToUint(x);
      uvec4 magnitude = bits & 0x7fffffffu;
      uvec4 rounded = (magnitude - 0x37fff001u + ((magnitude >> 13u) & 1u)) >> 13u;
      uvec4 denormal = floatBitsToUint(abs(x) + 0.5) - 0x3f000000u;
      uvec4 finite = select_u32(rounded, denormal, lt_u32(magnitude, uvec4(0x38800000u)));
      uvec4 limited = select_u32(finite, uvec4(0x7c00u), le_u32(uvec4(0x477ff000u), magnitude));
      return select_u32(limited, uvec4(0x7e00u), lt_u32(uvec4(0x7f800000u), magnitude)) | ((bits >> 16u) & 0x8000u);
    }

    uvec2 pack_halves(uvec4 bits) {
      return bits.xz | (bits.yw << 16u);
    }

    uvec4 texel(int index) {
      uvec4 words0 = uvec4(0u);
      for (int q0 = 0; q0 < 2; q0++) {
        int quad = index * 2 + q0;
        vec4 x0 = f16_to_f32(quad_of_halves(t0, quad));
        words0 = uvec4(words0.zw, pack_halves(f16_bits(x0 + x0)));
      }
      return words0;
    }
    "
  `);
});

test('bools: four fours in a texel, and what a guard leaves as it was', () => {
  const make = new KernelBuilder('is_positive', [i, j], 'bool');
  const { b } = make;
  const x = make.input('float32', 96)(make.at([i, j]));
  const guard = b.alu('lt', 'bool', b.index(j), b.int(5));
  expect(mainOf(make.store(b.alu('lt', 'bool', b.const('f32', 0), x), guard))).toMatchInlineSnapshot(`
    "// is_positive: 12 x 8 of bool
    uvec4 texel(int index) {
      uvec4 words0 = uvec4(0u);
      for (int q0 = 0; q0 < 4; q0++) {
        int quad = index * 4 + q0;
        int i1_quad = quad & 1;
        ivec4 i1 = i1_quad * 4 + ivec4(0, 1, 2, 3);
        vec4 x0 = uintBitsToFloat(fetch(t0, quad));
        words0 = uvec4(words0.yzw, pack_bytes(select_u32(quad_of_bytes(t1, quad), uvec4(is_above_zero(x0)), lessThan(i1, ivec4(5)))));
      }
      return words0;
    }
    "
  `);
});

test('operations of a texel grow with the loops and with the elements', () => {
  const operations = (dtype: 'float32' | 'float16', length: number): number => {
    const loop = variable('k0', length);
    const make = new KernelBuilder('sum', [i], dtype);
    const x = make.input('float32', 12 * length)(make.at([i, loop]));
    return compileKernel(make.store(make.over(loop).accumulate('sum', x)), features).stages[0]!.operations;
  };
  expect(operations('float32', 1000) / operations('float32', 100)).toBeCloseTo(10, 0);
  expect(operations('float16', 100) / operations('float32', 100)).toBe(2);
});
