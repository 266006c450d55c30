/** Buffers: what they hold, and what is refused. */
import {
  bytesOf,
  copy,
  type DeviceCheck,
  dispatch,
  download,
  holds,
  nothingLeft,
  refused,
  same,
  upload,
} from './check.ts';

export const bufferChecks: readonly DeviceCheck[] = [
  {
    name: 'buffers are written, read and copied at any byte, without touching their neighbours',
    async run(open) {
      const device = await open();
      const { backend } = device;
      for (const bytes of [0, 1, 2, 3, 5, 15, 16, 63, 1001, 4096, 70_001]) {
        for (const extra of [0, 1, 6]) {
          const data = Uint8Array.from({ length: bytes }, (_, i) => i * 7 + 1);
          const [source, target] = [backend.allocate(bytes + extra), backend.allocate(bytes + extra)];
          backend.write(source, new Uint8Array(bytes + extra).fill(5));
          backend.write(source, data);
          backend.write(target, new Uint8Array(bytes + extra).fill(9));
          backend.submit([copy(source, target, bytes)]);
          const what = `${bytes} bytes before ${extra} others`;
          const result = await backend.read(target, 0, bytes + extra);
          same(what, result, [...data, ...new Array<number>(extra).fill(9)]);
          const from = Math.min(3, bytes);
          same(`${what}, read in part`, await backend.read(target, from, bytes - from), data.slice(from));
          if (backend.readSync)
            same(`${what}, read at once`, backend.readSync(target, from, bytes - from), data.slice(from));
          for (const each of [source, target]) backend.free(each);
        }
      }
      nothingLeft(device);
    },
  },
  {
    name: 'what was written may be changed by the caller, and a read gives what was there when it was asked for',
    async run(open) {
      const { backend } = await open();
      const buffer = backend.allocate(8);
      const data = bytesOf([1, 2]);
      backend.write(buffer, data);
      data.fill(0);
      const before = download(backend, buffer);
      backend.write(buffer, bytesOf([3]), 4);
      const after = download(backend, buffer);
      backend.free(buffer);
      backend.write(backend.allocate(8), bytesOf([7, 7]));
      const [first, second] = await Promise.all([before, after]);
      same('what was read before the second write', first!, [1, 2]);
      same('what was read after it', second!, [1, 3]);
      const many = Array.from({ length: 300 }, (_, i) => upload(backend, new Int32Array(2000).fill(i)));
      const results = await Promise.all(many.map((each) => download(backend, each)));
      for (const [i, values] of results.entries()) same(`read ${i}`, values, new Int32Array(2000).fill(i));
    },
  },
  {
    name: 'a copy onto itself changes nothing, and a buffer of no bytes is legal',
    async run(open) {
      const { backend } = await open();
      const buffer = upload(backend, [1, 2, 3]);
      backend.submit([copy(buffer, buffer, 12)]);
      same('the copy', await download(backend, buffer), [1, 2, 3]);
      const nothing = backend.allocate(0);
      backend.write(nothing, new Uint8Array(0));
      backend.submit([copy(nothing, buffer, 0)]);
      same('nothing', await backend.read(nothing, 0, 0), []);
      const { bytes, buffers } = backend.memory();
      same('bytes and buffers', [bytes, buffers], [12, 2]);
    },
  },
  {
    name: 'what is out of range, freed, too large, early or of another device is refused, and leaves nothing behind',
    async run(open) {
      const [device, other] = [await open(), await open()];
      const { backend } = device;
      const buffer = backend.allocate(16);
      await refused('a write behind the end', 'ARGUMENT', () => backend.write(buffer, new Uint8Array(8), 12));
      await refused('a read before the start', 'ARGUMENT', () => backend.read(buffer, -1, 4));
      if (backend.readSync)
        await refused('a read before the start, at once', 'ARGUMENT', () => backend.readSync!(buffer, -1, 4));
      await refused('to free what another has', 'DEVICE', () => other.backend.free(buffer));
      const foreign = [copy(buffer, buffer, 4)];
      await refused('to copy what another has', 'DEVICE', () => other.backend.submit(foreign));
      await refused('a buffer of 2^45 bytes', 'OUT_OF_MEMORY', () => backend.allocate(2 ** 45));
      await refused('a buffer of -1 bytes', 'OUT_OF_MEMORY', () => backend.allocate(-1));
      const program = device.increment(4);
      const command = dispatch(program, [buffer]);
      if (program.ready) await refused('a program too early', 'KERNEL', () => backend.submit([command]));
      await program.ready;
      holds(program.ready === undefined, 'a program that is ready still says that it will be');
      for (let i = 0; i < 3; i++) backend.submit([command]);
      backend.free(buffer);
      await refused('to free twice', 'DISPOSED', () => backend.free(buffer));
      await refused('to write to what is freed', 'DISPOSED', () => backend.write(buffer, new Uint8Array(4)));
      await refused('to copy what is freed', 'DISPOSED', () => backend.submit([copy(buffer, buffer, 4)]));
      await refused('to run on what is freed', 'DISPOSED', () => backend.submit([command]));
      await refused('to read what is freed', 'DISPOSED', () => backend.read(buffer, 0, 4));
      const next = upload(backend, [1, 2, 3, 4]);
      backend.submit([dispatch(program, [next])]);
      same('what comes after', await download(backend, next), [2, 3, 4, 5]);
      backend.free(next);
      nothingLeft(device);
    },
  },
];
