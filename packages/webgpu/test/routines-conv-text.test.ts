/** The WGSL of convolutions: small enough to be read. */

import { type ConvOptions, convAnchor } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { type ConvMethod, convRoutine } from '../src/routines/conv.ts';
import { hardware, software } from './support/kernels.ts';

const source = (options: ConvOptions, method: ConvMethod): string =>
  convRoutine(convAnchor(options), method === 'gemm' ? hardware : software, method)!.source();

test('a kernel of one needs no masks; two input channels make a turn', () => {
  const options = { inChannels: 4, outChannels: 2, inSize: [2, 2], kernelSize: [1, 1] };
  expect(source(options, 'tile')).toMatchInlineSnapshot(`
    "// convolution: tiles 1x1x1x1x2x1x1
    @group(0) @binding(0) var<storage, read> b0: array<f32, 19>;
    @group(0) @binding(1) var<storage, read> b1: array<f32, 9>;
    @group(0) @binding(2) var<storage, read_write> b2: array<f32, 8>;

    @compute @workgroup_size(8)
    fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
      let p0 = group.x * 8u + lane;
      let p1 = min(p0, 7u);
      let q2 = p1 >> 2u;
      let n3 = i32(p1 & 3u);
      let n4 = i32(q2);
      var s0_0_0_0 = 0.0f;
      for (var k5 = 0u; k5 < 2u; k5++) {
        let n6 = i32(k5);
        let t7 = n6 * 2;
        let a8 = t7 * 4 + n3 + 3;
        let a9 = n4 * 4 + t7 + 1;
        let w10 = b1[a9];
        let x11 = b0[a8];
        s0_0_0_0 += w10 * x11;
        let w12 = b1[a9 + 1];
        let x13 = b0[a8 + 4];
        s0_0_0_0 += w12 * x13;
      }
      let r14 = u32(0);
      let r15 = u32(n4);
      let r16 = r15;
      let c17 = r14 * 4u + u32(n3);
      {
        let p18 = r16 * 4u + c17;
        b2[p18] = s0_0_0_0;
      }
    }
    "
  `);
});

test('padding is masked, and taken out again where it made a NaN', () => {
  const options = { inSize: [3], kernelSize: [3], padLow: [1] };
  expect(source(options, 'tile')).toMatchInlineSnapshot(`
    "// convolution: tiles 1x1x1x1x1x1x3
    @group(0) @binding(0) var<storage, read> b0: array<f32, 6>;
    @group(0) @binding(1) var<storage, read> b1: array<f32, 4>;
    @group(0) @binding(2) var<storage, read_write> b2: array<f32, 3>;

    fn is_nan(x: f32) -> bool {
      return (bitcast<i32>(x) & 0x7fffffff) > 0x7f800000;
    }

    @compute @workgroup_size(4)
    fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
      let p0 = group.x * 4u + lane;
      if (p0 >= 3u) { return; }
      let p1 = min(p0, 2u);
      let n2 = i32(p1);
      var s0_0_0_0 = 0.0f;
      {
        let q3 = n2 - 1;
        let a4 = q3 + 3;
        let a5 = 1;
        let w6 = b1[a5];
        let w7 = b1[a5 + 1];
        let w8 = b1[a5 + 2];
        let m9 = u32(q3) < 3u;
        let x10 = select(0.0f, b0[a4], m9);
        let m11 = u32(q3 + 1) < 3u;
        let x12 = select(0.0f, b0[a4 + 1], m11);
        let m13 = u32(q3 + 2) < 3u;
        let x14 = select(0.0f, b0[a4 + 2], m13);
        s0_0_0_0 += w6 * x10; s0_0_0_0 += w7 * x12; s0_0_0_0 += w8 * x14;
      }
      let r15 = u32(0);
      let r16 = u32(0);
      let r17 = r16;
      let c18 = r15 * 3u + u32(n2);
      {
        let p19 = r17 * 3u + c18;
        b2[p19] = s0_0_0_0;
      }
      if (is_nan(s0_0_0_0)) {
        for (var e20 = 0u; e20 < 1u; e20++) {
          var s21 = 0.0f;
          {
            let q22 = n2 - 1;
            let a23 = (q22 + 3);
            let a24 = (1);
            for (var t25 = 0u; t25 < 3u; t25++) {
              let n26 = i32(t25);
              let q27 = 0;
              let q28 = n26;
              if ((u32(q22 + q28) < 3u)) {
                s21 += b1[a24 + n26] * b0[a23 + q28];
              }
            }
          }
          let r29 = u32(0);
          let r30 = u32(0);
          let r31 = r30;
          let c32 = r29 * 3u + u32(n2);
          {
            let p33 = r31 * 3u + c32;
            b2[p33] = s21;
          }
        }
      }
    }
    "
  `);
});

test('a product through workgroup memory', () => {
  const options = { batch: 3, inChannels: 5, outChannels: 9, inSize: [7], kernelSize: [3] };
  expect(source(options, 'gemm')).toMatchInlineSnapshot(`
    "// convolution: blocks 32x32
    @group(0) @binding(0) var<storage, read> b0: array<f32, 108>;
    @group(0) @binding(1) var<storage, read> b1: array<f32, 136>;
    @group(0) @binding(2) var<storage, read_write> b2: array<f32, 135>;
    var<workgroup> shared0: array<f32, 528>;
    var<workgroup> shared1: array<f32, 512>;

    @compute @workgroup_size(128)
    fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
      let p0 = group.x;
      var s0_0 = 0.0f;
      var s0_1 = 0.0f;
      var s0_2 = 0.0f;
      var s0_3 = 0.0f;
      var s1_0 = 0.0f;
      var s1_1 = 0.0f;
      var s1_2 = 0.0f;
      var s1_3 = 0.0f;
      let c1 = lane % 32u;
      let n2 = i32(c1);
      let q3 = u32(n2) / 5u;
      let n4 = i32(u32(n2) % 5u);
      let n5 = i32(q3);
      let a6 = n5 * 35 + n4 + 3;
      let m7 = n2 < 15;
      let r8 = lane / 32u;
      for (var k9 = 0; k9 < 15; k9 += 16) {
        {
          let e10 = lane % 16u;
          let e11 = lane / 16u;
          let t12 = k9 + i32(e10);
          let o13 = i32(e11);
          let q14 = u32(t12) / 3u;
          let n15 = i32(u32(t12) % 3u);
          let n16 = i32(q14);
          let a17 = o13 * 15 + n16 * 3 + n15 + 1;
          shared0[e10 * 33u + e11] = select(0.0f, b1[a17], (t12 < 15) & (o13 < 9));
        }
        {
          let e18 = (lane + 128u) % 16u;
          let e19 = (lane + 128u) / 16u;
          let t20 = k9 + i32(e18);
          let o21 = i32(e19);
          let q22 = u32(t20) / 3u;
          let n23 = i32(u32(t20) % 3u);
          let n24 = i32(q22);
          let a25 = o21 * 15 + n24 * 3 + n23 + 1;
          shared0[e18 * 33u + e19] = select(0.0f, b1[a25], (t20 < 15) & (o21 < 9));
        }
        {
          let e26 = (lane + 256u) % 16u;
          let e27 = (lane + 256u) / 16u;
          let t28 = k9 + i32(e26);
          let o29 = i32(e27);
          let q30 = u32(t28) / 3u;
          let n31 = i32(u32(t28) % 3u);
          let n32 = i32(q30);
          let a33 = o29 * 15 + n32 * 3 + n31 + 1;
          shared0[e26 * 33u + e27] = select(0.0f, b1[a33], (t28 < 15) & (o29 < 9));
        }
        {
          let e34 = (lane + 384u) % 16u;
          let e35 = (lane + 384u) / 16u;
          let t36 = k9 + i32(e34);
          let o37 = i32(e35);
          let q38 = u32(t36) / 3u;
          let n39 = i32(u32(t36) % 3u);
          let n40 = i32(q38);
          let a41 = o37 * 15 + n40 * 3 + n39 + 1;
          shared0[e34 * 33u + e35] = select(0.0f, b1[a41], (t36 < 15) & (o37 < 9));
        }
        {
          let d42 = r8 + 0u;
          let t43 = k9 + i32(d42);
          let m44 = t43 < 15;
          let q45 = u32(t43) / 3u;
          let n46 = i32(u32(t43) % 3u);
          let n47 = i32(q45);
          shared1[d42 * 32u + c1] = select(0.0f, b0[a6 + n47 * 7 + n46], m44 & m7);
        }
        {
          let d48 = r8 + 4u;
          let t49 = k9 + i32(d48);
          let m50 = t49 < 15;
          let q51 = u32(t49) / 3u;
          let n52 = i32(u32(t49) % 3u);
          let n53 = i32(q51);
          shared1[d48 * 32u + c1] = select(0.0f, b0[a6 + n53 * 7 + n52], m50 & m7);
        }
        {
          let d54 = r8 + 8u;
          let t55 = k9 + i32(d54);
          let m56 = t55 < 15;
          let q57 = u32(t55) / 3u;
          let n58 = i32(u32(t55) % 3u);
          let n59 = i32(q57);
          shared1[d54 * 32u + c1] = select(0.0f, b0[a6 + n59 * 7 + n58], m56 & m7);
        }
        {
          let d60 = r8 + 12u;
          let t61 = k9 + i32(d60);
          let m62 = t61 < 15;
          let q63 = u32(t61) / 3u;
          let n64 = i32(u32(t61) % 3u);
          let n65 = i32(q63);
          shared1[d60 * 32u + c1] = select(0.0f, b0[a6 + n65 * 7 + n64], m62 & m7);
        }
        workgroupBarrier();
        let r66 = lane / 8u * 2u;
        let c67 = lane % 8u * 4u;
        for (var d68 = 0u; d68 < 16u; d68++) {
          let w69 = shared0[d68 * 33u + r66 + 0u];
          let w70 = shared0[d68 * 33u + r66 + 1u];
          let x71 = shared1[d68 * 32u + c67 + 0u];
          let x72 = shared1[d68 * 32u + c67 + 1u];
          let x73 = shared1[d68 * 32u + c67 + 2u];
          let x74 = shared1[d68 * 32u + c67 + 3u];
          s0_0 += w69 * x71;
          s0_1 += w69 * x72;
          s0_2 += w69 * x73;
          s0_3 += w69 * x74;
          s1_0 += w70 * x71;
          s1_1 += w70 * x72;
          s1_2 += w70 * x73;
          s1_3 += w70 * x74;
        }
        workgroupBarrier();
      }
      let o75 = i32(lane / 8u) * 2;
      let n76 = i32(lane % 8u) * 4;
      let n77 = n76;
      if (n77 < 15) {
        let q78 = u32(n77) / 5u;
        let n79 = i32(u32(n77) % 5u);
        let n80 = i32(q78);
        let r81 = n80 * 9 + o75;
        let c82 = u32(n79);
        let r83 = u32(r81);
        let r84 = u32(r81 + 1);
        if (o75 < 9) {
          let p85 = r83 * 5u + c82;
          b2[p85] = s0_0;
        }
        if (o75 + 1 < 9) {
          let p86 = r84 * 5u + c82;
          b2[p86] = s1_0;
        }
      }
      let n87 = n76 + 1;
      if (n87 < 15) {
        let q88 = u32(n87) / 5u;
        let n89 = i32(u32(n87) % 5u);
        let n90 = i32(q88);
        let r91 = n90 * 9 + o75;
        let c92 = u32(n89);
        let r93 = u32(r91);
        let r94 = u32(r91 + 1);
        if (o75 < 9) {
          let p95 = r93 * 5u + c92;
          b2[p95] = s0_1;
        }
        if (o75 + 1 < 9) {
          let p96 = r94 * 5u + c92;
          b2[p96] = s1_1;
        }
      }
      let n97 = n76 + 2;
      if (n97 < 15) {
        let q98 = u32(n97) / 5u;
        let n99 = i32(u32(n97) % 5u);
        let n100 = i32(q98);
        let r101 = n100 * 9 + o75;
        let c102 = u32(n99);
        let r103 = u32(r101);
        let r104 = u32(r101 + 1);
        if (o75 < 9) {
          let p105 = r103 * 5u + c102;
          b2[p105] = s0_2;
        }
        if (o75 + 1 < 9) {
          let p106 = r104 * 5u + c102;
          b2[p106] = s1_2;
        }
      }
      let n107 = n76 + 3;
      if (n107 < 15) {
        let q108 = u32(n107) / 5u;
        let n109 = i32(u32(n107) % 5u);
        let n110 = i32(q108);
        let r111 = n110 * 9 + o75;
        let c112 = u32(n109);
        let r113 = u32(r111);
        let r114 = u32(r111 + 1);
        if (o75 < 9) {
          let p115 = r113 * 5u + c112;
          b2[p115] = s0_3;
        }
        if (o75 + 1 < 9) {
          let p116 = r114 * 5u + c112;
          b2[p116] = s1_3;
        }
      }
    }
    "
  `);
});
