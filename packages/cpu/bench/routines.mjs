/**
 * GFLOP/s of the routines on one thread, shape by shape.
 *
 *     pnpm build && node packages/cpu/bench/routines.mjs [filter] [--repeat 5]
 */

import { routine } from '../dist/routines/index.js';
import { features } from '../dist/runtime/features.js';
import { ModuleBuilder } from '../dist/wasm/index.js';

const f32 = (length, access = 'read') => ({ dtype: 'float32', length, access });
const product = (values) => values.reduce((a, b) => a * b, 1);

/** Layouts: n = rows as they lie, t = transposed. */
function dot(m, n, k, layout = 'nn', batch = []) {
  const strides = (rows, columns, kind) =>
    kind === 'n' ? { row: columns, column: 1 } : { row: 1, column: rows };
  const batchStrides = (size) => batch.map((_, i) => size * product(batch.slice(i + 1)));
  const b = product(batch);
  return {
    kind: 'dot',
    name: `dot ${layout} ${batch.length ? `${batch.join('x')} x ` : ''}${m}x${n}x${k}`,
    batch,
    m,
    n,
    k,
    lhs: { dtype: 'float32', offset: 0, batch: batchStrides(m * k), ...strides(m, k, layout[0]) },
    rhs: { dtype: 'float32', offset: 0, batch: batchStrides(k * n), ...strides(k, n, layout[1]) },
    type: 'f32',
    buffers: [f32(b * m * k), f32(b * k * n), f32(b * m * n, 'write')],
    scalars: [],
  };
}

const contiguous = (shape) => shape.map((_, i) => product(shape.slice(i + 1)));

function conv(
  name,
  { batch, groups = 1, inChannels, outChannels, size, kernel, stride = 1, pad = 0, dilation = 1 },
) {
  const dims = size.length;
  const all = (x) => (Array.isArray(x) ? x : new Array(dims).fill(x));
  const [kernelSize, strides, padLow, kernelDilation] = [all(kernel), all(stride), all(pad), all(dilation)];
  const outSize = size.map(
    (s, d) => Math.floor((s + 2 * padLow[d] - (kernelSize[d] - 1) * kernelDilation[d] - 1) / strides[d]) + 1,
  );
  const x = contiguous([batch, groups * inChannels, ...size]);
  const w = contiguous([groups * outChannels, inChannels, ...kernelSize]);
  return {
    kind: 'conv',
    name,
    batch,
    groups,
    inChannels,
    outChannels,
    inSize: size,
    outSize,
    kernelSize,
    stride: strides,
    padLow,
    inputDilation: all(1),
    kernelDilation,
    lhs: { dtype: 'float32', offset: 0, outer: x[0], inner: x[1], spatial: x.slice(2) },
    rhs: { dtype: 'float32', offset: 0, outer: w[0], inner: w[1], spatial: w.slice(2) },
    type: 'f32',
    scalars: [],
    buffers: [
      f32(batch * x[0]),
      f32(groups * outChannels * w[0]),
      f32(batch * groups * outChannels * product(outSize), 'write'),
    ],
  };
}

/** The gradient of a conv by its weights, as a conv: batch and channels change places. */
function weightGradient(name, options) {
  const forward = conv(name, options);
  const { batch, inChannels, outChannels, inSize, outSize, kernelSize, padLow } = forward;
  const y = contiguous([batch, outChannels, ...outSize]);
  return {
    ...forward,
    batch: inChannels,
    inChannels: batch,
    outChannels,
    inSize,
    outSize: kernelSize,
    kernelSize: outSize,
    stride: forward.kernelDilation,
    kernelDilation: forward.stride,
    padLow,
    lhs: { ...forward.lhs, outer: forward.lhs.inner, inner: forward.lhs.outer },
    rhs: { dtype: 'float32', offset: 0, outer: y[1], inner: y[0], spatial: y.slice(2) },
    buffers: [
      forward.buffers[0],
      f32(batch * y[0]),
      f32(inChannels * outChannels * product(kernelSize), 'write'),
    ],
  };
}

/** The gradient of a conv by its input, as a conv: the output gradient is dilated by the stride, weights change places. */
function inputGradient(name, options) {
  const forward = conv(name, options);
  const { batch, inChannels, outChannels, inSize, outSize, kernelSize, padLow } = forward;
  const y = contiguous([batch, outChannels, ...outSize]);
  return {
    ...forward,
    inChannels: outChannels,
    outChannels: inChannels,
    inSize: outSize,
    outSize: inSize,
    stride: inSize.map(() => 1),
    inputDilation: forward.stride,
    padLow: padLow.map((p, d) => (kernelSize[d] - 1) * forward.kernelDilation[d] - p),
    lhs: { dtype: 'float32', offset: 0, outer: y[0], inner: y[1], spatial: y.slice(2) },
    rhs: { ...forward.rhs, outer: forward.rhs.inner, inner: forward.rhs.outer },
    buffers: [f32(batch * y[0]), forward.buffers[1], f32(batch * inChannels * product(inSize), 'write')],
  };
}

const flops = (a) =>
  a.kind === 'dot'
    ? 2 * product(a.batch) * a.m * a.n * a.k
    : (2 * a.batch * a.groups * a.outChannels * product(a.outSize) * a.inChannels * product(a.kernelSize)) /
      product(a.inputDilation);

function measure(anchor, repeat) {
  const program = routine(anchor);
  if (!program) return undefined;
  let top = 65536;
  const place = (bytes) => {
    const at = top;
    top = Math.ceil((top + bytes) / 64) * 64 + 64;
    return at;
  };
  const addresses = anchor.buffers.map((b) => place(b.length * 4));
  const workspace = place(program.workspaceBytes);
  const scratch = place(program.scratchBytes);
  const args = place(64);
  const memory = new WebAssembly.Memory({ initial: Math.ceil(top / 65536) + 1 });
  for (const i of [0, 1]) {
    const values = new Float32Array(memory.buffer, addresses[i], anchor.buffers[i].length);
    for (let j = 0; j < values.length; j++) values[j] = ((j * 7) % 13) / 13 - 0.4;
  }
  new Int32Array(memory.buffer, args).set([...addresses, workspace]);
  const builder = new ModuleBuilder({ shared: false });
  for (const [i, stage] of program.stages.entries()) {
    builder.export(
      `s${i}`,
      builder.function(`s${i}`, { params: ['i32', 'i32', 'i32', 'i32'], results: [] }, (fn) =>
        stage.emit(fn, builder),
      ),
    );
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(builder.build()), { env: { memory } });
  // Every stage runs in pieces of about a millisecond, and of each piece the best of many runs counts: what other work on
  // the machine takes away is not the routine's.
  const pieces = program.stages.map((stage) => {
    const size = Math.max(1, Math.min(stage.units, Math.round(1e6 / stage.cost)));
    return Array.from({ length: Math.ceil(stage.units / size) }, (_, i) => ({
      begin: i * size,
      end: Math.min((i + 1) * size, stage.units),
      best: Infinity,
    }));
  });
  const run = () => {
    for (const [i, stage] of pieces.entries()) {
      for (const piece of stage) {
        const start = performance.now();
        exports[`s${i}`](piece.begin, piece.end, args, scratch);
        piece.best = Math.min(piece.best, performance.now() - start);
      }
    }
  };
  const begin = performance.now();
  for (let round = 0; round < 4 || performance.now() - begin < 150; round++) run();
  const until = performance.now() + 60 * repeat;
  for (let round = 0; round < repeat || performance.now() < until; round++) run();
  const split = pieces.map((stage) => stage.reduce((sum, piece) => sum + piece.best, 0));
  const best = split.reduce((x, y) => x + y, 0);
  const estimated = program.stages.reduce((sum, s) => sum + s.units * s.cost, 0) / 1e6;
  return {
    best,
    split,
    estimated,
    units: program.stages.map((s) => s.units),
    variant: program.source().split('\n')[0],
  };
}

const shapes = [
  dot(64, 64, 64),
  dot(128, 128, 128),
  dot(256, 256, 256),
  dot(512, 512, 512),
  dot(1024, 1024, 1024),
  dot(2048, 2048, 2048),
  dot(1000, 1000, 1000),
  dot(64, 64, 64, 'nt'),
  dot(256, 256, 256, 'nt'),
  dot(1024, 1024, 1024, 'nt'),
  dot(1024, 1024, 1024, 'tn'),
  dot(1024, 1024, 1024, 'tt'),
  dot(1, 1024, 1024),
  dot(1, 1024, 1024, 'nt'),
  dot(1024, 1, 1024),
  dot(1024, 1, 1024, 'tn'),
  dot(1, 4096, 4096),
  dot(1, 4096, 4096, 'nt'),
  dot(4, 1024, 1024),
  dot(4, 1024, 1024, 'nt'),
  dot(8, 4096, 1024, 'nt'),
  dot(128, 128, 9216),
  dot(128, 10, 128),
  dot(128, 9216, 128),
  dot(128, 128, 9216, 'tn'),
  dot(10, 128, 128, 'tn'),
  dot(9216, 128, 128, 'tn'),
  dot(128, 9216, 128, 'nt'),
  dot(64, 64, 100000, 'tn'),
  dot(100000, 64, 64),
  dot(1000, 1000, 1),
  dot(512, 512, 16),
  dot(64, 64, 64, 'nn', [96]),
  dot(64, 64, 64, 'nt', [96]),
  dot(128, 64, 128, 'nn', [48]),
  dot(256, 256, 64, 'nt', [24]),
  dot(256, 64, 256, 'nn', [24]),
  dot(1, 64, 256, 'nn', [96]),
  conv('conv 128x32x28x28 3x3 64', {
    batch: 128,
    inChannels: 32,
    outChannels: 64,
    size: [28, 28],
    kernel: 3,
  }),
  conv('conv 128x32x26x26 3x3 64', {
    batch: 128,
    inChannels: 32,
    outChannels: 64,
    size: [26, 26],
    kernel: 3,
  }),
  conv('conv 128x1x28x28 3x3 32', { batch: 128, inChannels: 1, outChannels: 32, size: [28, 28], kernel: 3 }),
  conv('conv 32x64x56x56 3x3 64 same', {
    batch: 32,
    inChannels: 64,
    outChannels: 64,
    size: [56, 56],
    kernel: 3,
    pad: 1,
  }),
  conv('conv 128x64x24x24 3x3 32 full (input gradient)', {
    batch: 128,
    inChannels: 64,
    outChannels: 32,
    size: [24, 24],
    kernel: 3,
    pad: 2,
  }),
  conv('conv 8x64x56x56 1x1 256', { batch: 8, inChannels: 64, outChannels: 256, size: [56, 56], kernel: 1 }),
  conv('conv 8x128x28x28 3x3/2 128', {
    batch: 8,
    inChannels: 128,
    outChannels: 128,
    size: [28, 28],
    kernel: 3,
    stride: 2,
    pad: 1,
  }),
  conv('conv 8x3x224x224 7x7/2 64', {
    batch: 8,
    inChannels: 3,
    outChannels: 64,
    size: [224, 224],
    kernel: 7,
    stride: 2,
    pad: 3,
  }),
  conv('conv 8x512x7x7 3x3 512 same', {
    batch: 8,
    inChannels: 512,
    outChannels: 512,
    size: [7, 7],
    kernel: 3,
    pad: 1,
  }),
  conv('conv 8x256x14x14 3x3 256 same', {
    batch: 8,
    inChannels: 256,
    outChannels: 256,
    size: [14, 14],
    kernel: 3,
    pad: 1,
  }),
  conv('conv 8x64x64x64 3x3 64 same', {
    batch: 8,
    inChannels: 64,
    outChannels: 64,
    size: [64, 64],
    kernel: 3,
    pad: 1,
  }),
  conv('conv 1x28x28 depthwise 8x128x28x28', {
    batch: 8,
    groups: 128,
    inChannels: 1,
    outChannels: 1,
    size: [28, 28],
    kernel: 3,
    pad: 1,
  }),
  conv('conv grouped 8x(4x32)x28x28 32', {
    batch: 8,
    groups: 4,
    inChannels: 32,
    outChannels: 32,
    size: [28, 28],
    kernel: 3,
    pad: 1,
  }),
  conv('conv1d 16x64x1000 k5 64', {
    batch: 16,
    inChannels: 64,
    outChannels: 64,
    size: [1000],
    kernel: 5,
    pad: 2,
  }),
  inputGradient('igrad 128x32x26x26 3x3 64', {
    batch: 128,
    inChannels: 32,
    outChannels: 64,
    size: [26, 26],
    kernel: 3,
  }),
  inputGradient('igrad 8x128x28x28 3x3/2 128', {
    batch: 8,
    inChannels: 128,
    outChannels: 128,
    size: [28, 28],
    kernel: 3,
    stride: 2,
    pad: 1,
  }),
  weightGradient('wgrad 128x32x26x26 3x3 64', {
    batch: 128,
    inChannels: 32,
    outChannels: 64,
    size: [26, 26],
    kernel: 3,
  }),
  weightGradient('wgrad 128x1x28x28 3x3 32', {
    batch: 128,
    inChannels: 1,
    outChannels: 32,
    size: [28, 28],
    kernel: 3,
  }),
  weightGradient('wgrad 32x64x56x56 3x3 64 same', {
    batch: 32,
    inChannels: 64,
    outChannels: 64,
    size: [56, 56],
    kernel: 3,
    pad: 1,
  }),
  weightGradient('wgrad 8x128x28x28 3x3/2 128', {
    batch: 8,
    inChannels: 128,
    outChannels: 128,
    size: [28, 28],
    kernel: 3,
    stride: 2,
    pad: 1,
  }),
];

const filter = process.argv[2] && !process.argv[2].startsWith('--') ? new RegExp(process.argv[2]) : /./;
const at = process.argv.indexOf('--repeat');
const repeat = at < 0 ? 5 : Number(process.argv[at + 1]);
console.log(`relaxed_madd: ${features.relaxedMadd}`);
for (const anchor of shapes) {
  if (!filter.test(anchor.name)) continue;
  const result = measure(anchor, repeat);
  if (!result) {
    console.log(`${anchor.name.padEnd(48)} declined`);
    continue;
  }
  const { best, split, estimated, units, variant } = result;
  console.log(
    `${anchor.name.padEnd(48)} ${(flops(anchor) / best / 1e6).toFixed(1).padStart(6)} GFLOP/s ${best.toFixed(4).padStart(9)} ms` +
      ` (est ${estimated.toFixed(4)}; ${split.map((s) => s.toFixed(3)).join(' + ')}; units ${units.join('+')})  ${variant}`,
  );
}
