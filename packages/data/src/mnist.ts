import { ArgumentError, FormatError } from '@tutti/core';
import { describe, isPromise, type OptionNames, requireOptions } from '@tutti/core/graph';
import { ArrayDataset } from './dataset.ts';
import { gunzip, type IdxArray, isGzip, readIdx } from './idx.ts';
import type { NdArray } from './ndarray.ts';

/** Bytes of the two idx files of one part (training or test) of MNIST or of a set like it; gzip is unpacked. */
export interface MnistFiles {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

const fileNames: OptionNames<MnistFiles> = { images: true, labels: true };

export type MnistDataset = ArrayDataset<{
  /** Bytes 0 (background) to 255, shape (N, 1, rows, columns). */
  readonly image: NdArray<Uint8Array>;
  /** Shape (N). */
  readonly label: NdArray<Int32Array>;
}>;

/**
 * MNIST, Fashion-MNIST and their like. Samples are `{ image: uint8 (1, rows, columns), label: int32 () }`.
 *
 * @throws ArgumentError for what is not bytes. @throws FormatError when a file is not the one it should be, or the two do not belong together.
 */
export async function loadMnist(files: MnistFiles): Promise<MnistDataset> {
  requireOptions('loadMnist', files, fileNames);
  const images = await readPart(files.images, 'MNIST images', 3);
  const labels = await readPart(files.labels, 'MNIST labels', 1);
  const [count, rows, columns] = images.shape as [number, number, number];
  if (labels.shape[0] !== count) {
    throw new FormatError(`MNIST: ${count} images and ${labels.shape[0]} labels`, {
      op: 'loadMnist',
      received: [images.shape, labels.shape],
      fix: 'take both files from the same part, training or test',
    });
  }
  return new ArrayDataset({
    image: { data: images.data as Uint8Array, shape: [count, 1, rows, columns] },
    label: { data: Int32Array.from(labels.data), shape: [count] },
  });
}

async function readPart(bytes: Uint8Array, name: string, rank: number): Promise<IdxArray> {
  if (!ArrayBuffer.isView(bytes)) {
    throw new ArgumentError(`${name}: expected the bytes of a file, received ${describe(bytes)}`, {
      op: 'loadMnist',
      received: bytes,
      fix: isPromise(bytes) ? 'await it first' : 'pass a Uint8Array, for example what readFile(path) gives',
    });
  }
  const array = readIdx(isGzip(bytes) ? await gunzip(bytes, name) : bytes, name);
  if (array.dtype === 'uint8' && array.shape.length === rank) return array;
  throw new FormatError(`${name}: ${array.dtype} with shape [${array.shape.join(', ')}]`, {
    op: 'loadMnist',
    received: array.shape,
    fix: `the file holds uint8 with ${rank === 1 ? '1 axis' : `${rank} axes`}; are images and labels exchanged?`,
  });
}
