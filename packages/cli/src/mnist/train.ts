import { crossEntropy, data, jit, type nn, optim, type Tensor } from 'tutti';
import type { MnistSamples } from './data.ts';

export interface TrainOptions {
  readonly epochs: number;
  readonly batchSize: number;
  /** The highest learning rate of the schedule. */
  readonly learningRate: number;
  /** Fixes the order of the images. The first parameters are drawn earlier, when the model is made. */
  readonly seed: number;
}

/** What is known after a step. */
export interface TrainedStep {
  /** Counts from 1. */
  readonly step: number;
  /** Counts from 1. */
  readonly epoch: number;
  readonly loss: number;
}

/** Steps whose loss is still to be read. Reading at once would make every step wait for the one before. */
const behind = 3;

/** Batches of an epoch. A last batch that is not full is left out, unless it is the only one. */
export function stepsPerEpoch(images: number, batchSize: number): number {
  return Math.max(1, Math.floor(images / batchSize));
}

/**
 * Trains a model with Adam; the learning rate warms up for a tenth of the steps and falls to zero along a cosine. Gives
 * the loss of every step, a few steps after it was submitted; with the last of an epoch, no step of the next has run.
 */
export async function* train(
  model: nn.Module,
  images: MnistSamples,
  { epochs, batchSize, learningRate, seed }: TrainOptions,
): AsyncGenerator<TrainedStep, void, undefined> {
  const dropLast = images.length >= batchSize;
  const loader = new data.DataLoader(images, { batchSize, shuffle: true, seed, dropLast });
  const optimizer = new optim.Adam(model.parameters(), { lr: learningRate });
  const schedule = warmupThenCosine(optimizer, epochs * stepsPerEpoch(images.length, batchSize));

  // Forward pass, backward pass and update are traced once, and then replayed as one plan.
  const trainStep = jit((image: Tensor, label: Tensor) => {
    const loss = crossEntropy(model.call(image), label);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss;
  });

  const pending: Promise<TrainedStep>[] = [];
  let step = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    for await (const { image, label } of loader) {
      const loss = await trainStep(image, label);
      image.dispose();
      label.dispose();
      schedule.step();
      pending.push(read(loss, { step: ++step, epoch }));
      if (pending.length > behind) yield await pending.shift()!;
    }
    for (const each of pending.splice(0)) yield await each;
  }
  trainStep.dispose();
}

function warmupThenCosine(optimizer: optim.Adam, steps: number): optim.Schedule {
  const warmup = Math.max(1, Math.round(steps / 10));
  const rising = new optim.LinearWarmup(optimizer, { steps: warmup, start: 0.1 });
  const falling = new optim.CosineAnnealingLR(optimizer, { steps: Math.max(1, steps - warmup) });
  return new optim.SequentialLR(optimizer, [rising, falling], { milestones: [warmup] });
}

function read(loss: Tensor, when: Omit<TrainedStep, 'loss'>): Promise<TrainedStep> {
  const result = loss.item().then((value) => ({ ...when, loss: Number(value) }));
  result.catch(() => undefined); // the error is met where the result is awaited
  loss.dispose();
  return result;
}
