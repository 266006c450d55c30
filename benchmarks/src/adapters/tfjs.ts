/** TensorFlow.js on any of its backends. Convolutions get its own layout, NHWC; only results are put back to NCHW. */
import type { Tensor, Tensor2D, Tensor4D, Variable } from '@tensorflow/tfjs-core';
import type { Operands } from '../operands.ts';
import {
  cnnParameters,
  isPlain,
  learningRate,
  notPlain,
  type PlainWork,
  trainedSteps,
  type Work,
} from '../work.ts';
import { losses, type Prepared } from './adapter.ts';

export type Tf = typeof import('@tensorflow/tfjs-core');

export interface TfjsBackend {
  readonly tf: Tf;
  /** Waits for all that was computed; absent where a kernel has run when the call returns. */
  readonly wait?: () => Promise<void>;
  /** Why a convolution cannot be trained on this backend. */
  readonly cannotTrain?: string;
}

export function prepareTfjs(backend: TfjsBackend, work: Work, operands: Operands): Prepared | string {
  const { tf, wait, cannotTrain } = backend;
  if (!isPlain(work)) return notPlain;
  if (work.kind === 'replay') return 'it does not capture plans';
  if (work.kind === 'trainStep') return cannotTrain ?? trainStep(backend, work.batch, operands);
  const compute = computation(tf, work, operands);
  return {
    run: () => {
      compute().dispose();
      return wait?.();
    },
    result: async () => {
      const y = compute();
      const ordered = work.kind === 'conv' ? tf.transpose(y, [0, 3, 1, 2]) : y;
      return (await ordered.data<'float32'>()).slice();
    },
  };
}

type SimpleWork = Exclude<PlainWork, { kind: 'trainStep' | 'replay' }>;

function computation(tf: Tf, work: SimpleWork, operands: Operands): () => Tensor {
  const of = (name: string, shape: number[]): Tensor => tf.tensor(operands[name]!, shape, 'float32');
  switch (work.kind) {
    case 'matmul':
    case 'firstResult': {
      const n = work.kind === 'matmul' ? work.n : 2;
      const [a, b] = [of('a', [n, n]) as Tensor2D, of('b', [n, n]) as Tensor2D];
      return () => tf.matMul(a, b);
    }
    case 'scaleAdd': {
      const x = of('x', [work.length]);
      return () => tf.tidy(() => tf.add(tf.mul(x, 2), 1));
    }
    case 'chain': {
      const x = of('x', [work.length]);
      return () => tf.tidy(() => chain(tf, x));
    }
    case 'sum': {
      const x = of('x', [work.length]);
      return () => tf.sum(x);
    }
    case 'softmax': {
      const x = of('x', [work.rows, work.columns]);
      return () => tf.softmax(x);
    }
    case 'layerNorm': {
      const [x, weight, bias] = [
        of('x', [work.rows, work.columns]),
        of('weight', [work.columns]),
        of('bias', [work.columns]),
      ];
      return () => tf.tidy(() => layerNorm(tf, x, weight, bias));
    }
    case 'conv': {
      const { batch, inputs, outputs, size } = work;
      const x = tf.transpose(of('x', [batch, inputs, size, size]), [0, 2, 3, 1]) as Tensor4D;
      const weight = tf.transpose(of('weight', [outputs, inputs, 3, 3]), [2, 3, 1, 0]) as Tensor4D;
      return () => tf.conv2d(x, weight, 1, 'same');
    }
    case 'attention': {
      const { heads, length, size } = work;
      const [q, k, v] = ['q', 'k', 'v'].map((name) => of(name, [heads, length, size]));
      return () => tf.tidy(() => attention(tf, q!, k!, v!, size));
    }
  }
}

function chain(tf: Tf, x: Tensor): Tensor {
  let y = tf.tanh(tf.add(tf.mul(x, 1.5), 0.5));
  y = tf.sqrt(tf.add(tf.mul(y, y), 1));
  return tf.maximum(tf.mul(tf.exp(tf.sub(y, 0.25)), 0.125), 0.25);
}

function layerNorm(tf: Tf, x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), weight), bias);
}

function attention(tf: Tf, q: Tensor, k: Tensor, v: Tensor, size: number): Tensor {
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(size));
  return tf.matMul(tf.softmax(scores), v);
}

/** The parameters in its layouts: filters HWIO, weights (in, out), and the features of an image in the order of NHWC. */
function parametersOf(tf: Tf, operands: Operands): Record<string, Variable> {
  const inItsLayout = (name: string): Tensor => {
    const given = tf.tensor(operands[name]!, [...cnnParameters[name]!]);
    if (name === 'fc1.weight') {
      return tf.reshape(tf.transpose(tf.reshape(given, [128, 64, 12, 12]), [2, 3, 1, 0]), [9216, 128]);
    }
    if (given.rank === 4) return tf.transpose(given, [2, 3, 1, 0]);
    return given.rank === 2 ? tf.transpose(given) : given;
  };
  return Object.fromEntries(
    Object.keys(cnnParameters).map((name) => [name, tf.variable(tf.tidy(() => inItsLayout(name)))]),
  );
}

function trainStep({ tf, wait }: TfjsBackend, batch: number, operands: Operands): Prepared {
  const p = parametersOf(tf, operands);
  const images = tf.tensor4d(operands['images']!, [batch, 28, 28, 1]);
  const labels = tf.oneHot(tf.tensor1d(Int32Array.from(operands['labels']!), 'int32'), 10);
  const conv = (x: Tensor, name: string): Tensor4D =>
    tf.relu(
      tf.add(
        tf.conv2d(x as Tensor4D, p[`${name}.weight`] as unknown as Tensor4D, 1, 'valid'),
        p[`${name}.bias`]!,
      ),
    );
  const dense = (x: Tensor, name: string): Tensor =>
    tf.add(tf.matMul(x, p[`${name}.weight`]!), p[`${name}.bias`]!);
  const lossOf = (): Tensor => {
    const features = tf.maxPool(conv(conv(images, 'conv1'), 'conv2'), 2, 2, 'valid');
    const logits = dense(tf.relu(dense(tf.reshape(features, [batch, 9216]), 'fc1')), 'fc2');
    return tf.losses.softmaxCrossEntropy(labels, logits);
  };
  const optimizer = tf.train.adam(learningRate, 0.9, 0.999, 1e-8);
  const variables = Object.values(p);
  const step = (): Tensor => optimizer.minimize(lossOf as () => ReturnType<Tf['scalar']>, true, variables)!;
  return {
    run: () => {
      step().dispose();
      return wait?.();
    },
    result: () => losses(trainedSteps, async () => (await step().data())[0]!),
  };
}
