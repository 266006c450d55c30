import { ArgumentError, DTypeError, memory, ShapeError, Tensor } from '@tutti/core';
import { ArrayDataset, collate, DataLoader, type Dataset, map, ndarray, subset } from '@tutti/data';
import { describe, expect, test } from 'vitest';
import { onCpu } from './support.ts';

onCpu();

const numbers = (length: number): Dataset<number> => ({ length, get: (index) => index });
const asList = { collate: (samples: readonly number[]): string => samples.join(' ') };

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

const macrotask = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));

/** A dataset that notes which samples were asked for. */
function watched(length: number): { dataset: Dataset<number>; asked: number[] } {
  const asked: number[] = [];
  const get = (index: number): number => {
    asked.push(index);
    return index;
  };
  return { asked, dataset: { length, get } };
}

describe('batches', () => {
  test('the last batch may be short, or be left out', async () => {
    const loader = new DataLoader(numbers(5), { batchSize: 2, ...asList });
    expect(loader.length).toBe(3);
    expect(await all(loader)).toEqual(['0 1', '2 3', '4']);
    const full = new DataLoader(numbers(5), { batchSize: 2, dropLast: true, ...asList });
    expect(full.length).toBe(2);
    expect(await all(full)).toEqual(['0 1', '2 3']);
  });

  test('no samples, no batches; a batch may be larger than the dataset', async () => {
    expect(await all(new DataLoader(numbers(0), asList))).toEqual([]);
    expect(await all(new DataLoader(numbers(2), { batchSize: 9, ...asList }))).toEqual(['0 1']);
    expect(await all(new DataLoader(numbers(2), { batchSize: 9, dropLast: true, ...asList }))).toEqual([]);
  });

  test.each([0, 1, 3, 100])('prefetch %i changes nothing', async (prefetch) => {
    const options = { batchSize: 3, shuffle: true, seed: 4, ...asList };
    const expected = await all(new DataLoader(numbers(20), { ...options, prefetch: 0 }));
    expect(await all(new DataLoader(numbers(20), { ...options, prefetch }))).toEqual(expected);
    const slow: Dataset<number> = {
      length: 20,
      get: (index) => new Promise((resolve) => setTimeout(() => resolve(index), index % 3)),
    };
    expect(await all(new DataLoader(slow, { ...options, prefetch }))).toEqual(expected);
  });

  test('bad options', () => {
    expect(() => new DataLoader(numbers(1), { batchSize: 0 })).toThrow(ArgumentError);
    expect(() => new DataLoader(numbers(1), { batchSize: 1.5 })).toThrow(ArgumentError);
    expect(() => new DataLoader(numbers(1), { prefetch: -1 })).toThrow(ArgumentError);
    expect(() => new DataLoader(numbers(1), { seed: Number.NaN })).toThrow(ArgumentError);
    const promised = Promise.resolve(numbers(1)) as never;
    expect(() => new DataLoader(promised)).toThrow(
      /expected a dataset, received a promise\n.*await it first/,
    );
    expect(() => new DataLoader([1, 2] as never)).toThrow(
      /expected a dataset, received an array\n.*ArrayDataset/,
    );
    const misspelt = { batch_size: 8 } as never;
    expect(() => new DataLoader(numbers(1), misspelt)).toThrow(/DataLoader: .*\n.*did you mean batchSize\?/);
    expect(() => new DataLoader(numbers(1), 8 as never)).toThrow(/did you mean \{ batchSize: 8 \}\?/);
  });
});

describe('order', () => {
  test('the same seed and epoch give the same order; epochs and seeds differ', async () => {
    const make = (seed: number) =>
      new DataLoader(numbers(50), { batchSize: 50, shuffle: true, seed, ...asList });
    const a = make(1);
    const epochs = [...(await all(a)), ...(await all(a))];
    expect(a.epoch).toBe(2);
    expect(epochs[0]).not.toBe(epochs[1]);
    const b = make(1);
    expect(await all(b)).toEqual([epochs[0]]);
    b.epoch = 1;
    expect(await all(b)).toEqual([epochs[1]]);
    expect(await all(make(2))).not.toEqual([epochs[0]]);
    expect([...a.order(0)].join(' ')).toBe(epochs[0]);
  });

  test('augmentations draw the same for the same seed, epoch and sample, whatever the batches', async () => {
    const drawn = map(numbers(8), (_, random) => random.next());
    const draw = async (batchSize: number, seed: number, epoch: number): Promise<number[]> => {
      const loader = new DataLoader(drawn, { batchSize, seed, collate: (samples) => [...samples] });
      loader.epoch = epoch;
      return (await all(loader)).flat();
    };
    const first = await draw(2, 1, 0);
    expect(new Set(first).size).toBe(8);
    expect(await draw(3, 1, 0)).toEqual(first);
    expect(await draw(2, 1, 1)).not.toEqual(first);
    expect(await draw(2, 2, 0)).not.toEqual(first);
  });
});

describe('prefetch', () => {
  test('makes the next batch while this one is in use, and no more than asked', async () => {
    const { dataset, asked } = watched(20);
    for (const prefetch of [0, 1, 2]) {
      asked.length = 0;
      const iterator = new DataLoader(dataset, { batchSize: 2, prefetch, ...asList })[Symbol.asyncIterator]();
      await iterator.next();
      expect(asked).toEqual([0, 1]); // the receiver gets the batch before any work on the next one
      await macrotask();
      await macrotask();
      expect(asked.length).toBe(2 + 2 * prefetch);
      await iterator.return(undefined);
    }
  });

  test('after a break nothing more is asked for', async () => {
    const { dataset, asked } = watched(20);
    for await (const _ of new DataLoader(dataset, { batchSize: 2, prefetch: 3, ...asList })) break;
    await macrotask();
    expect(asked).toEqual([0, 1]);
  });
});

describe('errors of the dataset', () => {
  const broken = (fail: (index: number) => number | Promise<number>): Dataset<number> => ({
    length: 6,
    get: (index) => (index === 4 ? fail(index) : index),
  });
  const problem = new RangeError('sample 4 is damaged');
  const sync = broken(() => {
    throw problem;
  });
  const async_ = broken(() => Promise.reject(problem));

  test.each([
    ['thrown', sync],
    ['rejected', async_],
  ])('%s: reach the loop at their batch', async (_, dataset) => {
    for (const prefetch of [0, 1, 5]) {
      const seen: unknown[] = [];
      const run = async (): Promise<void> => {
        for await (const batch of new DataLoader(dataset, { batchSize: 2, prefetch, ...asList })) {
          seen.push(batch);
          await macrotask();
        }
      };
      await expect(run()).rejects.toBe(problem);
      expect(seen).toEqual(['0 1', '2 3']);
    }
  });

  test('a batch that failed ahead of a break is no unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    for await (const _ of new DataLoader(async_, { batchSize: 2, prefetch: 5, ...asList })) {
      await macrotask();
      break;
    }
    await macrotask();
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
});

describe('collate', () => {
  test('stacks arrays in records and lists; numbers become float32', () => {
    const sample = (i: number) => ({
      x: ndarray(Int32Array.of(i, i)),
      rest: [i, { y: ndarray(Uint8Array.of(i), []) }],
    });
    expect(collate([sample(1), sample(2), sample(3)])).toEqual({
      x: { data: Int32Array.of(1, 1, 2, 2, 3, 3), shape: [3, 2] },
      rest: [
        { data: Float32Array.of(1, 2, 3), shape: [3] },
        { y: { data: Uint8Array.of(1, 2, 3), shape: [3] } },
      ],
    });
  });

  test('samples that do not fit together', () => {
    const image = (...shape: number[]) => ({
      image: ndarray(new Float32Array(shape.reduce((a, b) => a * b)), shape),
    });
    expect(() => collate([image(2, 2), image(2, 3)])).toThrow(ShapeError);
    expect(() => collate([image(2, 2), image(2, 3)])).toThrow(/sample\.image.*\[2,2\].*\[2,3\] in sample 1/);
    expect(() => collate([{ a: ndarray(new Float32Array(1)) }, { a: ndarray(new Int32Array(1)) }])).toThrow(
      ShapeError,
    );
    expect(() => collate([{ a: ndarray(new Float32Array(1)) }, {}])).toThrow(ShapeError);
    expect(() => collate(['text'])).toThrow(ArgumentError);
    expect(() => collate([new Date()])).toThrow(/class Date/);
  });
});

describe('tensors', () => {
  const columns = {
    image: ndarray(
      Float32Array.from({ length: 5 * 4 }, (_, i) => i),
      [5, 2, 2],
    ),
    label: ndarray(Uint8Array.of(4, 3, 2, 1, 0)),
  };

  test('arrays of a batch arrive as tensors, with their dtypes', async () => {
    const seen: unknown[] = [];
    for await (const { image, label } of new DataLoader(new ArrayDataset(columns), { batchSize: 2 })) {
      expect(image).toBeInstanceOf(Tensor);
      expect([image.dtype, label.dtype]).toEqual(['float32', 'uint8']);
      expect(image.shape).toEqual([label.shape[0], 2, 2]);
      seen.push(await label.array());
      if (seen.length === 1) {
        expect(await image.array()).toEqual([
          [
            [0, 1],
            [2, 3],
          ],
          [
            [4, 5],
            [6, 7],
          ],
        ]);
      }
    }
    expect(seen).toEqual([[4, 3], [2, 1], [0]]);
  });

  test('lists, views and shuffles', async () => {
    const pairs = new ArrayDataset([columns.image, columns.label] as const);
    const chosen = subset(pairs, [0, 2, 4]);
    const loader = new DataLoader(chosen, { batchSize: 3, shuffle: true, seed: 2 });
    for await (const [image, label] of loader) {
      const order = [...loader.order(0)].map((i) => [0, 2, 4][i]!);
      expect(await label.array()).toEqual(order.map((i) => 4 - i));
      expect(await image.sum([1, 2]).array()).toEqual(order.map((i) => 16 * i + 6));
    }
  });

  test('every kind of array', async () => {
    const batch = {
      double: new Float64Array(2),
      int: new Int32Array(2),
      uint: new Uint32Array(2),
      clamped: new Uint8ClampedArray(2),
    };
    const dataset = map({ length: 1, get: () => batch }, (arrays) => ({
      double: ndarray(arrays.double),
      int: ndarray(arrays.int),
      uint: ndarray(arrays.uint),
      clamped: ndarray(arrays.clamped),
      number: 7,
    }));
    for await (const { double, int, uint, clamped, number } of new DataLoader(dataset)) {
      const dtypes = [double, int, uint, clamped, number].map(({ dtype }) => dtype);
      expect(dtypes).toEqual(['float32', 'int32', 'uint32', 'uint8', 'float32']);
      expect(await number.array()).toEqual([7]);
    }
    const short = new ArrayDataset({ x: ndarray(new Int16Array(2)) });
    await expect(all(new DataLoader(short))).rejects.toBeInstanceOf(DTypeError);
  });

  test('batches made ahead take no memory of the device', async () => {
    const before = memory()['cpu']!.buffers;
    for await (const { image } of new DataLoader(new ArrayDataset(columns), { prefetch: 3 })) {
      await macrotask();
      await image.add(1).data();
      break;
    }
    expect(memory()['cpu']!.buffers - before).toBeLessThanOrEqual(2);
  });
});
