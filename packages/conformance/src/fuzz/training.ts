/**
 * Training as users write it: variables, a forward pass with dropout, `backward()`, and an update with momentum, all in one
 * traced step that is called several times. The oracle evaluates the same calls without a trace.
 */
import {
  conv2d,
  crossEntropy,
  dropout,
  Generator,
  gelu,
  jit,
  layerNorm,
  linear,
  maxPool2d,
  mul,
  relu,
  sub,
  type Tensor,
  tanh,
  type Variable,
  variable,
  zerosLike,
} from '@tutti/core';
import fc from 'fast-check';
import { indexInput, makeLeaf, randomInput } from '../cases/inputs.ts';
import { evaluateAll } from '../oracle/evaluate.ts';
import { type Check, mismatch } from './checks.ts';

/** The network and how it is trained. */
export interface Training {
  readonly batch: number;
  /** 0: no convolution; otherwise its channels, in front of the linear layers. */
  readonly channels: number;
  readonly hidden: number;
  readonly classes: number;
  readonly activation: number;
  readonly normalised: boolean;
  readonly dropped: boolean;
  readonly momentum: boolean;
  readonly seed: number;
}

export const trainings: fc.Arbitrary<Training> = fc.record({
  batch: fc.integer({ min: 1, max: 5 }),
  channels: fc.nat(3),
  hidden: fc.integer({ min: 1, max: 9 }),
  classes: fc.integer({ min: 2, max: 5 }),
  activation: fc.nat(2),
  normalised: fc.boolean(),
  dropped: fc.boolean(),
  momentum: fc.boolean(),
  seed: fc.nat(1000),
});

const side = 6;
const calls = 3;
const activations: readonly ((x: Tensor) => Tensor)[] = [relu, tanh, (x) => gelu(x)];

/** Everything that a step reads and writes. */
interface State {
  readonly parameters: readonly Variable[];
  readonly velocities: readonly Variable[];
  readonly generator: Generator;
}

function startState({ channels, hidden, classes, seed }: Training): State {
  const features = channels === 0 ? side * side : (channels * side * side) / 4;
  const convolution = channels === 0 ? [] : [[channels, 1, 3, 3], [channels]];
  const shapes = [...convolution, [hidden, features], [hidden], [classes, hidden], [classes]];
  const parameters = shapes.map((shape, i) =>
    variable(makeLeaf(randomInput(shape, 'float32', { low: -0.5, high: 0.5 }, seed + i))),
  );
  const velocities = parameters.map((parameter) => variable(zerosLike(parameter), { requiresGrad: false }));
  return { parameters, velocities, generator: new Generator(seed) };
}

function forward(training: Training, { parameters, generator }: State, images: Tensor): Tensor {
  const { channels, activation, normalised, dropped } = training;
  const activate = activations[activation]!;
  const rest = [...parameters];
  let x = images;
  if (channels > 0) {
    const [kernel, bias] = rest.splice(0, 2) as [Variable, Variable];
    x = maxPool2d(activate(conv2d(x, kernel, { bias, padding: 1 })), 2);
  }
  const [w1, b1, w2, b2] = rest as [Variable, Variable, Variable, Variable];
  let hidden = activate(linear(x.reshape([training.batch, -1]), w1, b1));
  if (normalised) hidden = layerNorm(hidden, 1, { eps: 0.01 });
  if (dropped) hidden = dropout(hidden, 0.3, { generator });
  return linear(hidden, w2, b2);
}

function step(training: Training, state: State, images: Tensor, labels: Tensor): Tensor {
  const loss = crossEntropy(forward(training, state, images), labels, { labelSmoothing: 0.1 });
  loss.backward();
  for (const [i, parameter] of state.parameters.entries()) {
    const gradient = parameter.grad!;
    const velocity = state.velocities[i]!;
    if (training.momentum) velocity.assign(mul(velocity, 0.9).add(gradient));
    parameter.assign(sub(parameter, mul(training.momentum ? velocity : gradient, 0.1)));
    parameter.grad = undefined;
  }
  return loss;
}

const batchOf = ({ batch, classes, seed }: Training, call: number): [images: Tensor, labels: Tensor] => [
  makeLeaf(randomInput([batch, 1, side, side], 'float32', { low: -1, high: 1 }, seed + 31 * call)),
  makeLeaf(indexInput([batch], classes, seed + call)),
];

const observed = ({ parameters, velocities, generator }: State): Tensor[] => [
  ...parameters,
  ...velocities,
  generator.state,
];

export const trainingCheck: Check<Training> = async (training, tally) => {
  const [plain, own] = [startState(training), startState(training)];
  const expected = Array.from({ length: calls }, (_, call) => {
    const loss = step(training, plain, ...batchOf(training, call));
    return evaluateAll([loss, ...observed(plain)], { errors: true });
  });
  const traced = jit((images: Tensor, labels: Tensor) => step(training, own, images, labels));
  try {
    for (const [call, wanted] of expected.entries()) {
      const loss = await traced(...batchOf(training, call));
      const found = await mismatch([loss, ...observed(own)], wanted, tally);
      if (found) return `call ${call}: ${found}`;
    }
    return traced.stats.traces === 1 ? undefined : `${traced.stats.traces} traces for one signature`;
  } finally {
    traced.dispose();
    for (const each of [...observed(plain), ...observed(own)]) each.dispose();
  }
};
