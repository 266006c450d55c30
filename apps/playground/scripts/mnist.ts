/** Cuts the MNIST files of the package `mnist-loader` into slices: on request for the development server, all of them in a build. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Plugin } from 'vite';
import { imagesPerSlice, type Kind, type Part, partSizes, slicePath } from '../src/slices.ts';

const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-loader/package.json')), 'data');
const prefixes: Record<Part, string> = { train: 'train', test: 't10k' };
const axes: Record<Kind, number> = { images: 3, labels: 1 };

interface Slice {
  readonly part: Part;
  readonly kind: Kind;
  readonly index: number;
}

/** All slices by their paths. */
const slices: ReadonlyMap<string, Slice> = new Map(
  (['train', 'test'] as const).flatMap((part) =>
    (['images', 'labels'] as const).flatMap((kind) =>
      Array.from({ length: partSizes[part] / imagesPerSlice }, (_, index): [string, Slice] => [
        slicePath(part, index, kind),
        { part, kind, index },
      ]),
    ),
  ),
);

/** An idx file of its own, packed: the header with another number of images, and their bytes. */
async function packed({ part, kind, index }: Slice, file: Buffer): Promise<Buffer> {
  const header = Buffer.from(file.subarray(0, 4 + 4 * axes[kind]));
  const bytes = (file.length - header.length) / partSizes[part];
  header.writeUInt32BE(imagesPerSlice, 4);
  const start = header.length + index * imagesPerSlice * bytes;
  const body = file.subarray(start, start + imagesPerSlice * bytes);
  return promisify(gzip)(Buffer.concat([header, body]));
}

export function mnist(): Plugin {
  const files = new Map<string, Promise<Buffer>>();
  const read = async (slice: Slice): Promise<Buffer> => {
    const name = `${prefixes[slice.part]}-${slice.kind}-idx${axes[slice.kind]}-ubyte`;
    if (!files.has(name)) files.set(name, readFile(join(folder, name)));
    return packed(slice, await files.get(name)!);
  };
  return {
    name: 'mnist',
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const slice = slices.get(request.url?.slice(1) ?? '');
        if (!slice) return next();
        response.setHeader('Content-Type', 'application/gzip');
        read(slice).then((bytes) => response.end(bytes), next);
      });
    },
    async generateBundle() {
      for (const [fileName, slice] of slices) {
        this.emitFile({ type: 'asset', fileName, source: await read(slice) });
      }
    },
  };
}
