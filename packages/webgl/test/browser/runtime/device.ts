/** The device: what it says of itself, how it is waited for, and what it refuses. */
import { dispatch, intsOf } from '@tutti/core/testing';
import { affine, failure, increment, make, program } from '../device.ts';
import { device, ready } from './shared.ts';

export const deviceChecks = {
  describe: () => device().backend.info,

  /** Tasks of the page between a read and its result, of work that takes a while. */
  async turns() {
    const { backend } = device();
    const texels = 64 * 1024;
    const [a, b] = [backend.allocate(texels * 16), backend.allocate(texels * 16)];
    backend.submit([dispatch(await ready(device(), affine(texels, 3000, 20)), [a, b], [1])]);
    let turns = 0;
    let reading = true;
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      turns++;
      if (reading) channel.port2.postMessage(0);
    };
    channel.port2.postMessage(0);
    const [value] = intsOf(await backend.read(b, 64, 4));
    reading = false;
    backend.free(a);
    backend.free(b);
    return { turns, value };
  },

  async paced() {
    const { backend } = device();
    const texels = 64 * 1024;
    const [a, b] = [backend.allocate(texels * 16), backend.allocate(texels * 16)];
    const command = dispatch(await ready(device(), affine(texels, 300, 20)), [a, b], [1]);
    let paces = 0;
    for (let i = 0; i < 40; i++) {
      const { pace } = backend.submit([command]);
      if (pace) paces++;
      await pace;
    }
    await backend.submit([]).done;
    const times = await backend.time([command, command]);
    backend.free(a);
    backend.free(b);
    return { paces, times };
  },

  async errors() {
    const { backend } = device();
    const other = make();
    const buffer = backend.allocate(16);
    const loaded = backend.load(increment(1, 77));
    const code = `uvec4 texel(int index) {
  return fetch(t0, index) + missing;
}`;
    const broken = backend.load(program('invalid', code, [0], 0, 1));
    const compile = await failure(() => broken.ready);
    const found = {
      compile,
      again: await failure(() => backend.load(program('invalid', code, [0], 0, 1)).ready),
      brokenSubmit: await failure(() => backend.submit([dispatch(broken, [buffer])])),
      range: await failure(() => backend.write(buffer, new Uint8Array(8), 12)),
      read: await failure(() => backend.read(buffer, -1, 4)),
      foreign: await failure(() => other.backend.free(buffer)),
      foreignProgram: await failure(() => other.backend.submit([dispatch(loaded, [])])),
      early: await failure(() => backend.submit([dispatch(loaded, [buffer])])),
      large: await failure(() => backend.allocate(2 ** 40)),
      negative: await failure(() => backend.allocate(-1)),
      tooFew: await loaded.ready?.then(() =>
        failure(() => backend.submit([dispatch(loaded, [buffer], [1])])),
      ),
    };
    backend.free(buffer);
    const freed = await failure(() => backend.free(buffer));
    const freedRead = await failure(() => backend.read(buffer, 0, 4));
    other.backend.dispose();
    const disposed = await failure(() => other.backend.allocate(4));
    return {
      ...found,
      freed,
      freedRead,
      disposed,
      memory: other.backend.memory(),
      failed: backend.failure?.code,
    };
  },
};
