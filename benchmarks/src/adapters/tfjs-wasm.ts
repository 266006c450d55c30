/** TensorFlow.js with its WebAssembly backend. Convolutions get its own layout, NHWC; only results are put back to NCHW. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';
import type { Operands, Work } from '../work.ts';
import type { Adapter, Prepared, Session } from './adapter.ts';

type Tf = typeof import('@tensorflow/tfjs-core');

export const adapter: Adapter = {
  name: 'tfjs-wasm',
  async open(): Promise<Session> {
    const tf = await import('@tensorflow/tfjs-core');
    const wasm = await import('@tensorflow/tfjs-backend-wasm');
    const packageFile = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(`${dirname(packageFile)}/`);
    await tf.setBackend('wasm');
    const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
    const threaded = await tf.env().getAsync('WASM_HAS_MULTITHREAD_SUPPORT');
    const threads = threaded ? wasm.getThreadsCount() : 1;
    return {
      description: `tfjs-backend-wasm ${wasm.version_wasm}, ${simd ? 'SIMD' : 'no SIMD'}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
      prepare: (work, operands) => Promise.resolve(prepare(tf, work, operands)),
    };
  },
};

function prepare(tf: Tf, work: Work, operands: Operands): Prepared | string {
  const compute = computation(tf, work, operands);
  if (typeof compute === 'string') return compute;
  return {
    // The kernel has run when the call returns.
    run: () => compute().dispose(),
    result: async () => {
      const y = compute();
      const ordered = work.kind === 'conv' ? tf.transpose(y, [0, 3, 1, 2]) : y;
      return (await ordered.data<'float32'>()).slice();
    },
  };
}

function computation(tf: Tf, work: Work, operands: Operands): (() => Tensor) | string {
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
    case 'trainStep':
      return 'its WebAssembly backend has no gradient of a convolution by the filter';
    case 'replay':
      return 'it does not capture plans';
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
