/**
 * MNIST as the page fetches it: slices of so many images, each two idx files packed with gzip. A page that trains on 600
 * images then loads one slice of thirty, and any server of files will do, also one that knows no ranges.
 */
export const imagesPerSlice = 2000;

export const partSizes = { train: 60_000, test: 10_000 } as const;
export type Part = keyof typeof partSizes;
export type Kind = 'images' | 'labels';

/** Where a slice lies, seen from the page. */
export const slicePath = (part: Part, slice: number, kind: Kind): string =>
  `mnist/${part}-${slice}-${kind}.idx.gz`;
