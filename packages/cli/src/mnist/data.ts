/** The real MNIST: 60,000 training and 10,000 test images, from the package `mnist-loader`. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { data } from 'tutti';

const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-loader/package.json')), 'data');

/** Number of images in each part. */
export const sizes = { train: 60_000, test: 10_000 } as const;

/** Samples are `{ image: uint8 (1, 28, 28), label: int32 () }`. */
export type MnistSamples = data.Dataset<data.Row<data.MnistDataset['columns']>>;

/** The first `count` images of the training or the test part. @throws FileError, FormatError */
export async function loadImages(part: keyof typeof sizes, count: number): Promise<MnistSamples> {
  const prefix = part === 'train' ? 'train' : 't10k';
  const images = await data.readFile(join(folder, `${prefix}-images-idx3-ubyte`));
  const labels = await data.readFile(join(folder, `${prefix}-labels-idx1-ubyte`));
  const all = await data.loadMnist({ images, labels });
  return count === all.length ? all : data.take(all, count);
}
