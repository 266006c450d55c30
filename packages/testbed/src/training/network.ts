/** A small network that is trained: what it goes through is the same on every device. */
import {
  add,
  conv2d,
  crossEntropy,
  type JitFunction,
  jit,
  linear,
  maxPool2d,
  mul,
  noGrad,
  relu,
  reshape,
  sqrt,
  square,
  sub,
  type Tensor,
  tensor,
  type Variable,
  variable,
  zeros,
} from '@tutti/core';

/** Numbers that are the same everywhere, between -scale and scale. */
function numbers(count: number, scale: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * scale;
  });
}

const shapes = [[4, 1, 3, 3], [4], [10, 36], [10]] as const;

/** One step on a batch: the loss before it. */
export type Step = JitFunction<[Tensor, Tensor], Tensor>;

export interface Network {
  readonly step: Step;
  readonly parameters: readonly Variable[];
  /** Gives its memory back, and that of its step. */
  dispose(): void;
}

/**
 * A convolution, a pool and a linear layer, trained with momentum and a running scale.
 *
 * @param saved Contents of its parameters; otherwise they are those of every new one.
 */
export function network(saved?: readonly Float32Array[]): Network {
  const parameters = shapes.map((shape, i) => {
    const size = shape.reduce<number>((a, b) => a * b, 1);
    return variable(tensor(saved?.[i] ?? numbers(size, 0.3, i + 1), { shape: [...shape] }));
  });
  const moments = parameters.map(({ shape }) => variable(zeros(shape), { requiresGrad: false }));
  const step = jit((x: Tensor, y: Tensor) => {
    const [w, b, v, c] = parameters as [Variable, Variable, Variable, Variable];
    const hidden = maxPool2d(relu(conv2d(x, w, { bias: b })), 2);
    const loss = crossEntropy(linear(reshape(hidden, [x.shape[0]!, -1]), v, c), y);
    loss.backward();
    noGrad(() => {
      for (const [i, parameter] of parameters.entries()) {
        const gradient = parameter.grad!;
        const moment = moments[i]!;
        moment.assign(add(mul(moment, 0.9), mul(square(gradient), 0.1)));
        parameter.assign(sub(parameter, mul(gradient, mul(0.01, sqrt(add(moment, 1)).reciprocal()))));
        parameter.grad = undefined;
      }
    });
    return loss;
  });
  const dispose = (): void => {
    for (const each of [step, ...parameters, ...moments]) each.dispose();
  };
  return { step, parameters, dispose };
}

export const batch = (): [Tensor, Tensor] => [
  tensor(numbers(4 * 64, 1, 99), { shape: [4, 1, 8, 8] }),
  tensor(new Int32Array([3, 1, 4, 1])),
];
