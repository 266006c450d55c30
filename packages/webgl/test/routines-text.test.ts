/** The GLSL of routines. */
import { convAnchor, dotAnchor } from '@tutti/core/testing';
import { expect, it } from 'vitest';
import type { GlslProgram, ShaderFeatures } from '../src/program.ts';
import { routine } from '../src/routines/index.ts';

const hardware: ShaderFeatures = { maxInputs: 16, maxOutputs: 8, rowShift: 12, software: false };

/** Texels and textures of each stage. */
const shape = ({ stages, scratch }: GlslProgram): unknown => ({
  stages: stages.map(({ texels, inputs, outputs }) => {
    const names = (buffers: typeof inputs): string =>
      buffers.map(({ kind, index }) => `${kind} ${index}`).join(', ');
    return `${texels} texels: ${names(inputs)} -> ${names(outputs)}`;
  }),
  scratch: scratch.map(
    ({ bytes, rowShift }) => `${bytes} bytes, rows of 2^${rowShift ?? hardware.rowShift} texels`,
  ),
});

it('a product of matrices by rows, which need not be written anew', () => {
  const program = routine(dotAnchor(256, 512, 64), hardware)!;
  expect(shape(program)).toMatchInlineSnapshot(`
    {
      "scratch": [
        "131072 bytes, rows of 2^7 texels",
        "131072 bytes, rows of 2^7 texels",
        "131072 bytes, rows of 2^7 texels",
        "131072 bytes, rows of 2^7 texels",
      ],
      "stages": [
        "8192 texels: buffer 0, buffer 1 -> scratch 0, scratch 1, scratch 2, scratch 3",
        "32768 texels: scratch 0, scratch 1, scratch 2, scratch 3 -> buffer 2",
      ],
    }
  `);
  expect(program.stages[0]!.code).toMatchInlineSnapshot(`
    "// 4 by 4 sums of a product of (256, 64) and (64, 512)
    vec4 left(int x, int y) {
      return uintBitsToFloat(texelFetch(t0, ivec2(x, y), 0));
    }

    vec4 right(int x, int y) {
      return uintBitsToFloat(texelFetch(t1, ivec2(x, y), 0));
    }

    void texels(int index, out uvec4 o0, out uvec4 o1, out uvec4 o2, out uvec4 o3) {
      int q0 = index >> 7;
      int r0 = index & 127;
      vec4 sum0 = vec4(0);
      vec4 sum1 = vec4(0);
      vec4 sum2 = vec4(0);
      vec4 sum3 = vec4(0);
      int x0 = (q0 * 4) * 16;
      int x1 = r0 & 4095;
      int y0 = r0 >> 12;
      for (int k0 = 0; k0 < 16; k0++) {
        vec4 y1 = right(x1, y0);
        vec4 y2 = right(x1 + 128, y0);
        vec4 y3 = right(x1 + 256, y0);
        vec4 y4 = right(x1 + 384, y0);
        vec4 x2 = left(x0, 0);
        sum0 += x2.x * y1 + x2.y * y2 + x2.z * y3 + x2.w * y4;
        vec4 x3 = left(x0 + 16, 0);
        sum1 += x3.x * y1 + x3.y * y2 + x3.z * y3 + x3.w * y4;
        vec4 x4 = left(x0 + 32, 0);
        sum2 += x4.x * y1 + x4.y * y2 + x4.z * y3 + x4.w * y4;
        vec4 x5 = left(x0 + 48, 0);
        sum3 += x5.x * y1 + x5.y * y2 + x5.z * y3 + x5.w * y4;
        x0++;
        x1 += 512;
        y0 += x1 >> 12;
        x1 &= 4095;
      }
      o0 = floatBitsToUint(sum0);
      o1 = floatBitsToUint(sum1);
      o2 = floatBitsToUint(sum2);
      o3 = floatBitsToUint(sum3);
    }
    "
  `);
  expect(program.stages[1]!.code).toMatchInlineSnapshot(`
    "// dot_finish: 131072 of float32
    uvec4 sum_at(int row, int block) {
      ivec2 at = ivec2(block & 127, block >> 7);
      if (row == 0) return texelFetch(t0, at, 0);
      if (row == 1) return texelFetch(t1, at, 0);
      if (row == 2) return texelFetch(t2, at, 0);
      return texelFetch(t3, at, 0);
    }

    uvec4 sums_of(int quad) {
      int q0 = quad >> 7;
      int r0 = quad & 127;
      int q1 = q0 >> 2;
      int r1 = q0 & 3;
      return sum_at(r1, q1 * 128 + r0);
    }

    uvec4 texel(int index) {
      vec4 x0 = uintBitsToFloat(sums_of(index));
      return floatBitsToUint(x0);
    }
    "
  `);
});

it('a gradient of weights: both operands run across k', () => {
  const anchor = dotAnchor(64, 48, 1000, { layouts: ['columns', 'rows'] });
  const program = routine(anchor, { ...hardware, software: true })!;
  expect(program.stages[0]!.code).toMatchInlineSnapshot(`
    "// 8 by 4 sums of a product of (64, 1000) and (1000, 48)
    vec4 left(int x, int y) {
      return uintBitsToFloat(texelFetch(t0, ivec2(x, y), 0));
    }

    vec4 right(int x, int y) {
      return uintBitsToFloat(texelFetch(t1, ivec2(x, y), 0));
    }

    void texels(int index, out uvec4 o0, out uvec4 o1, out uvec4 o2, out uvec4 o3, out uvec4 o4, out uvec4 o5, out uvec4 o6, out uvec4 o7) {
      int q0 = int((float(index) + 0.5) * 0.08333333333333333);
      int r0 = index - q0 * 12;
      int q1 = q0 >> 3;
      int r1 = q0 & 7;
      int first0 = q1 * 125;
      int end0 = min(first0 + 125, 250);
      vec4 sum0 = vec4(0);
      vec4 sum1 = vec4(0);
      vec4 sum2 = vec4(0);
      vec4 sum3 = vec4(0);
      vec4 sum4 = vec4(0);
      vec4 sum5 = vec4(0);
      vec4 sum6 = vec4(0);
      vec4 sum7 = vec4(0);
      int a0 = (first0 * 4) * 16 + r1 * 2;
      int x0 = a0 & 4095;
      int y0 = a0 >> 12;
      int a1 = (first0 * 4) * 16 + r1 * 2 + 1;
      int x1 = a1 & 4095;
      int y1 = a1 >> 12;
      int a2 = (first0 * 4) * 12 + r0;
      int x2 = a2 & 4095;
      int y2 = a2 >> 12;
      int a3 = (first0 * 4 + 1) * 12 + r0;
      int x3 = a3 & 4095;
      int y3 = a3 >> 12;
      int a4 = (first0 * 4 + 2) * 12 + r0;
      int x4 = a4 & 4095;
      int y4 = a4 >> 12;
      int a5 = (first0 * 4 + 3) * 12 + r0;
      int x5 = a5 & 4095;
      int y5 = a5 >> 12;
      for (int k0 = first0; k0 < end0; k0++) {
        vec4 y6 = right(x2, y2);
        vec4 y7 = right(x3, y3);
        vec4 y8 = right(x4, y4);
        vec4 y9 = right(x5, y5);
        vec4 x6 = left(x0, y0);
        vec4 x7 = left(x0 + 16, y0);
        vec4 x8 = left(x0 + 32, y0);
        vec4 x9 = left(x0 + 48, y0);
        vec4 x10 = left(x1, y1);
        vec4 x11 = left(x1 + 16, y1);
        vec4 x12 = left(x1 + 32, y1);
        vec4 x13 = left(x1 + 48, y1);
        sum0 += x6.x * y6 + x7.x * y7 + x8.x * y8 + x9.x * y9;
        sum1 += x6.y * y6 + x7.y * y7 + x8.y * y8 + x9.y * y9;
        sum2 += x6.z * y6 + x7.z * y7 + x8.z * y8 + x9.z * y9;
        sum3 += x6.w * y6 + x7.w * y7 + x8.w * y8 + x9.w * y9;
        sum4 += x10.x * y6 + x11.x * y7 + x12.x * y8 + x13.x * y9;
        sum5 += x10.y * y6 + x11.y * y7 + x12.y * y8 + x13.y * y9;
        sum6 += x10.z * y6 + x11.z * y7 + x12.z * y8 + x13.z * y9;
        sum7 += x10.w * y6 + x11.w * y7 + x12.w * y8 + x13.w * y9;
        x0 += 64;
        y0 += x0 >> 12;
        x0 &= 4095;
        x1 += 64;
        y1 += x1 >> 12;
        x1 &= 4095;
        x2 += 48;
        y2 += x2 >> 12;
        x2 &= 4095;
        x3 += 48;
        y3 += x3 >> 12;
        x3 &= 4095;
        x4 += 48;
        y4 += x4 >> 12;
        x4 &= 4095;
        x5 += 48;
        y5 += x5 >> 12;
        x5 &= 4095;
      }
      o0 = floatBitsToUint(sum0);
      o1 = floatBitsToUint(sum1);
      o2 = floatBitsToUint(sum2);
      o3 = floatBitsToUint(sum3);
      o4 = floatBitsToUint(sum4);
      o5 = floatBitsToUint(sum5);
      o6 = floatBitsToUint(sum6);
      o7 = floatBitsToUint(sum7);
    }
    "
  `);
});

it('a convolution with padding', () => {
  const anchor = convAnchor({
    batch: 8,
    inChannels: 16,
    outChannels: 32,
    inSize: [28, 28],
    kernelSize: [3, 3],
    padLow: [1, 1],
  });
  const program = routine(anchor, hardware)!;
  expect(shape(program)).toMatchInlineSnapshot(`
    {
      "scratch": [
        "458752 bytes, rows of 2^7 texels",
        "24576 bytes, rows of 2^12 texels",
        "200704 bytes, rows of 2^7 texels",
        "200704 bytes, rows of 2^7 texels",
        "200704 bytes, rows of 2^7 texels",
        "200704 bytes, rows of 2^7 texels",
      ],
      "stages": [
        "28672 texels: buffer 0 -> scratch 0",
        "1536 texels: buffer 1 -> scratch 1",
        "12544 texels: scratch 0, scratch 1 -> scratch 2, scratch 3, scratch 4, scratch 5",
        "50176 texels: scratch 2, scratch 3, scratch 4, scratch 5 -> buffer 2",
      ],
    }
  `);
  expect(program.stages[2]!.code).toMatchInlineSnapshot(`
    "// 4 by 4 sums of a convolution of 16 x 28 x 28 with 3 x 3
    vec4 pixels(int x, int y) {
      return uintBitsToFloat(texelFetch(t0, ivec2(x, y), 0));
    }

    vec4 weights(int x, int y) {
      return uintBitsToFloat(texelFetch(t1, ivec2(x, y), 0));
    }

    bool has_nan(vec4 sums) {
      return any(greaterThan(floatBitsToUint(sums) & 0x7fffffffu, uvec4(0x7f800000u)));
    }

    vec4 four_of(vec4 a, vec4 b, int shift) {
      vec4 even = (shift & 2) == 0 ? a : vec4(a.zw, b.xy);
      return (shift & 1) == 0 ? even : vec4(even.yzw, (shift & 2) == 0 ? b.x : b.z);
    }

    vec4 where_exists(vec4 terms, uvec4 exists) {
      return uintBitsToFloat(floatBitsToUint(terms) & (0u - exists));
    }

    void texels(int index, out uvec4 o0, out uvec4 o1, out uvec4 o2, out uvec4 o3) {
      int q0 = index / 7;
      int r0 = index - q0 * 7;
      int q1 = q0 / 28;
      int r1 = q0 - q1 * 28;
      int q2 = q1 >> 3;
      int r2 = q1 & 7;
      int pixel0 = q2 * 3584 + r0;
      int weight0 = r2 * 192;
      vec4 sum0 = vec4(0);
      vec4 sum1 = vec4(0);
      vec4 sum2 = vec4(0);
      vec4 sum3 = vec4(0);
      int low0 = r1 - 1;
      int from0 = max(0, -low0);
      int to0 = min(3, 28 - low0);
      int p0 = pixel0 + low0 * 8;
      int w0 = weight0;
      for (int c0 = 0; c0 < 16; c0++) {
        for (int k0 = from0; k0 < to0; k0++) {
          int a0 = p0 + k0 * 8;
          int a1 = w0 + k0 * 4;
          int x0 = a0 & 127;
          int y0 = a0 >> 7;
          vec4 v0 = pixels(x0, y0);
          vec4 v1 = pixels(x0 + 1, y0);
          vec4 v2 = vec4(v0.yzw, v1.x);
          vec4 v3 = vec4(v0.zw, v1.xy);
          vec4 w1 = weights(a1, 0);
          vec4 w2 = weights(a1 + 1, 0);
          vec4 w3 = weights(a1 + 2, 0);
          sum0 += w1.x * v0 + w2.x * v2 + w3.x * v3;
          sum1 += w1.y * v0 + w2.y * v2 + w3.y * v3;
          sum2 += w1.z * v0 + w2.z * v2 + w3.z * v3;
          sum3 += w1.w * v0 + w2.w * v2 + w3.w * v3;
        }
        p0 += 224;
        w0 += 12;
      }
      if (has_nan(sum0) || has_nan(sum1) || has_nan(sum2) || has_nan(sum3)) {
        sum0 = vec4(0);
        sum1 = vec4(0);
        sum2 = vec4(0);
        sum3 = vec4(0);
        int first0 = r0 * 4 - 1;
        int p1 = pixel0 + low0 * 8;
        int w4 = weight0;
        for (int c1 = 0; c1 < 16; c1++) {
          for (int k1 = from0; k1 < to0; k1++) {
            int a2 = p1 + k1 * 8;
            int a3 = w4 + k1 * 4;
            for (int k2 = 0; k2 < 3; k2++) {
              int a4 = k2;
              int a5 = a2 + (a4 >> 2);
              int x1 = a5 & 127;
              int y1 = a5 >> 7;
              vec4 v4 = four_of(pixels(x1, y1), pixels(x1 + 1, y1), a4 & 3);
              ivec4 a6 = first0 + k2 + ivec4(0, 1, 2, 3);
              uvec4 a7 = uvec4(lessThan(uvec4(a6), uvec4(28)));
              vec4 w5 = weights(a3 + k2, 0);
              sum0 += where_exists(w5.x * v4, a7);
              sum1 += where_exists(w5.y * v4, a7);
              sum2 += where_exists(w5.z * v4, a7);
              sum3 += where_exists(w5.w * v4, a7);
            }
          }
          p1 += 224;
          w4 += 12;
        }
      }
      o0 = floatBitsToUint(sum0);
      o1 = floatBitsToUint(sum1);
      o2 = floatBitsToUint(sum2);
      o3 = floatBitsToUint(sum3);
    }
    "
  `);
  expect(program.stages[3]!.code).toMatchInlineSnapshot(`
    "// conv_finish: 200704 of float32
    uvec4 sum_at(int row, int block) {
      ivec2 at = ivec2(block & 127, block >> 7);
      if (row == 0) return texelFetch(t0, at, 0);
      if (row == 1) return texelFetch(t1, at, 0);
      if (row == 2) return texelFetch(t2, at, 0);
      return texelFetch(t3, at, 0);
    }

    uvec4 sums_of(int quad) {
      int q0 = quad / 196;
      int r0 = quad - q0 * 196;
      int q1 = q0 >> 5;
      int r1 = q0 & 31;
      int q2 = r1 >> 2;
      int r2 = r1 & 3;
      return sum_at(r2, (q1 * 8 + q2) * 196 + r0);
    }

    uvec4 texel(int index) {
      vec4 x0 = uintBitsToFloat(sums_of(index));
      return floatBitsToUint(x0);
    }
    "
  `);
});
