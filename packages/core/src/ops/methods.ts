/** The operations as methods of Tensor: `x.add(y)` is `add(x, y)`. Importing this file puts them there. */
import { Tensor } from '../tensor/tensor.ts';
import * as activation from './activation.ts';
import * as attention from './attention.ts';
import * as compare from './compare.ts';
import * as conv from './conv.ts';
import * as create from './create.ts';
import * as elementwise from './elementwise.ts';
import * as indexing from './indexing.ts';
import * as join from './join.ts';
import * as linalg from './linalg.ts';
import * as loss from './loss.ts';
import * as math from './math.ts';
import * as movement from './movement.ts';
import * as normalization from './normalization.ts';
import * as pool from './pool.ts';
import * as reduce from './reduce.ts';

interface Families {
  readonly activation: typeof activation;
  readonly attention: typeof attention;
  readonly compare: typeof compare;
  readonly conv: typeof conv;
  readonly create: typeof create;
  readonly elementwise: typeof elementwise;
  readonly indexing: typeof indexing;
  readonly join: typeof join;
  readonly linalg: typeof linalg;
  readonly loss: typeof loss;
  readonly math: typeof math;
  readonly movement: typeof movement;
  readonly normalization: typeof normalization;
  readonly pool: typeof pool;
  readonly reduce: typeof reduce;
}

const families: Families = {
  activation,
  attention,
  compare,
  conv,
  create,
  elementwise,
  indexing,
  join,
  linalg,
  loss,
  math,
  movement,
  normalization,
  pool,
  reduce,
};

/** Which functions of each family become methods: those whose first operand is the tensor that they are about. */
const names = {
  activation: ['sigmoid', 'logSigmoid', 'softplus', 'relu', 'leakyRelu', 'elu', 'gelu', 'silu'],
  attention: ['dropout'],
  compare: [
    'eq',
    'ne',
    'lt',
    'le',
    'gt',
    'ge',
    'logicalAnd',
    'logicalOr',
    'logicalXor',
    'logicalNot',
    'bitwiseAnd',
    'bitwiseOr',
    'bitwiseXor',
    'bitwiseNot',
    'leftShift',
    'rightShift',
    'where',
  ],
  conv: ['conv1d', 'conv2d', 'convTranspose2d'],
  create: ['zerosLike', 'onesLike', 'fullLike'],
  elementwise: ['add', 'sub', 'mul', 'div', 'pow', 'maximum', 'minimum', 'remainder', 'floorDivide'],
  indexing: ['gather', 'take', 'oneHot', 'scatter', 'scatterAdd'],
  join: ['split', 'chunk', 'tile'],
  linalg: ['matmul', 'outer', 'linear'],
  loss: ['crossEntropy', 'nllLoss', 'mseLoss', 'l1Loss', 'huberLoss', 'binaryCrossEntropyWithLogits'],
  math: [
    'neg',
    'abs',
    'sign',
    'floor',
    'ceil',
    'round',
    'trunc',
    'sqrt',
    'rsqrt',
    'square',
    'reciprocal',
    'exp',
    'log',
    'log1p',
    'expm1',
    'log2',
    'sin',
    'cos',
    'tan',
    'tanh',
    'erf',
    'clamp',
    'isNaN',
    'isInf',
    'isFinite',
    'cast',
    'bitcast',
  ],
  movement: [
    'reshape',
    'flatten',
    'transpose',
    'permute',
    'expand',
    'broadcastTo',
    'squeeze',
    'unsqueeze',
    'pad',
    'slice',
    'flip',
    'unfold',
  ],
  normalization: ['softmax', 'logSoftmax', 'layerNorm', 'batchNorm'],
  pool: ['maxPool2d', 'avgPool2d'],
  reduce: ['sum', 'mean', 'prod', 'max', 'min', 'std', 'argMax', 'argMin', 'any', 'all', 'logSumExp', 'norm'],
} as const;

type Names = typeof names;

/** A function without its first parameter. */
type Method<F> = F extends (x: Tensor, ...rest: infer Rest) => infer Result
  ? (...rest: Rest) => Result
  : never;
type Methods<F extends keyof Families> = {
  [N in keyof Pick<Families[F], Names[F][number] & keyof Families[F]>]: Method<Families[F][N]>;
};

declare module '../tensor/tensor.ts' {
  interface Tensor
    extends Methods<'activation'>,
      Methods<'attention'>,
      Methods<'compare'>,
      Methods<'conv'>,
      Methods<'create'>,
      Methods<'elementwise'>,
      Methods<'indexing'>,
      Methods<'join'>,
      Methods<'linalg'>,
      Methods<'loss'>,
      Methods<'math'>,
      Methods<'movement'>,
      Methods<'normalization'>,
      Methods<'pool'>,
      Methods<'reduce'> {
    /** {@link variance} */
    var: Method<typeof reduce.variance>;
  }
}

type TensorFunction = (x: Tensor, ...rest: unknown[]) => unknown;

function define(name: string, operation: TensorFunction): void {
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: unknown[]): unknown {
      return operation(this, ...rest);
    },
    writable: true,
    configurable: true,
  });
}

for (const [family, methods] of Object.entries(names)) {
  const operations = families[family as keyof Families] as unknown as Readonly<
    Record<string, TensorFunction>
  >;
  for (const name of methods) define(name, operations[name]!);
}
define('var', reduce.variance as TensorFunction);
