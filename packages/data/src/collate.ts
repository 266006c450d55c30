import { ArgumentError, type Device, ShapeError, type Tensor } from '@tutti/core';
import { emptyLike, isNdArray, type NdArray, toTensor } from './ndarray.ts';

/** A sample, or a batch of samples on the host: an array, a number, or named or numbered parts of it. */
export type Sample = NdArray | number | { readonly [name: string]: Sample } | readonly Sample[];

/** What a batch looks like when it leaves the loader: every array is a tensor. */
export type Delivered<B> = B extends NdArray
  ? Tensor
  : B extends Tensor | string | number | boolean | bigint | null | undefined
    ? B
    : B extends object
      ? { [K in keyof B]: Delivered<B[K]> }
      : B;

/** What `collate` makes of samples: arrays and numbers become arrays with a first axis more. */
export type Collated<S> = S extends NdArray
  ? NdArray
  : S extends number
    ? NdArray<Float32Array>
    : S extends object
      ? { [K in keyof S]: Collated<S[K]> }
      : never;

/**
 * One batch of the samples: arrays of shape (...) -> (B, ...), numbers -> float32 (B), records and lists part by part.
 *
 * @throws ShapeError when the samples differ in shape; the message names the part.
 * @throws ArgumentError when a part is neither an array, a number, a record nor a list.
 */
export function collate<S>(samples: readonly S[]): Collated<S> {
  return collatePart(samples, 'sample') as Collated<S>;
}

function collatePart(parts: readonly unknown[], where: string): unknown {
  const first = parts[0];
  if (isNdArray(first)) return stackArrays(parts, first, where);
  if (typeof first === 'number') return { data: Float32Array.from(parts as number[]), shape: [parts.length] };
  if (Array.isArray(first)) {
    return first.map((_, i) =>
      collatePart(
        parts.map((part) => (part as unknown[])[i]),
        `${where}[${i}]`,
      ),
    );
  }
  if (typeof first === 'object' && first !== null && Object.getPrototypeOf(first) === Object.prototype) {
    const names = Object.keys(first);
    const values = (name: string): unknown[] => parts.map((part) => (part as Record<string, unknown>)[name]);
    return Object.fromEntries(names.map((name) => [name, collatePart(values(name), `${where}.${name}`)]));
  }
  throw new ArgumentError(`collate: ${where} is ${describe(first)}`, {
    op: 'collate',
    received: first,
    fix: 'make samples of ndarray(...) and numbers, in records or lists, or pass your own collate to the loader',
  });
}

function stackArrays(parts: readonly unknown[], first: NdArray, where: string): NdArray {
  const size = first.data.length;
  const data = emptyLike(first.data, size * parts.length);
  for (const [i, part] of parts.entries()) {
    const same =
      isNdArray(part) &&
      part.data.constructor === first.data.constructor &&
      part.shape.length === first.shape.length &&
      part.shape.every((extent, axis) => extent === first.shape[axis]);
    if (!same) {
      throw new ShapeError(
        `collate: ${where} is ${describe(first)} in the first sample of a batch and ${describe(part)} in sample ${i}`,
        { op: 'collate', received: part, fix: 'crop, pad or resize the samples to one shape with map(...)' },
      );
    }
    data.set(part.data, i * size);
  }
  return { data, shape: [parts.length, ...first.shape] };
}

function describe(value: unknown): string {
  if (isNdArray(value)) return `${value.data.constructor.name} [${value.shape}]`;
  if (typeof value !== 'object' || value === null)
    return typeof value === 'string' ? 'a string' : String(value);
  return `an object of class ${(value as object).constructor?.name ?? 'null'}`;
}

/** Turns every array of a batch, at any depth of records and lists, into a tensor on `device`. */
export function deliver<B>(batch: B, device?: Device): Delivered<B> {
  return deliverPart(batch, device) as Delivered<B>;
}

function deliverPart(part: unknown, device: Device | undefined): unknown {
  if (isNdArray(part)) return toTensor(part, device);
  if (Array.isArray(part)) return part.map((each) => deliverPart(each, device));
  if (typeof part !== 'object' || part === null || Object.getPrototypeOf(part) !== Object.prototype)
    return part;
  return Object.fromEntries(Object.entries(part).map(([name, each]) => [name, deliverPart(each, device)]));
}
