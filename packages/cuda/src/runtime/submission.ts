/** Submits commands: all of them in one call of the addon, but for those that a graph stands for. */
import { type Command, OutOfMemoryError } from '@tutti/core/backend';
import { commandCode } from '../native/binding.ts';
import type { CudaDevice } from './device.ts';
import type { Encoded, Encoder } from './encode.ts';
import { type GraphOwner, leastCommands, type Piece, Replay } from './replay.ts';

export class Submission implements GraphOwner {
  readonly #device: CudaDevice;
  readonly #encoder: Encoder;
  /** Lists of commands that came before, by their identity. */
  readonly #replays = new WeakMap<readonly Command[], Replay>();
  /** Graphs of lists that nobody has any more are released. */
  readonly #collected = new FinalizationRegistry<Set<number>>((graphs) => {
    try {
      for (const graph of graphs) this.release(graph);
    } catch {
      // The device has failed, and tells whoever uses it.
    }
    graphs.clear();
  });
  #words = new Uint32Array(1024);
  #length = 0;

  constructor(device: CudaDevice, encoder: Encoder) {
    this.#device = device;
    this.#encoder = encoder;
  }

  /** @param touch Called with everything that is submitted. */
  submit(commands: readonly Command[], touch: (all: readonly Encoded[]) => void): void {
    // All of them before the first is submitted: one that is refused leaves nothing half done.
    const all = commands.map((command) => this.#encoder.encode(command));
    touch(all);
    this.#length = 0;
    for (const { from, to, graph } of this.#piecesOf(commands, all)) {
      if (graph === undefined) {
        for (let i = from; i < to; i++) this.#append(all[i]!.words);
        continue;
      }
      this.#flush();
      this.#device.call(doing, (native) => native.launchGraph(graph));
    }
    this.#flush();
  }

  #piecesOf(commands: readonly Command[], all: readonly Encoded[]): readonly Piece[] {
    const whole = [{ from: 0, to: all.length, graph: undefined }];
    if (!this.#device.graphs || all.length < leastCommands) return whole;
    let replay = this.#replays.get(commands);
    if (!replay) {
      replay = new Replay();
      this.#replays.set(commands, replay);
    }
    const captured = replay.hasCaptured;
    const pieces = replay.pieces(commands, all, this);
    if (replay.hasCaptured && !captured) this.#collected.register(commands, replay.graphs);
    return pieces ?? whole;
  }

  capture(all: readonly Encoded[], from: number, to: number): number | undefined {
    for (let i = from; i < to; i++) this.#append(all[i]!.words);
    const length = this.#length;
    this.#length = 0;
    try {
      return this.#device.call('while commands were captured', (native) =>
        native.capture(this.#words, length),
      );
    } catch (error) {
      this.#device.health.check();
      if (error instanceof OutOfMemoryError) return undefined; // one by one they need no more than they have
      throw error;
    }
  }

  release(graph: number): void {
    if (this.#device.health.failure) return; // it went with the device
    this.#device.call('while a graph was released', (native) => native.releaseGraph(graph));
  }

  /** Runs commands with a point of time before, between and after them. */
  time(commands: readonly Command[], touch: (all: readonly Encoded[]) => void): Promise<Float64Array> {
    const all = commands.map((command) => this.#encoder.encode(command));
    touch(all);
    this.#length = 0;
    this.#append(mark);
    for (const { words } of all) {
      this.#append(words);
      this.#append(mark);
    }
    const length = this.#length;
    this.#length = 0;
    return this.#device.wait(doing, (native) => native.time(this.#words, length));
  }

  #append(words: Uint32Array): void {
    const length = this.#length + words.length;
    if (length > this.#words.length) {
      const larger = new Uint32Array(Math.max(length, this.#words.length * 2));
      larger.set(this.#words.subarray(0, this.#length));
      this.#words = larger;
    }
    this.#words.set(words, this.#length);
    this.#length = length;
  }

  #flush(): void {
    const length = this.#length;
    this.#length = 0;
    if (length > 0) this.#device.call(doing, (native) => native.submit(this.#words, length));
  }
}

const mark = Uint32Array.of(commandCode.mark, 2);
const doing = 'while commands were submitted';
