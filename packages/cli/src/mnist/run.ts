import { ArgumentError, type Device, defaultDevice, manualSeed, nn, setDefaultDevice } from 'tutti';
import { checkReadable, checkWritable, writeAtomically } from '../files.ts';
import { InterruptGuard } from '../interrupt.ts';
import { createProgress, type Progress } from '../progress.ts';
import { loadImages } from './data.ts';
import { countCorrect } from './evaluate.ts';
import { MnistModel } from './model.ts';
import { stepsPerEpoch, train } from './train.ts';

/** The flags of `tutti train mnist`. */
export interface MnistOptions {
  readonly device?: string;
  readonly epochs: number;
  readonly batch: number;
  readonly train: number;
  readonly test: number;
  readonly seed: number;
  readonly lr: number;
  readonly save?: string;
  readonly load?: string;
  readonly json?: string;
}

/** What `--json` writes. */
export interface MnistResult {
  /** The device's id. */
  readonly device: string;
  /** The first half of the id. */
  readonly backend: string;
  readonly seed: number;
  readonly epochs: number;
  /** Time of the training; of the test, where there was no training. */
  readonly seconds: number;
  /** Training images, or test images where there was no training, in that time. */
  readonly imagesPerSecond: number;
  readonly testAccuracy: number;
  /** The loss of every step. */
  readonly losses: readonly number[];
}

/** Trains (or loads) the model, tests it, and writes what was asked for. */
export async function runMnist(options: MnistOptions): Promise<MnistResult> {
  const { save, load, json } = options;
  if (save) await checkWritable(save, '--save');
  if (json) await checkWritable(json, '--json');
  if (load) await checkReadable(load, '--load');
  const device = await setDefaultDevice(options.device ?? defaultDevice());

  let progress: Progress | undefined;
  const unwritten = new Set([save, json].filter((file) => file !== undefined));
  const guard = new InterruptGuard(
    () => progress?.close(),
    () => (unwritten.size > 0 ? `${[...unwritten].join(' and ')} not written` : ''),
  );
  try {
    manualSeed(options.seed);
    const model = new MnistModel();
    if (load) model.loadStateDict(await nn.loadSafetensors(load));

    const training = await trainModel(model, options, (created) => {
      progress = created;
    });
    const images = await loadImages('test', options.test);
    const start = performance.now();
    const correct = await countCorrect(model, images);
    const seconds = training?.seconds ?? (performance.now() - start) / 1000;
    const result: MnistResult = {
      device: device.id,
      backend: device.id.split(':')[0]!,
      seed: options.seed,
      epochs: options.epochs,
      seconds,
      imagesPerSecond: (training?.images ?? images.length) / seconds,
      testAccuracy: correct / images.length,
      losses: training?.losses ?? [],
    };
    const write = (file: string, writing: () => Promise<void>): Promise<void> =>
      guard.protect(async () => {
        await writing();
        unwritten.delete(file);
      });
    if (save) await write(save, () => nn.saveSafetensors(save, model.stateDict()));
    if (json) await write(json, () => writeAtomically(json, `${JSON.stringify(result)}\n`));
    console.log(lastLine(result, correct, images.length, device));
    return result;
  } finally {
    progress?.close();
    guard.release();
  }
}

interface Training {
  readonly losses: number[];
  readonly seconds: number;
  /** Images seen, each as often as it was. */
  readonly images: number;
}

async function trainModel(
  model: MnistModel,
  { epochs, batch, train: count, lr, seed }: MnistOptions,
  onProgress: (progress: Progress) => void,
): Promise<Training | undefined> {
  if (epochs === 0) return undefined;
  const images = await loadImages('train', count);
  const batchSize = Math.min(batch, images.length);
  const steps = epochs * stepsPerEpoch(images.length, batchSize);
  const progress = createProgress({ steps, epochs, stream: process.stdout });
  onProgress(progress);

  const losses: number[] = [];
  const start = performance.now();
  const seconds = (): number => (performance.now() - start) / 1000;
  for await (const { step, epoch, loss } of train(model, images, {
    epochs,
    batchSize,
    learningRate: lr,
    seed,
  })) {
    if (!Number.isFinite(loss)) {
      throw new ArgumentError(`the loss of step ${step} is ${loss}: the training has diverged`, {
        received: loss,
        fix: `lower --lr, which is ${lr}`,
      });
    }
    losses.push(loss);
    const perStep = seconds() / step;
    progress.update({
      step,
      epoch,
      loss,
      imagesPerSecond: batchSize / perStep,
      secondsLeft: (steps - step) * perStep,
    });
  }
  progress.close();
  return { losses, seconds: seconds(), images: steps * batchSize };
}

function lastLine(result: MnistResult, correct: number, count: number, device: Device): string {
  const { testAccuracy, seconds, imagesPerSecond } = result;
  return (
    `test accuracy ${testAccuracy.toFixed(4)} (${correct}/${count}), ${seconds.toFixed(seconds < 10 ? 1 : 0)} s, ` +
    `${imagesPerSecond.toFixed(0)} images/s, device ${device.id} (${device.backend.info.description})`
  );
}
