/** Images and labels from the server of the page. */
import type { MnistSamples } from '@tutti/cli/mnist';
import { data, FileError } from 'tutti';
import { imagesPerSlice, type Kind, type Part, slicePath } from './slices.ts';

/** The first `count` images of a part; fetches only the slices that hold them. @throws FileError, FormatError */
export async function loadImages(part: Part, count: number): Promise<MnistSamples> {
  const slices = Array.from({ length: Math.ceil(count / imagesPerSlice) }, async (_, slice) => {
    const [images, labels] = await Promise.all([
      fetchSlice(part, slice, 'images'),
      fetchSlice(part, slice, 'labels'),
    ]);
    return data.loadMnist({ images, labels });
  });
  return data.take(data.concat(...(await Promise.all(slices))), count);
}

async function fetchSlice(part: Part, slice: number, kind: Kind): Promise<Uint8Array> {
  const path = `${import.meta.env.BASE_URL}${slicePath(part, slice, kind)}`;
  const response = await fetch(path).catch((cause: unknown) => failed(path, String(cause), cause));
  if (!response.ok) return failed(path, `${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

function failed(path: string, reason: string, cause?: unknown): never {
  throw new FileError(`${path} did not load: ${reason}`, {
    received: path,
    fix: 'look whether the server runs, and serves the whole of the built folder',
    cause,
  });
}
