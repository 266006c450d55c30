import { ArgumentError, type Device } from '@tutti/core';
import { checkOptions, describe, isPromise, type OptionNames } from '@tutti/core/graph';
import { type Collated, collate, type Delivered, deliver } from './collate.ts';
import type { Dataset } from './dataset.ts';
import { checkInteger } from './ndarray.ts';
import { permutation, RandomStream } from './random.ts';

export interface DataLoaderOptions<Sample, Batch> {
  /** Samples in a batch. Default 1. */
  readonly batchSize?: number;
  /** A new order each epoch. Default false: the dataset's own. */
  readonly shuffle?: boolean;
  /** Fixes the orders and what augmentations draw. Default 0. */
  readonly seed?: number;
  /** Leaves out a last batch that is not full. Default false. */
  readonly dropLast?: boolean;
  /** Batches made ahead of the one in use. Default 1; 0 makes each when it is asked for. */
  readonly prefetch?: number;
  /** Makes a batch of samples. Default: arrays are stacked along a new first axis. */
  readonly collate?: (samples: readonly Sample[]) => Batch | Promise<Batch>;
  /** Where the batches' tensors go. Default: the default device. */
  readonly device?: Device;
}

const loaderOptions: OptionNames<DataLoaderOptions<never, never>> = {
  batchSize: true,
  shuffle: true,
  seed: true,
  dropLast: true,
  prefetch: true,
  collate: true,
  device: true,
};

/**
 * Batches of a dataset, one epoch for each `for await`. Arrays in a batch arrive as tensors (B, ...).
 *
 * While a batch is in use the next one is made, as soon as the user of the batch awaits anything. The order depends on
 * the seed and the epoch alone. An error of the dataset is thrown to the loop at the batch that it belongs to.
 *
 * @throws ArgumentError for a batch size below 1, a negative `prefetch`, a seed that is not an integer.
 * @example
 * for await (const { image, label } of new DataLoader(dataset, { batchSize: 64, shuffle: true })) {
 *   image.shape; // [64, 1, 28, 28]
 * }
 */
export class DataLoader<Sample, Batch = Collated<Sample>> implements AsyncIterable<Delivered<Batch>> {
  readonly dataset: Dataset<Sample>;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly dropLast: boolean;
  readonly prefetch: number;
  /** Number of the next pass. It grows by one at the start of each; set it to resume a training. */
  epoch = 0;
  readonly #collate: (samples: readonly Sample[]) => Batch | Promise<Batch>;
  readonly #device: Device | undefined;

  constructor(dataset: Dataset<Sample>, options: DataLoaderOptions<Sample, Batch> = {}) {
    checkOptions('DataLoader', options, loaderOptions);
    const { batchSize = 1, seed = 0, prefetch = 1 } = options;
    this.dataset = checkDataset(dataset);
    this.batchSize = checkInteger(batchSize, 1, 'DataLoader', 'batchSize');
    this.prefetch = checkInteger(prefetch, 0, 'DataLoader', 'prefetch');
    if (!Number.isInteger(seed)) {
      throw new ArgumentError(`DataLoader: seed is ${seed}`, {
        received: seed,
        fix: 'the seed is an integer',
      });
    }
    this.seed = seed;
    this.shuffle = options.shuffle ?? false;
    this.dropLast = options.dropLast ?? false;
    this.#collate = options.collate ?? (collate as (samples: readonly Sample[]) => Batch);
    this.#device = options.device;
  }

  /** Number of batches of an epoch. */
  get length(): number {
    const batches = this.dataset.length / this.batchSize;
    return this.dropLast ? Math.floor(batches) : Math.ceil(batches);
  }

  /** The numbers of the samples in the order of an epoch. */
  order(epoch: number = this.epoch): Uint32Array {
    const { length } = this.dataset;
    return this.shuffle ? permutation(length, this.seed, epoch) : Uint32Array.from({ length }, (_, i) => i);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Delivered<Batch>, void, undefined> {
    const epoch = this.epoch++;
    const order = this.order(epoch);
    const count = this.length;
    const ahead: Job<Batch>[] = [];
    let next = 0;
    try {
      for (let i = 0; i < count; i++) {
        while (next < count && next <= i + this.prefetch) {
          const indices = order.subarray(next * this.batchSize, ++next * this.batchSize);
          ahead.push(new Job(() => this.#make(indices, epoch)));
        }
        const batch = await ahead.shift()!.result();
        for (const job of ahead) job.startSoon();
        yield deliver(batch, this.#device);
      }
    } finally {
      for (const job of ahead) job.cancel();
    }
  }

  async #make(indices: Uint32Array, epoch: number): Promise<Batch> {
    const samples: Sample[] = new Array(indices.length);
    const pending: Promise<void>[] = [];
    for (const [i, index] of indices.entries()) {
      // The last word keeps these streams apart from the one that makes the order.
      const sample = this.dataset.get(index, new RandomStream(this.seed, epoch, index, 1));
      if (sample instanceof Promise) pending.push(sample.then((value) => void (samples[i] = value)));
      else samples[i] = sample;
    }
    if (pending.length > 0) await Promise.all(pending);
    return this.#collate(samples);
  }
}

/** Without this a promise of a dataset would be one with no samples. @throws ArgumentError */
function checkDataset<Sample>(dataset: Dataset<Sample>): Dataset<Sample> {
  const { length, get } = (dataset ?? {}) as Partial<Dataset<Sample>>;
  if (typeof get === 'function' && Number.isInteger(length)) return dataset;
  throw new ArgumentError(`DataLoader: expected a dataset, received ${describe(dataset)}`, {
    op: 'DataLoader',
    received: dataset,
    fix: isPromise(dataset)
      ? 'await it first'
      : 'a dataset has a length and get(index); make one of arrays with new ArrayDataset({ .. })',
  });
}

/**
 * Work that starts when its result is asked for, or earlier, once the event loop is free. It starts from a timer and not
 * from a microtask: a microtask would run before the receiver of the current batch has submitted its computation.
 */
class Job<T> {
  readonly #work: () => Promise<T>;
  #result: Promise<T> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  startSoon(): void {
    if (!this.#result) this.#timer ??= setTimeout(() => void this.#start(), 0);
  }

  result(): Promise<T> {
    this.cancel();
    return this.#start();
  }

  /** Does not start any more by itself. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #start(): Promise<T> {
    if (!this.#result) {
      this.#result = this.#work();
      // The error goes to whoever asks for the result; a batch that nobody asks for any more must not end the process.
      this.#result.catch(() => undefined);
    }
    return this.#result;
  }
}
