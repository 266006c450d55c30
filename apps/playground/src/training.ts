import { countCorrect, stepsPerEpoch, train } from '@tutti/cli/mnist';
import { ArgumentError, manualSeed } from 'tutti';
import { loadImages } from './images.ts';
import { models } from './models.ts';
import type { Settings } from './settings.ts';

/** What is known of a training at some moment. */
export interface Progress {
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly loss: number;
  /** Undefined until the second step: the first one compiles. */
  readonly imagesPerSecond: number | undefined;
  /** Of the test images, after an epoch. */
  readonly correct?: number;
}

const learningRate = 0.003;
/** The same seed for every device: they then differ in their rounding only. */
const seed = 0;

/** Trains a new model on the default device. @throws ArgumentError when the loss is not finite; whatever the device throws. */
export async function* runTraining(settings: Settings): AsyncGenerator<Progress, void, undefined> {
  const { epochs, batch } = settings;
  const [images, testImages] = await Promise.all([
    loadImages('train', settings.train),
    loadImages('test', settings.test),
  ]);
  manualSeed(seed);
  const model = models[settings.model]();
  const batchSize = Math.min(batch, images.length);
  const stepsEach = stepsPerEpoch(images.length, batchSize);
  const options = { epochs, batchSize, learningRate, seed };

  let start = 0;
  for await (const { step, epoch, loss } of train(model, images, options)) {
    const now = performance.now();
    if (step === 1) start = now;
    if (!Number.isFinite(loss)) {
      throw new ArgumentError(`the loss of step ${step} is ${loss}: the training has diverged`, {
        received: loss,
        fix: 'take larger batches',
      });
    }
    const imagesPerSecond = step > 1 ? ((step - 1) * batchSize * 1000) / (now - start) : undefined;
    const progress = { step, steps: epochs * stepsEach, epoch, loss, imagesPerSecond };
    yield progress;
    if (step % stepsEach === 0) {
      const correct = await countCorrect(model, testImages);
      start += performance.now() - now; // neither testing nor what the page did meanwhile is training
      yield { ...progress, correct };
    }
  }
}
