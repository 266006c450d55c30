import { beforeAll, expect, it } from 'vitest';
import { context } from '../src/tensor/context.ts';
import * as t from './all.ts';
import { useGraphOnlyDevice } from './autograd-support.ts';

beforeAll(useGraphOnlyDevice);

const { ones, zeros, tensor } = t;
const index = (...values: number[]): t.Tensor => tensor(values, { dtype: 'int32' });
const image = (): t.Tensor => ones([1, 2, 4, 4]);
/** The operations as a program without types calls them. */
const loose = t as unknown as LooseOperations;
type LooseOperations = Record<
  | 'zeros'
  | 'reshape'
  | 'expand'
  | 'permute'
  | 'concat'
  | 'sum'
  | 'softmax'
  | 'max'
  | 'split'
  | 'tile'
  | 'cast'
  | 'tensor',
  (...args: unknown[]) => unknown
>;
const promised = (): never => Promise.resolve(ones([1])) as never;
function gone(): t.Tensor {
  const x = ones([2, 3]);
  x.dispose();
  return x;
}
const kernel = (): t.Tensor => ones([3, 2, 3, 3]);

type ErrorClass = new (message: string) => t.TuttiError;
type Case = readonly [name: string, kind: ErrorClass, message: RegExp, run: () => unknown];

const cases: readonly Case[] = [
  [
    'shapes that do not broadcast',
    t.ShapeError,
    /add: shapes \[2, 3\] and \[4\]/,
    () => ones([2, 3]).add(ones([4])),
  ],
  [
    'a promise',
    t.ArgumentError,
    /add: .* received a promise\n {2}fix: await it first/,
    () => ones([1]).add(promised()),
  ],
  [
    'the promise of a first operand',
    t.ArgumentError,
    /softmax: .* await it first/s,
    () => t.softmax(promised()),
  ],
  [
    'bytes for a tensor',
    t.ArgumentError,
    /add: .* received a Uint8Array\n/,
    () => t.add(new Uint8Array(1) as never, 1),
  ],
  ['the promise of data', t.ArgumentError, /tensor: a promise .* await it first/s, () => tensor(promised())],
  ['the promise of a value', t.ArgumentError, /variable: .* await it first/s, () => t.variable(promised())],
  ['the promise of options', t.ArgumentError, /zeros: .* await it first/s, () => zeros([1], promised())],
  ['a disposed operand', t.DisposedError, /add: a tensor of shape \[2, 3\]/, () => t.add(1, gone())],
  [
    'a disposed factor',
    t.DisposedError,
    /matmul: a tensor of shape \[2, 3\]/,
    () => t.matmul(gone(), gone()),
  ],
  ['a disposed condition', t.DisposedError, /where: a tensor/, () => t.where(gone(), 1, 0)],
  ['a disposed part', t.DisposedError, /concat: a tensor/, () => t.concat([ones([2, 3]), gone()])],
  ['a disposed bias', t.DisposedError, /conv2d: a tensor/, () => image().conv2d(kernel(), { bias: gone() })],
  ['a disposed new value', t.DisposedError, /assign: a tensor/, () => t.variable(ones([1])).assign(gone())],
  ['a disposed loss', t.DisposedError, /backward: a tensor/, () => gone().backward()],
  ['a disposed tensor read at once', t.DisposedError, /dataSync\(\): a tensor/, () => gone().dataSync()],
  [
    'extents for a shape',
    t.ShapeError,
    /zeros: 2 is not a shape\n.*\[2\], or \[2, \.\.\.\]/,
    () => loose.zeros(2, 3),
  ],
  ['extents to reshape to', t.ShapeError, /reshape: 3 is not a shape/, () => loose.reshape(ones([6]), 3, 2)],
  ['extents to expand to', t.ShapeError, /expand: 2 is not a shape/, () => loose.expand(ones([3]), 2, 3)],
  [
    'loose axes',
    t.ArgumentError,
    /permute: the axes are 1\n.*permute\(x, \[0, 1\]\)/,
    () => loose.permute(ones([2, 3]), 1, 0),
  ],
  [
    'tensors that are not in an array',
    t.ArgumentError,
    /concat: .*received a Tensor\n.*concat\(\[a, b\], axis\)/,
    () => loose.concat(ones([1]), ones([1])),
  ],
  [
    'an axis as an option',
    t.ArgumentError,
    /sum: the axis is an object\n.*before the options/,
    () => loose.sum(ones([2, 3]), { axis: 1 }),
  ],
  [
    'the axis of a softmax as an option',
    t.ArgumentError,
    /softmax: the axis is an object/,
    () => loose.softmax(ones([2]), { axis: 0 }),
  ],
  [
    'the larger of two tensors',
    t.ArgumentError,
    /max: .*\n.*maximum\(a, b\)/,
    () => loose.max(ones([1]), ones([1])),
  ],
  [
    'parts that are none',
    t.ArgumentError,
    /split: an object parts/,
    () => loose.split(ones([2]), { parts: 2 }),
  ],
  ['repeats that are none', t.ArgumentError, /tile: repeats "2"/, () => loose.tile(ones([2]), '2')],
  [
    'a short dtype',
    t.DTypeError,
    /cast: dtype "f32" .*did you mean float32\?/s,
    () => loose.cast(ones([1]), 'f32'),
  ],
  [
    'float',
    t.DTypeError,
    /zeros: dtype "float" .*did you mean float32\?/s,
    () => loose.zeros([1], { dtype: 'float' }),
  ],
  [
    'int64',
    t.DTypeError,
    /tensor: dtype "int64" .*did you mean int32\?.*no 64-bit/s,
    () => loose.tensor([1], { dtype: 'int64' }),
  ],
  [
    "another library's dtype",
    t.DTypeError,
    /did you mean float16\?/,
    () => loose.cast(ones([1]), 'torch.float16'),
  ],
  ['a misspelt dtype', t.DTypeError, /did you mean float32\?/, () => loose.cast(ones([1]), 'flaot32')],
  ['a dtype like no other', t.DTypeError, /fix: The dtypes are/, () => loose.cast(ones([1]), 'quaternion')],
  [
    'no function',
    t.ArgumentError,
    /grad: expected a function, received a Tensor/,
    () => t.grad(ones([1]) as never),
  ],
  ['no tensor', t.ArgumentError, /add: the operand/, () => t.add(ones([1]), 'a' as never)],
  ['no tensor at all', t.ArgumentError, /exp: the operand/, () => t.exp(undefined as never)],
  [
    'a condition that is not bool',
    t.DTypeError,
    /where: the condition has dtype float32/,
    () => t.where(ones([2]), 1, 0),
  ],
  ['bits of floats', t.DTypeError, /bitwiseAnd/, () => ones([1]).bitwiseAnd(1)],
  ['shifts of bool', t.DTypeError, /leftShift/, () => t.leftShift(tensor([true]), tensor([true]))],
  ['a negative integer power', t.ArgumentError, /pow: int32 to the power -1/, () => index(2).pow(-1)],
  ['an unknown dtype', t.DTypeError, /cast: dtype "int64"/, () => ones([1]).cast('int64' as never)],
  ['bits of another width', t.DTypeError, /bitcast: dtype uint8/, () => ones([1]).bitcast('uint8')],
  ['a bad axis', t.AxisError, /sum: axis 2/, () => ones([2, 3]).sum(2)],
  ['an axis named twice', t.AxisError, /mean: an axis is named twice/, () => ones([2, 3]).mean([0, -2])],
  ['the axis of a scalar', t.AxisError, /a scalar has no axes/, () => ones([]).sum(0)],
  ['the maximum of nothing', t.ShapeError, /max: shape \[0, 3\]/, () => zeros([0, 3]).max(0)],
  ['the position in nothing', t.ShapeError, /argMax/, () => zeros([0]).argMax()],
  ['a norm of order 0', t.ArgumentError, /norm: p is 0/, () => ones([2]).norm(0, { p: 0 })],
  [
    'another size',
    t.ShapeError,
    /reshape: \[2, 3\] has 6 elements, \[4, 2\] has 8/,
    () => ones([2, 3]).reshape([4, 2]),
  ],
  ['two open extents', t.ShapeError, /leaves two extents open/, () => ones([4]).reshape([-1, -1])],
  [
    'an open extent that does not divide',
    t.ShapeError,
    /no extent makes \[4, -1\]/,
    () => ones([6]).reshape([4, -1]),
  ],
  ['an open extent beside 0', t.ShapeError, /no extent makes \[0, -1\]/, () => zeros([0]).reshape([0, -1])],
  ['a shape that is none', t.ShapeError, /is not a shape/, () => ones([4]).reshape([2.5, 2])],
  ['a permutation that is none', t.AxisError, /permute: axes \[0, 0\]/, () => ones([2, 3]).permute([0, 0])],
  ['flatten backwards', t.AxisError, /flatten: start axis 1/, () => ones([2, 3]).flatten(1, 0)],
  [
    'an axis that cannot grow',
    t.ShapeError,
    /expand: \[2\] does not expand to \[3\]/,
    () => ones([2]).expand([3]),
  ],
  ['fewer axes than there are', t.ShapeError, /broadcastTo/, () => ones([2, 2]).broadcastTo([2])],
  [
    'padding of the wrong rank',
    t.ShapeError,
    /pad: 1 pairs for shape \[2, 2\]/,
    () => ones([2, 2]).pad([[1, 1]]),
  ],
  ['negative padding', t.ArgumentError, /pad: a width of -1/, () => ones([2]).pad([[-1, 0]])],
  [
    'a pad value that does not fit',
    t.ArgumentError,
    /pad: 0.5 does not fit int32/,
    () => index(1).pad([[1, 0]], { value: 0.5 }),
  ],
  [
    'a position outside',
    t.IndexError,
    /slice: index 4 along axis 1 of extent 4/,
    () => ones([2, 4]).slice(0, 4),
  ],
  ['a broken position', t.IndexError, /slice: index 0.5/, () => ones([2]).slice(0.5)],
  ['more ranges than axes', t.AxisError, /slice: 2 ranges for shape \[2\]/, () => ones([2]).slice(0, 0)],
  ['a step of 0', t.ArgumentError, /slice: range/, () => ones([2]).slice([0, 1, 0])],
  ['a window that does not fit', t.ShapeError, /unfold: a window of 5/, () => ones([4]).unfold(0, 3, 1, 2)],
  ['a window of nothing', t.ArgumentError, /unfold: size 0/, () => ones([4]).unfold(0, 0)],
  ['concat of nothing', t.ArgumentError, /concat: expected an array of tensors/, () => t.concat([])],
  [
    'concat of other extents',
    t.ShapeError,
    /concat: shapes \[2, 3\] and \[2, 4\]/,
    () => t.concat([ones([2, 3]), ones([2, 4])]),
  ],
  [
    'stack of other shapes',
    t.ShapeError,
    /stack: shapes \[2\] and \[3\]/,
    () => t.stack([ones([2]), ones([3])]),
  ],
  [
    'a split that does not divide',
    t.ShapeError,
    /split: 5 elements along axis 0 in 2/,
    () => ones([5]).split(2),
  ],
  ['a split that does not add up', t.ShapeError, /split: sizes \[1, 2\]/, () => ones([5]).split([1, 2])],
  ['negative repeats', t.ArgumentError, /tile/, () => ones([5]).tile([-1])],
  [
    'inner extents',
    t.ShapeError,
    /matmul: shapes \[2, 3\] and \[2, 3\]/,
    () => ones([2, 3]).matmul(ones([2, 3])),
  ],
  ['a scalar in a product', t.ShapeError, /a scalar has no rows/, () => ones([]).matmul(ones([2, 3]))],
  [
    'batches that do not broadcast',
    t.ShapeError,
    /matmul: shapes \[2\] and \[3\]/,
    () => ones([2, 1, 1]).matmul(ones([3, 1, 1])),
  ],
  ['linear', t.ShapeError, /linear: shapes \[2, 3\], \[4, 2\]/, () => ones([2, 3]).linear(ones([4, 2]))],
  [
    'linear of integers',
    t.DTypeError,
    /linear: int32/,
    () => index(1, 2).linear(zeros([4, 2], { dtype: 'int32' })),
  ],
  ['conv rank', t.ShapeError, /conv2d: shapes \[4, 4\]/, () => ones([4, 4]).conv2d(kernel())],
  [
    'conv channels',
    t.ShapeError,
    /conv2d: channels of \[1, 2, 4, 4\]/,
    () => image().conv2d(ones([3, 1, 3, 3])),
  ],
  ['conv groups', t.ShapeError, /2 groups/, () => image().conv2d(ones([3, 1, 3, 3]), { groups: 2 })],
  [
    'conv bias',
    t.ShapeError,
    /bias of shape \[2\] for 3/,
    () => image().conv2d(kernel(), { bias: ones([2]) }),
  ],
  [
    'a kernel larger than the input',
    t.ShapeError,
    /does not fit the padded input \[4, 4\]/,
    () => image().conv2d(kernel(), { dilation: 2 }),
  ],
  [
    'negative conv padding',
    t.ArgumentError,
    /conv2d: padding/,
    () => image().conv2d(kernel(), { padding: -1 }),
  ],
  ['a stride of 0', t.ArgumentError, /conv2d: stride/, () => image().conv2d(kernel(), { stride: [1, 0] })],
  [
    'same with a stride',
    t.ArgumentError,
    /padding 'same' with stride/,
    () => image().conv2d(kernel(), { padding: 'same', stride: 2 }),
  ],
  ['conv of integers', t.DTypeError, /conv2d/, () => image().cast('int32').conv2d(kernel().cast('int32'))],
  ['transposed channels', t.ShapeError, /convTranspose2d: channels/, () => image().convTranspose2d(kernel())],
  [
    'outputPadding',
    t.ArgumentError,
    /outputPadding/,
    () => image().convTranspose2d(ones([2, 1, 3, 3]), { outputPadding: 1 }),
  ],
  [
    'nothing left',
    t.ShapeError,
    /convTranspose2d/,
    () => ones([1, 2, 1, 1]).convTranspose2d(ones([2, 1, 1, 1]), { padding: 1 }),
  ],
  [
    'a pool larger than the input',
    t.ShapeError,
    /maxPool2d: windows of \[5, 5\]/,
    () => image().maxPool2d(5),
  ],
  [
    'pool padding',
    t.ArgumentError,
    /avgPool2d: padding \[2, 2\]/,
    () => image().avgPool2d(3, { padding: 2 }),
  ],
  ['a float index', t.DTypeError, /take: dtype float32/, () => ones([3]).take(ones([1]), 0)],
  [
    'an index out of range',
    t.IndexError,
    /take: index 3 at \[1\] is outside the extent 3/,
    () => ones([3]).take(index(0, 3), 0),
  ],
  ['a negative index', t.IndexError, /gather: index -1/, () => ones([3]).gather(index(-1), 0)],
  ['an index into nothing', t.IndexError, /take/, () => zeros([0]).take(index(0), 0)],
  [
    'gather shapes',
    t.ShapeError,
    /gather: shapes \[2, 3\] and index \[1, 3\]/,
    () => ones([2, 3]).gather(zeros([1, 3], { dtype: 'int32' }), 1),
  ],
  [
    'scatter updates',
    t.ShapeError,
    /scatterAdd: updates of shape \[2\]/,
    () => zeros([3]).scatterAdd(index(0), ones([2]), 0),
  ],
  [
    'scatter dtypes',
    t.DTypeError,
    /scatter: updates of dtype float32/,
    () => index(1, 2).scatter(index(0), ones([1]), 0),
  ],
  ['oneHot classes', t.ArgumentError, /oneHot: 0 classes/, () => index(0).oneHot(0)],
  ['oneHot range', t.IndexError, /oneHot: index 3/, () => index(3).oneHot(3)],
  [
    'a label out of range',
    t.IndexError,
    /crossEntropy: label 3 at \[1\] is outside the extent 3/,
    () => ones([2, 3]).crossEntropy(index(0, 3)),
  ],
  [
    'an ignored label that is not ignored',
    t.IndexError,
    /or -1 to be ignored/,
    () => ones([1, 3]).crossEntropy(index(-2), { ignoreIndex: -1 }),
  ],
  [
    'label shapes',
    t.ShapeError,
    /labels of shape \[3\] for a prediction of shape \[2, 3\]/,
    () => ones([2, 3]).crossEntropy(index(0, 1, 2)),
  ],
  [
    'class probabilities',
    t.ShapeError,
    /class probabilities of shape \[3\]/,
    () => ones([2, 3]).crossEntropy(ones([3])),
  ],
  [
    'float labels',
    t.DTypeError,
    /crossEntropy: dtype float32 for the labels.*cast first, x\.cast\('int32'\)/s,
    () => ones([2, 3]).crossEntropy(ones([2])),
  ],
  [
    'float labels of nllLoss',
    t.DTypeError,
    /nllLoss: dtype float32 for the labels/,
    () => ones([2, 3]).nllLoss(ones([2])),
  ],
  ['bool labels', t.DTypeError, /crossEntropy: dtype bool/, () => ones([1, 3]).crossEntropy(tensor([true]))],
  [
    'an integer prediction',
    t.DTypeError,
    /crossEntropy: the prediction/,
    () => index(1).crossEntropy(index(1)),
  ],
  [
    'label smoothing',
    t.ArgumentError,
    /labelSmoothing is 2/,
    () => ones([1, 3]).crossEntropy(index(1), { labelSmoothing: 2 }),
  ],
  [
    'an unknown reduction',
    t.ArgumentError,
    /mseLoss: reduction "avg"/,
    () => ones([1]).mseLoss(ones([1]), { reduction: 'avg' as never }),
  ],
  ['loss shapes', t.ShapeError, /mseLoss: shapes \[2, 1\] and \[2\]/, () => ones([2, 1]).mseLoss(ones([2]))],
  ['huber delta', t.ArgumentError, /delta is 0/, () => ones([1]).huberLoss(ones([1]), { delta: 0 })],
  ['layerNorm shape', t.ShapeError, /does not end in \[2\]/, () => ones([2, 3]).layerNorm([2])],
  ['layerNorm axes', t.ArgumentError, /layerNorm: over 3 axes/, () => ones([2, 3]).layerNorm(3)],
  [
    'layerNorm weight',
    t.ShapeError,
    /weight of shape \[2\]/,
    () => ones([2, 3]).layerNorm(1, { weight: ones([2]) }),
  ],
  [
    'batchNorm statistics',
    t.ShapeError,
    /batchNorm: mean of shape \[2\]/,
    () => ones([2, 3]).batchNorm({ mean: ones([2]), variance: ones([3]) }),
  ],
  ['a probability above 1', t.ArgumentError, /dropout: probability 1.5/, () => ones([1]).dropout(1.5)],
  [
    'attention shapes',
    t.ShapeError,
    /scaledDotProductAttention: shapes/,
    () => t.scaledDotProductAttention(ones([2, 3]), ones([2, 4]), ones([2, 4])),
  ],
  [
    'an attention mask',
    t.ShapeError,
    /mask of shape \[3\]/,
    () => t.scaledDotProductAttention(ones([2, 3]), ones([2, 3]), ones([2, 3]), { mask: ones([3]) }),
  ],
  [
    'embedding weight',
    t.ShapeError,
    /embedding: weight of shape \[3\]/,
    () => t.embedding(ones([3]), index(0)),
  ],
  ['randint range', t.ArgumentError, /randint: from 3 to before 3/, () => t.randint(3, 3, [1])],
  ['randint limits', t.ArgumentError, /in uint8/, () => t.randint(0, 257, [1], { dtype: 'uint8' })],
  [
    'randint floats',
    t.DTypeError,
    /randint: dtype float32/,
    () => t.randint(0, 2, [1], { dtype: 'float32' }),
  ],
  ['rand integers', t.DTypeError, /rand: dtype int32/, () => t.rand([1], { dtype: 'int32' })],
  ['a seed', t.ArgumentError, /manualSeed: seed -1/, () => t.manualSeed(-1)],
  ['a step of 0 in arange', t.ArgumentError, /arange: step is 0/, () => t.arange(0, 1, 0)],
  ['an infinite arange', t.ArgumentError, /arange: Infinity/, () => t.arange(Number.POSITIVE_INFINITY)],
  ['a negative count', t.ArgumentError, /linspace: count is -1/, () => t.linspace(0, 1, -1)],
  ['integer linspace', t.DTypeError, /linspace: dtype int32/, () => t.linspace(0, 1, 2, { dtype: 'int32' })],
  ['a negative extent', t.ShapeError, /is not a shape/, () => zeros([-1])],
  ['too many elements', t.ShapeError, /more than 2\^31 - 1/, () => zeros([65536, 65536])],
];

it.each(cases)('%s', (_, kind, message, run) => {
  const outer = context.scope;
  context.scope = new Set();
  let error: unknown;
  try {
    run();
  } catch (caught) {
    error = caught;
  } finally {
    context.scope = outer;
  }
  expect(error).toBeInstanceOf(kind);
  const { message: text, op, fix } = error as t.TuttiError;
  expect(text).toMatch(message);
  expect(op, 'the operation is named').toBeTruthy();
  expect(fix, 'a remedy is given').toBeTruthy();
});
