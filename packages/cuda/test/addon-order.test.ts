/**
 * Everything happens in the order of the calls, as far as it can be seen in memory, whatever the streams do. Streams here run late, out of
 * step, or only when somebody waits for them.
 */
import type { EmulatorSettings } from '@tutti/cuda-emulator';
import { expect, it } from 'vitest';
import { runScript } from './support/addon.ts';

const settings: readonly (readonly [string, EmulatorSettings])[] = [
  ['as they come', {}],
  ['only where somebody waits', { streams: 'lazy' }],
  // The streams of a device, in the order of their making: work, then uploads. 0 is the driver's own.
  ['with slow work', { faults: { slowStream: { stream: 1, milliseconds: 1 } } }],
  ['with slow uploads', { faults: { slowStream: { stream: 2, milliseconds: 1 } } }],
  ['without memory pools', { faults: { noPools: true } }],
];

it.each(settings)('streams that run %s', (_, setting) => {
  const { code, output, errors } = runScript(
    `
    const n = 64;
    const image = (await compiler().compile(saxpy, 'saxpy.cu', options)).image;
    const device = driver().open(0, { stagingBytes: 1 << 16 });
    const fn = device.getFunction(device.loadModule(image), 'saxpy', 0);
    const filled = (value, length = n) => new Uint8Array(new Float32Array(length).fill(value).buffer);
    const add = (x, y) => {
      const words = saxpyWords(fn, x, y, n);
      device.submit(words, words.length);
    };
    const wrong = [];
    const check = (name, wanted, bytes) => {
      const values = new Float32Array(bytes.buffer);
      if (!values.every((value) => value === wanted)) wrong.push(name + ': ' + values[0] + ' for ' + wanted);
    };
    const ones = device.allocate(4 * n);
    device.write(ones, filled(1), true);

    // A fresh block is written beside the work, and used by work at once.
    for (let i = 0; i < 8; i++) {
      const [x, y] = [device.allocate(4 * n), device.allocate(4 * n)];
      add(ones, ones);
      device.write(x, filled(i), true);
      device.write(y, filled(100), true);
      add(x, y);
      check('fresh block', 100 + i, device.readSync(y, 4 * n));
      device.free(x);
      device.free(y);
    }

    // A block that work still reads is written in order.
    const [a, b] = [device.allocate(4 * n), device.allocate(4 * n)];
    device.write(b, filled(0), true);
    for (let i = 1; i <= 8; i++) {
      device.write(a, filled(i), false);
      add(a, b);
    }
    check('written in order', 36, await device.read(b, 4 * n));

    // Uploads of both kinds to one block: the last one stays.
    device.write(a, filled(1), true);
    device.write(a, filled(2), false);
    check('ordered after idle', 2, await device.read(a, 4 * n));
    device.write(a, filled(3), true);
    check('idle after a read', 3, await device.read(a, 4 * n));

    // A block freed with an upload still on its way is given out again.
    for (let i = 0; i < 8; i++) {
      const gone = device.allocate(4 * n);
      device.write(gone, filled(-1), true);
      device.free(gone);
      const next = device.allocate(4 * n);
      device.write(next, filled(i), false);
      check('freed under an upload', i, await device.read(next, 4 * n));
      device.free(next);
    }

    // The ring of 64 KiB goes round many times, with both kinds of upload in it.
    const large = [device.allocate(400_000), device.allocate(400_000)];
    for (let i = 0; i < 6; i++) {
      device.write(large[0], filled(i, 100_000), true);
      device.write(large[1], filled(-i, 100_000), false);
      check('large, idle', i, device.readSync(large[0], 400_000));
      check('large, ordered', -i, await device.read(large[1], 400_000));
    }
    for (let i = 0; i < 500; i++) device.write(large[i % 2] + 16 * i, filled(i, 4), i % 3 === 0);
    for (let i = 0; i < 500; i++) check('small', i, device.readSync(large[i % 2] + 16 * i, 16));

    // A graph sees uploads, and what comes after it sees the graph.
    const words = saxpyWords(fn, a, b, n);
    const graph = device.capture(words, words.length);
    device.write(a, filled(1), true);
    device.write(b, filled(0), true);
    device.launchGraph(graph);
    device.launchGraph(graph);
    device.write(a, filled(10), false);
    device.launchGraph(graph);
    device.releaseGraph(graph);
    check('graph', 12, await device.read(b, 4 * n));
    await device.passed();
    device.close();
    console.log(wrong.length ? wrong.join('\\n') : 'right');
    `,
    setting,
  );
  expect({ code, output, errors }).toEqual({ code: 0, output: 'right', errors: '' });
});
