/** The WGSL of products, without a device. */

import { type DotOptions, dotAnchor } from '@tutti/core/testing';
import { expect, it } from 'vitest';
import type { ShaderFeatures } from '../src/program.ts';
import { type DotVariant, dotRoutine } from '../src/routines/dot.ts';
import { hardware, software } from './support/kernels.ts';

const source = (
  sizes: readonly [number, number, number],
  options: DotOptions,
  features: ShaderFeatures,
  variant?: DotVariant,
): string => dotRoutine(dotAnchor(...sizes, options), features, variant)!.source();

const quads: ShaderFeatures = { ...software, subgroups: true, subgroupMinSize: 4, subgroupMaxSize: 4 };

it('gives each lane of a quad a row', () => {
  expect(source([32, 32, 5], {}, quads)).toMatchInlineSnapshot(`
    "// direct 4x4 in quads of 8
    enable subgroups;
    @group(0) @binding(0) var<storage, read> b0: array<f32, 160>;
    @group(0) @binding(1) var<storage, read> b1: array<f32, 160>;
    @group(0) @binding(2) var<storage, read_write> b2: array<vec4<f32>, 256>;

    @compute @workgroup_size(8)
    fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_invocation_id) subgroup_lane: u32) {
      let n0 = 0;
      let n1 = 0;
      let n2 = 0;
      let n3 = i32(group.x);
      let g4 = min(u32(n3), 7u);
      let c5 = lane * 4u;
      let r6 = g4 * 4u;
      let q7 = subgroup_lane & 3u;
      let a8 = (r6 + q7) * 5u;
      let q9 = c5;
      let q10 = c5 + 1u;
      let q11 = c5 + 2u;
      let q12 = c5 + 3u;
      var s13 = vec4<f32>();
      var s14 = vec4<f32>();
      var s15 = vec4<f32>();
      var s16 = vec4<f32>();
      for (var t17 = 0u; t17 < 1u; t17++) {
        let k18 = t17 * 4u;
        let k19 = t17 * 4u + 1u;
        let k20 = t17 * 4u + 2u;
        let k21 = t17 * 4u + 3u;
        let x22 = vec4<f32>(b1[q9 + k18 * 32u], b1[q10 + k18 * 32u], b1[q11 + k18 * 32u], b1[q12 + k18 * 32u]);
        let x23 = vec4<f32>(b1[q9 + k19 * 32u], b1[q10 + k19 * 32u], b1[q11 + k19 * 32u], b1[q12 + k19 * 32u]);
        let x24 = vec4<f32>(b1[q9 + k20 * 32u], b1[q10 + k20 * 32u], b1[q11 + k20 * 32u], b1[q12 + k20 * 32u]);
        let x25 = vec4<f32>(b1[q9 + k21 * 32u], b1[q10 + k21 * 32u], b1[q11 + k21 * 32u], b1[q12 + k21 * 32u]);
        let y26 = b0[a8 + k18];
        let y27 = b0[a8 + k19];
        let y28 = b0[a8 + k20];
        let y29 = b0[a8 + k21];
        s13 = s13 + y26 * x22 + y27 * x23 + y28 * x24 + y29 * x25;
        let z30 = quadSwapX(y26);
        let z31 = quadSwapX(y27);
        let z32 = quadSwapX(y28);
        let z33 = quadSwapX(y29);
        s14 = s14 + z30 * x22 + z31 * x23 + z32 * x24 + z33 * x25;
        let z34 = quadSwapY(y26);
        let z35 = quadSwapY(y27);
        let z36 = quadSwapY(y28);
        let z37 = quadSwapY(y29);
        s15 = s15 + z34 * x22 + z35 * x23 + z36 * x24 + z37 * x25;
        let z38 = quadSwapDiagonal(y26);
        let z39 = quadSwapDiagonal(y27);
        let z40 = quadSwapDiagonal(y28);
        let z41 = quadSwapDiagonal(y29);
        s16 = s16 + z38 * x22 + z39 * x23 + z40 * x24 + z41 * x25;
      }
      {
        let k42 = 4u;
        let x43 = vec4<f32>(b1[q9 + k42 * 32u], b1[q10 + k42 * 32u], b1[q11 + k42 * 32u], b1[q12 + k42 * 32u]);
        let y44 = b0[a8 + k42];
        s13 = s13 + y44 * x43;
        let z45 = quadSwapX(y44);
        s14 = s14 + z45 * x43;
        let z46 = quadSwapY(y44);
        s15 = s15 + z46 * x43;
        let z47 = quadSwapDiagonal(y44);
        s16 = s16 + z47 * x43;
      }
      let r48 = r6 + q7;
      let r49 = r6 + (q7 ^ 1u);
      let r50 = r6 + (q7 ^ 2u);
      let r51 = r6 + (q7 ^ 3u);
      {
        let p52 = r48 * 32u + c5;
        b2[p52 >> 2u] = vec4<f32>(s13.x, s13.y, s13.z, s13.w);
      }
      {
        let p53 = r49 * 32u + c5;
        b2[p53 >> 2u] = vec4<f32>(s14.x, s14.y, s14.z, s14.w);
      }
      {
        let p54 = r50 * 32u + c5;
        b2[p54 >> 2u] = vec4<f32>(s15.x, s15.y, s15.z, s15.w);
      }
      {
        let p55 = r51 * 32u + c5;
        b2[p55 >> 2u] = vec4<f32>(s16.x, s16.y, s16.z, s16.w);
      }
    }
    "
  `);
});

it('goes without quads where there are no subgroups', () => {
  expect(source([2, 3, 4], { layouts: ['columns', 'columns'] }, software)).toMatchInlineSnapshot(`
    "// direct 1x1 of 4
    @group(0) @binding(0) var<storage, read> b0: array<f32, 8>;
    @group(0) @binding(1) var<storage, read> b1: array<f32, 12>;
    @group(0) @binding(2) var<storage, read_write> b2: array<f32, 6>;

    @compute @workgroup_size(4)
    fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
      let n0 = 0;
      let n1 = 0;
      let n2 = 0;
      let n3 = i32(group.x);
      let g4 = min(u32(n3), 1u);
      let c5 = lane;
      let r6 = g4;
      let a7 = r6;
      let q8 = (min(c5, 2u)) * 4u;
      var s9 = f32();
      for (var t10 = 0u; t10 < 1u; t10++) {
        let k11 = t10 * 4u;
        let k12 = t10 * 4u + 1u;
        let k13 = t10 * 4u + 2u;
        let k14 = t10 * 4u + 3u;
        let x15 = b1[q8 + k11];
        let x16 = b1[q8 + k12];
        let x17 = b1[q8 + k13];
        let x18 = b1[q8 + k14];
        let y19 = b0[a7 + k11 * 2u];
        let y20 = b0[a7 + k12 * 2u];
        let y21 = b0[a7 + k13 * 2u];
        let y22 = b0[a7 + k14 * 2u];
        s9 = s9 + y19 * x15 + y20 * x16 + y21 * x17 + y22 * x18;
      }
      let r23 = r6;
      if (c5 < 3u) {
        {
          let p24 = r23 * 3u + c5;
          b2[p24] = s9;
        }
      }
    }
    "
  `);
});

it('walks along k with tiles in workgroup memory', () => {
  const options: DotOptions = { layouts: ['rows', 'columns'], epilogue: { space: [40, 32], bias: 1 } };
  expect(source([40, 32, 40], options, hardware, 'small')).toMatchInlineSnapshot(`
    "// tiles of 32x32x16 by 4x4
    @group(0) @binding(0) var<storage, read> b0: array<vec4<f32>, 400>;
    @group(0) @binding(1) var<storage, read> b1: array<vec4<f32>, 320>;
    @group(0) @binding(2) var<storage, read_write> b2: array<vec4<f32>, 320>;
    @group(0) @binding(3) var<storage, read> b3: array<f32, 32>;
    @group(0) @binding(4) var<storage, read> b4: array<f32, 1280>;
    @group(0) @binding(5) var<uniform> scalars: array<vec4<u32>, 1>;
    var<workgroup> shared0: array<vec4<f32>, 160>;
    var<workgroup> shared1: array<vec4<f32>, 144>;

    fn is_below_zero(x: f32) -> bool {
      return bitcast<i32>(x) < -8388607;
    }

    @compute @workgroup_size(64)
    fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
      let n0 = 0;
      let n1 = 0;
      let n2 = 0;
      let n3 = i32(group.x);
      let g4 = min(u32(n3), 1u);
      let r5 = g4 * 32u;
      let c6 = 0u;
      let x7 = lane % 8u;
      let y8 = lane / 8u;
      var s9 = vec4<f32>();
      var s10 = vec4<f32>();
      var s11 = vec4<f32>();
      var s12 = vec4<f32>();
      for (var t13 = 0u; t13 < 3u; t13++) {
        let k14 = t13 * 16u;
        {
          let l15 = lane;
          let l16 = l15 % 4u;
          let l17 = l15 / 4u;
          let o18 = r5 + l17;
          let j19 = k14 + l16 * 4u;
          let e20 = (min(o18, 39u)) * 40u + min(j19, 36u);
          shared0[l17 * 5u + l16] = select(vec4<f32>(), b0[e20 >> 2u], vec4<u32>(j19) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(40u));
        }
        {
          let l21 = (lane + 64u);
          let l22 = l21 % 4u;
          let l23 = l21 / 4u;
          let o24 = r5 + l23;
          let j25 = k14 + l22 * 4u;
          let e26 = (min(o24, 39u)) * 40u + min(j25, 36u);
          shared0[l23 * 5u + l22] = select(vec4<f32>(), b0[e26 >> 2u], vec4<u32>(j25) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(40u));
        }
        if (lane < 32u) {
          let l27 = lane;
          let l28 = l27 % 4u;
          let l29 = l27 / 4u;
          let o30 = k14 + l28 * 4u;
          let j31 = c6 + l29 * 4u;
          let e32 = j31 * 40u + min(o30, 36u);
          let w33 = b1[e32 >> 2u];
          let e34 = (j31 + 1u) * 40u + min(o30, 36u);
          let w35 = b1[e34 >> 2u];
          let e36 = (j31 + 2u) * 40u + min(o30, 36u);
          let w37 = b1[e36 >> 2u];
          let e38 = (j31 + 3u) * 40u + min(o30, 36u);
          let w39 = b1[e38 >> 2u];
          shared1[(l28 * 4u) * 9u + l29] = select(vec4<f32>(), vec4<f32>(w33.x, w35.x, w37.x, w39.x), o30 < 40u);
          shared1[(l28 * 4u + 1u) * 9u + l29] = select(vec4<f32>(), vec4<f32>(w33.y, w35.y, w37.y, w39.y), o30 + 1u < 40u);
          shared1[(l28 * 4u + 2u) * 9u + l29] = select(vec4<f32>(), vec4<f32>(w33.z, w35.z, w37.z, w39.z), o30 + 2u < 40u);
          shared1[(l28 * 4u + 3u) * 9u + l29] = select(vec4<f32>(), vec4<f32>(w33.w, w35.w, w37.w, w39.w), o30 + 3u < 40u);
        }
        workgroupBarrier();
        for (var v40 = 0u; v40 < 4u; v40++) {
          let a41 = shared0[(y8 * 4u + 0u) * 5u + v40];
          let a42 = shared0[(y8 * 4u + 1u) * 5u + v40];
          let a43 = shared0[(y8 * 4u + 2u) * 5u + v40];
          let a44 = shared0[(y8 * 4u + 3u) * 5u + v40];
          let d45 = shared1[(v40 * 4u + 0u) * 9u + x7];
          s9 += a41.x * d45;
          s10 += a42.x * d45;
          s11 += a43.x * d45;
          s12 += a44.x * d45;
          let d46 = shared1[(v40 * 4u + 1u) * 9u + x7];
          s9 += a41.y * d46;
          s10 += a42.y * d46;
          s11 += a43.y * d46;
          s12 += a44.y * d46;
          let d47 = shared1[(v40 * 4u + 2u) * 9u + x7];
          s9 += a41.z * d47;
          s10 += a42.z * d47;
          s11 += a43.z * d47;
          s12 += a44.z * d47;
          let d48 = shared1[(v40 * 4u + 3u) * 9u + x7];
          s9 += a41.w * d48;
          s10 += a42.w * d48;
          s11 += a43.w * d48;
          s12 += a44.w * d48;
        }
        workgroupBarrier();
      }
      let r49 = r5 + y8 * 4u;
      let r50 = r5 + y8 * 4u + 1u;
      let r51 = r5 + y8 * 4u + 2u;
      let r52 = r5 + y8 * 4u + 3u;
      let r53 = r49;
      let r54 = r50;
      let r55 = r51;
      let r56 = r52;
      let c57 = c6 + (x7) * 4u;
      let s58 = bitcast<f32>(scalars[0].x);
      let n59 = i32(c57);
      let n60 = n59 + 1;
      let n61 = n59 + 2;
      let n62 = n59 + 3;
      let x63 = b3[n59];
      let x64 = b3[n60];
      let x65 = b3[n61];
      let x66 = b3[n62];
      if (r49 < 40u) {
        let p67 = r53 * 32u + c57;
        let n68 = i32(p67);
        let x69 = b4[n68];
        let x70 = b4[(n68 + 1)];
        let x71 = b4[(n68 + 2)];
        let x72 = b4[(n68 + 3)];
        b2[p67 >> 2u] = vec4<f32>((select(((s9.x * s58) + x63), 0.0f, is_below_zero(((s9.x * s58) + x63))) + x69), (select(((s9.y * s58) + x64), 0.0f, is_below_zero(((s9.y * s58) + x64))) + x70), (select(((s9.z * s58) + x65), 0.0f, is_below_zero(((s9.z * s58) + x65))) + x71), (select(((s9.w * s58) + x66), 0.0f, is_below_zero(((s9.w * s58) + x66))) + x72));
      }
      if (r50 < 40u) {
        let p73 = r54 * 32u + c57;
        let n74 = i32(p73);
        let x75 = b4[n74];
        let x76 = b4[(n74 + 1)];
        let x77 = b4[(n74 + 2)];
        let x78 = b4[(n74 + 3)];
        b2[p73 >> 2u] = vec4<f32>((select(((s10.x * s58) + x63), 0.0f, is_below_zero(((s10.x * s58) + x63))) + x75), (select(((s10.y * s58) + x64), 0.0f, is_below_zero(((s10.y * s58) + x64))) + x76), (select(((s10.z * s58) + x65), 0.0f, is_below_zero(((s10.z * s58) + x65))) + x77), (select(((s10.w * s58) + x66), 0.0f, is_below_zero(((s10.w * s58) + x66))) + x78));
      }
      if (r51 < 40u) {
        let p79 = r55 * 32u + c57;
        let n80 = i32(p79);
        let x81 = b4[n80];
        let x82 = b4[(n80 + 1)];
        let x83 = b4[(n80 + 2)];
        let x84 = b4[(n80 + 3)];
        b2[p79 >> 2u] = vec4<f32>((select(((s11.x * s58) + x63), 0.0f, is_below_zero(((s11.x * s58) + x63))) + x81), (select(((s11.y * s58) + x64), 0.0f, is_below_zero(((s11.y * s58) + x64))) + x82), (select(((s11.z * s58) + x65), 0.0f, is_below_zero(((s11.z * s58) + x65))) + x83), (select(((s11.w * s58) + x66), 0.0f, is_below_zero(((s11.w * s58) + x66))) + x84));
      }
      if (r52 < 40u) {
        let p85 = r56 * 32u + c57;
        let n86 = i32(p85);
        let x87 = b4[n86];
        let x88 = b4[(n86 + 1)];
        let x89 = b4[(n86 + 2)];
        let x90 = b4[(n86 + 3)];
        b2[p85 >> 2u] = vec4<f32>((select(((s12.x * s58) + x63), 0.0f, is_below_zero(((s12.x * s58) + x63))) + x87), (select(((s12.y * s58) + x64), 0.0f, is_below_zero(((s12.y * s58) + x64))) + x88), (select(((s12.z * s58) + x65), 0.0f, is_below_zero(((s12.z * s58) + x65))) + x89), (select(((s12.w * s58) + x66), 0.0f, is_below_zero(((s12.w * s58) + x66))) + x90));
      }
    }
    "
  `);
});

it('adds parts of k in a second stage', () => {
  const text = source([2, 4, 1024], {}, hardware, 'wide');
  expect(text.split('\n')[0]).toMatchInlineSnapshot(`"// tiles of 8x128x16 by 4x4, 4 parts of k"`);
  expect(text.slice(text.lastIndexOf('@group(0) @binding(0)'))).toMatchInlineSnapshot(`
    "@group(0) @binding(0) var<storage, read> b0: array<f32, 32>;
    @group(0) @binding(1) var<storage, read_write> b1: array<f32, 8>;

    @compute @workgroup_size(64)
    fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
      let p0 = group.x * 64u + lane;
      if (p0 >= 8u) { return; }
      let p1 = min(p0, 7u);
      let n2 = i32(p1);
      var a3 = 0.0f;
      let k4 = 0;
      let k5 = k4 + 1;
      let k6 = k4 + 2;
      let k7 = k4 + 3;
      let x8 = b0[((k4 * 8) + n2)];
      let x9 = b0[((k5 * 8) + n2)];
      let x10 = b0[((k6 * 8) + n2)];
      let x11 = b0[((k7 * 8) + n2)];
      a3 = (a3 + ((x8 + x9) + (x10 + x11)));
      b1[n2] = a3;
    }
    "
  `);
});

it('has the variants that suit a product', () => {
  const first = (sizes: readonly [number, number, number], options?: DotOptions): string =>
    source(sizes, options ?? {}, hardware).split('\n')[0]!;
  expect([
    first([1, 1000, 512]),
    first([1000, 1, 512]),
    first([4, 1000, 512]),
    first([1000, 4, 512]),
    first([128, 128, 128]),
    first([128, 128, 4096]),
    first([2048, 2048, 2048]),
    first([64, 64, 64], { batch: [12, 64] }),
  ]).toMatchInlineSnapshot(`
    [
      "// one row",
      "// one row",
      "// tiles of 8x128x16 by 4x4, 2 parts of k",
      "// tiles of 128x8x16 by 4x4, 2 parts of k",
      "// tiles of 32x32x16 by 4x4",
      "// tiles of 32x32x16 by 4x4, 16 parts of k",
      "// tiles of 64x64x16 by 8x8",
      "// tiles of 64x64x16 by 8x8",
    ]
  `);
});
