/**
 * Takes chunks of work from the ring and runs them. The same code serves the workers and a main thread that helps. It
 * imports nothing of the library but the layout, so that a worker starts fast.
 */
import {
  chunkBits,
  chunkMask,
  controlWords,
  entry,
  entryWords,
  type ModuleMessage,
  noticeEvery,
  ringSlots,
  type StageFunction,
  serialMask,
  textBytes,
  word,
} from './control.ts';

/**
 * Looks before a thread goes to sleep, about 10 ns each. Waking a sleeping thread costs the waker and the sleeper more
 * than 10 µs each, so a thread waits for about as long as the main thread takes from one submission to the next. There
 * are as many workers as processors: when work ends, the last of them makes room for the main thread at once.
 */
const spins = { withinWork: 4000, afterwards: 6000, afterwardsOfLast: 100 };

export class Executor {
  readonly #words: Int32Array;
  readonly #thread: number;
  readonly #spinsAfterwards: number;
  readonly #report: () => void;
  readonly #functions: readonly StageFunction[];

  /**
   * @param last Whether this is the worker that makes room for the main thread.
   * @param functions By function number; filled as modules arrive.
   * @param report Called after each finished submission, where the main thread asks for messages.
   */
  constructor(
    control: SharedArrayBuffer,
    thread: number,
    last: boolean,
    functions: readonly StageFunction[],
    report: () => void,
  ) {
    this.#words = new Int32Array(control, 0, controlWords);
    this.#thread = thread;
    this.#spinsAfterwards = last ? spins.afterwardsOfLast : spins.afterwards;
    this.#functions = functions;
    this.#report = report;
  }

  /** Works until there is a message that has not been handled, the device stops, or it fails. Sleeps in between. */
  work(handledMessages: number): void {
    const words = this.#words;
    let looks = 0;
    for (;;) {
      if (Atomics.load(words, word.messages) !== handledMessages) return;
      if (Atomics.load(words, word.stop) | Atomics.load(words, word.failed)) return;
      if (this.tryChunk()) {
        looks = 0;
        continue;
      }
      const idle = Atomics.load(words, word.state) >>> chunkBits === Atomics.load(words, word.tail);
      if (++looks < (idle ? this.#spinsAfterwards : spins.withinWork)) continue;
      this.#sleep(handledMessages);
      looks = 0;
    }
  }

  /** Claims one chunk and runs it. False when there is none to claim. */
  tryChunk(): boolean {
    const words = this.#words;
    const seen = Atomics.load(words, word.state);
    const serial = seen >>> chunkBits;
    if (serial === Atomics.load(words, word.tail)) return false;
    const at = word.ring + (serial & (ringSlots - 1)) * entryWords;
    const chunk = seen & chunkMask;
    if (chunk >= words[at + entry.chunks]!) return false;
    // The stage may be newer than the last look at `messages`: its module is then still on the way to this thread.
    if (this.#functions[words[at + entry.function]!] === undefined) return false;
    // Only a stage with unclaimed chunks passes this swap, and the slot of such a stage is never overwritten: what is
    // read from the entry from here on belongs to it.
    if (Atomics.compareExchange(words, word.state, seen, seen + 1) !== seen) return true;
    let claimed: number | undefined = serial;
    for (let first = chunk; claimed !== undefined; first = 0) claimed = this.#runChunk(claimed, first);
    return true;
  }

  /** Runs a chunk that this thread has claimed. Returns the next stage, where this thread has claimed that too. */
  #runChunk(serial: number, chunk: number): number | undefined {
    const words = this.#words;
    const slot = serial & (ringSlots - 1);
    const at = word.ring + slot * entryWords;
    const index = words[at + entry.function]!;
    const chunkUnits = words[at + entry.chunkUnits]!;
    const begin = chunk * chunkUnits;
    const end = Math.min(begin + chunkUnits, words[at + entry.units]!);
    const scratch = words[at + entry.scratch]! + this.#thread * words[at + entry.scratchStride]!;
    try {
      if (begin < end) this.#functions[index]!(begin, end, words[at + entry.args]!, scratch);
    } catch (error) {
      this.#fail(index, error);
      return undefined;
    }
    if (Atomics.add(words, word.done, 1) + 1 !== words[at + entry.chunks]!) return undefined;
    return this.#finishStage(serial, slot);
  }

  #finishStage(serial: number, slot: number): number | undefined {
    const words = this.#words;
    const last = words[word.ring + slot * entryWords + entry.last]!;
    const next = (serial + 1) & serialMask;
    const nextAt = word.ring + (next & (ringSlots - 1)) * entryWords;
    const exists = next !== Atomics.load(words, word.tail);
    const single = exists && words[nextAt + entry.chunks] === 1;
    // A stage of one chunk stays with the thread that ran the one before: its data is in that thread's cache. Not at the
    // end of a submission, where a thread that helps may want to stop, nor before its module has arrived here.
    const keep = single && !last && this.#functions[words[nextAt + entry.function]!] !== undefined;
    Atomics.store(words, word.done, 0);
    Atomics.store(words, word.state, (next << chunkBits) | (keep ? 1 : 0));
    if (last) Atomics.add(words, word.finished, 1);
    if (last || (serial & (noticeEvery - 1)) === 0) {
      Atomics.add(words, word.notice, 1);
      Atomics.notify(words, word.notice);
      if (words[word.report]) this.#report();
    }
    if (exists && !single) wake(words);
    return keep ? next : undefined;
  }

  #sleep(handledMessages: number): void {
    const words = this.#words;
    const seen = Atomics.load(words, word.signal);
    Atomics.add(words, word.sleepers, 1);
    // Looked at again after `signal` was read: news from here on changes `signal`, and the wait returns at once.
    const news = this.#claimable() || Atomics.load(words, word.messages) !== handledMessages;
    if (!news) Atomics.wait(words, word.signal, seen);
    Atomics.sub(words, word.sleepers, 1);
  }

  #claimable(): boolean {
    const words = this.#words;
    if (Atomics.load(words, word.stop) | Atomics.load(words, word.failed)) return true;
    const seen = Atomics.load(words, word.state);
    const serial = seen >>> chunkBits;
    if (serial === Atomics.load(words, word.tail)) return false;
    const chunks = words[word.ring + (serial & (ringSlots - 1)) * entryWords + entry.chunks]!;
    return (seen & chunkMask) < chunks;
  }

  /** The stage never finishes: every thread stops claiming, and the main thread is told which function it was. */
  #fail(index: number, error: unknown): void {
    const words = this.#words;
    if (Atomics.compareExchange(words, word.failed, 0, -1) === 0) {
      const text = new TextEncoder().encode(String(error)).subarray(0, textBytes);
      new Uint8Array(words.buffer, word.text * 4, textBytes).set(text);
      words[word.textLength] = text.length;
      Atomics.store(words, word.failed, 1 + index);
    }
    Atomics.add(words, word.notice, 1);
    Atomics.notify(words, word.notice);
    if (words[word.report]) this.#report();
    wake(words);
  }
}

/** Makes a module's functions callable on this thread. */
export function load(functions: StageFunction[], message: ModuleMessage, memory: WebAssembly.Memory): void {
  const { exports } = new WebAssembly.Instance(message.module, { env: { memory } });
  for (let i = 0; i < message.count; i++) {
    functions[message.first + i] = exports[`f${i}`] as StageFunction;
  }
}

/** Makes the resting threads look again, or so many of them. */
export function wake(words: Int32Array, threads: number = Infinity): void {
  Atomics.add(words, word.signal, 1);
  if (Atomics.load(words, word.sleepers) > 0) Atomics.notify(words, word.signal, threads);
}
