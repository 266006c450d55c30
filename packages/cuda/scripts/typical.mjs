/** Kernels such as networks are made of, of the sizes that fill a GPU. */
import { ExpressionBuilder } from '@tutti/core/backend';
import { elementwiseKernel, KernelBuilder, softmaxKernel } from '@tutti/core/testing';

const elements = 1 << 26;
const variable = (name, extent) => ({ name, extent });

const unary = (alu, dtype) =>
  elementwiseKernel(alu, elements, [dtype], dtype, (b, x) => b.alu(alu, 'f32', x));
const add = (dtype) =>
  elementwiseKernel('add', elements, [dtype, dtype], dtype, (b, x, y) => b.alu('add', 'f32', x, y));

/** `out[i] = sum over k of x`, along rows or columns of a matrix. */
function sums(points, length, along) {
  const [i, k] = [variable('i', points), variable('k', length)];
  const make = new KernelBuilder('sum', [i], 'float32');
  const x = make.input('float32', points * length)(make.at(along === 'rows' ? [i, k] : [k, i]));
  return make.store(make.over(k).accumulate('sum', x));
}

/** `out[i, j] = x[j, i]` */
function transpose(rows, columns, dtype) {
  const [i, j] = [variable('i', rows), variable('j', columns)];
  const make = new KernelBuilder('transpose', [i, j], dtype);
  return make.store(make.input(dtype, rows * columns)(make.at([j, i])));
}

/** What kernels over rows of a matrix have in common. `loops` are as many variables as there are phases over a row. */
function rowProgram(rows, width, loops) {
  const b = new ExpressionBuilder();
  const i = variable('i', rows);
  const ks = Array.from({ length: loops }, (_, n) => variable(`k${n}`, width));
  const at = (k) => b.alu('add', 'i32', b.alu('mul', 'i32', b.index(i), b.int(width)), b.index(k));
  const f32 = (alu, ...args) => b.alu(alu, 'f32', ...args);
  const kernel = (name, buffers, phases) => ({
    kind: 'kernel',
    name,
    buffers: buffers.map(([dtype, length, access]) => ({ dtype, length, access })),
    scalars: [],
    space: [i],
    phases,
  });
  const reduce = (k, ...values) => ({
    kind: 'reduce',
    loops: [k],
    accumulators: values.map(([id, value]) => ({ id, op: 'sum', type: 'f32', value })),
  });
  const map = (k, buffer, value) => ({
    kind: 'map',
    loops: [k],
    order: 'parallel',
    stores: [{ buffer, index: at(k), value, mode: 'set' }],
  });
  return { b, i, ks, at, f32, kernel, reduce, map };
}

/** `(x + residual - mean) * rstd * weight + bias`, in bfloat16. */
function layerNorm(rows, width) {
  const { b, ks, at, f32, kernel, reduce, map } = rowProgram(rows, width, 3);
  const x = (k) => f32('add', b.load('f32', 0, at(k)), b.load('f32', 1, at(k)));
  const share = b.const('f32', Math.fround(1 / width));
  const from = (k) => f32('sub', x(k), f32('mul', b.accumulator('f32', 0), share));
  const variance = f32('mul', b.accumulator('f32', 1), share);
  const scaled = f32(
    'mul',
    from(ks[2]),
    f32('rsqrt', f32('add', variance, b.const('f32', Math.fround(1e-5)))),
  );
  const y = f32(
    'add',
    f32('mul', scaled, b.load('f32', 2, b.index(ks[2]))),
    b.load('f32', 3, b.index(ks[2])),
  );
  const all = rows * width;
  return kernel(
    'layer_norm',
    [
      ['float32', all, 'read'],
      ['float32', all, 'read'],
      ['float32', width, 'read'],
      ['float32', width, 'read'],
      ['bfloat16', all, 'write'],
    ],
    [
      reduce(ks[0], [0, x(ks[0])]),
      reduce(ks[1], [1, f32('mul', from(ks[1]), from(ks[1]))]),
      map(ks[2], 4, y),
    ],
  );
}

/** The gradient of that by x, from the statistics of its rows. */
function layerNormGradient(rows, width) {
  const { b, i, ks, at, f32, kernel, reduce, map } = rowProgram(rows, width, 2);
  const scale = b.load('f32', 4, b.index(i));
  const normal = (k) => f32('mul', f32('sub', b.load('f32', 0, at(k)), b.load('f32', 3, b.index(i))), scale);
  const dy = (k) => f32('mul', b.load('f32', 1, at(k)), b.load('f32', 2, b.index(k)));
  const share = b.const('f32', Math.fround(1 / width));
  const mean = (id) => f32('mul', b.accumulator('f32', id), share);
  const rest = f32('sub', f32('sub', dy(ks[1]), mean(0)), f32('mul', normal(ks[1]), mean(1)));
  const all = rows * width;
  return kernel(
    'layer_norm_gradient',
    [
      ['float32', all, 'read'],
      ['float32', all, 'read'],
      ['float32', width, 'read'],
      ['float32', rows, 'read'],
      ['float32', rows, 'read'],
      ['float32', all, 'write'],
    ],
    [
      reduce(ks[0], [0, dy(ks[0])], [1, f32('mul', dy(ks[0]), normal(ks[0]))]),
      map(ks[1], 5, f32('mul', scale, rest)),
    ],
  );
}

/** By name. */
export const typicalKernels = {
  'add float32': add('float32'),
  'add bfloat16': add('bfloat16'),
  'exp float32': unary('exp', 'float32'),
  'tanh bfloat16': unary('tanh', 'bfloat16'),
  'erf float32': unary('erf', 'float32'),
  'sin float32': unary('sin', 'float32'),
  'transpose float32': transpose(4096, 4096, 'float32'),
  'transpose bfloat16': transpose(4096, 4096, 'bfloat16'),
  'softmax 65536 x 64': softmaxKernel(65536, 64),
  'softmax 8192 x 1024': softmaxKernel(8192, 1024),
  'softmax 512 x 16384': softmaxKernel(512, 16384),
  'softmax 256 x 32768': softmaxKernel(256, 32768),
  'softmax 8192 x 50257': softmaxKernel(8192, 50257),
  'layer norm 8192 x 768': layerNorm(8192, 768),
  'layer norm 256 x 16384': layerNorm(256, 16384),
  'layer norm gradient 8192 x 768': layerNormGradient(8192, 768),
  'layer norm gradient 256 x 32768': layerNormGradient(256, 32768),
  'sums of 8192 rows of 768': sums(8192, 768, 'rows'),
  'sums of 768 columns of 8192': sums(768, 8192, 'columns'),
  'sum of 2^26': sums(1, elements, 'rows'),
};
