import {
  DeviceError,
  disposedDevice,
  type Fence,
  KernelError,
  messageOf,
  type TuttiError,
} from '@tutti/core/backend';
import { chunkBits, entry, entryWords, ringSlots, serialMask, textBytes, word } from './control.ts';
import type { Encoded } from './encode.ts';
import { Executor, wake } from './execute.ts';
import { mayBlock, notice } from './host.ts';
import type { Modules } from './modules.ts';
import type { Scratch } from './scratch.ts';
import { ThreadPool } from './threads.ts';

/** A blocked reader gives up when no chunk has finished for so long: a worker must have died without a word. */
const stallMilliseconds = 5 * 60_000;

interface Waiter {
  readonly serial: number;
  readonly resolve: () => void;
  readonly reject: (error: TuttiError) => void;
}

/** Up to which cost, in nanoseconds on one thread, the calling thread does something itself. */
export interface Limits {
  /** Everything: waking a worker would take longer. */
  readonly inline: number;
  /** Its part: a worker joins in, and the caller neither waits for that nor hears of the end through the event loop. */
  readonly shared: number;
}

/** Milliseconds after which the calling thread leaves shared work to the workers: the estimate was wrong. */
const longestHelp = 4;

/**
 * The queue of submissions: numbers them, hands them to the threads, and knows which have finished.
 *
 * Submissions run in order. One that is small, while nothing else is queued, runs on the calling thread, or with its help.
 */
export class Queue {
  /** Number of the last submission. */
  submitted = 0;
  readonly #modules: Modules;
  readonly #scratch: Scratch;
  readonly #limits: Limits;
  readonly #threads: number;
  readonly #pool: ThreadPool | undefined;
  readonly #helper: Executor | undefined;
  readonly #mayBlock: boolean;
  #completed = 0;
  /** `finished` of the control block when it was last looked at. */
  #finishedSeen = 0;
  #failure: TuttiError | undefined;
  #waiters: Waiter[] = [];
  /** Ring entries that found no room, in order. */
  #overflow: Int32Array[] = [];
  #watching = false;
  /** The workers could not start: this thread does everything. */
  #alone: boolean;

  constructor(
    modules: Modules,
    scratch: Scratch,
    memory: WebAssembly.Memory,
    threads: number,
    limits: Limits,
  ) {
    this.#modules = modules;
    this.#scratch = scratch;
    this.#limits = limits;
    this.#threads = threads;
    this.#alone = threads <= 1;
    this.#mayBlock = !this.#alone && mayBlock();
    if (this.#alone) return;
    this.#pool = new ThreadPool(threads, memory, {
      finished: () => this.#news(),
      lost: (error) => this.#lost(error),
    });
    this.#helper = new Executor(this.#pool.control, threads, true, modules.functions, () => {});
    this.#pool.words[word.report] = 'waitAsync' in Atomics ? 0 : 1;
  }

  /** Number of the last submission that has finished, as far as is known without asking the threads. */
  get completed(): number {
    if (this.#completed < this.submitted) this.#poll();
    return this.#completed;
  }

  get failure(): TuttiError | undefined {
    if (!this.#failure && this.#completed < this.submitted) this.#poll();
    return this.#failure;
  }

  /** Builds what is new, and runs or queues the commands as submission number `submitted + 1`. */
  submit(commands: readonly Encoded[], cost: number): Fence {
    this.#modules.build((message) => this.#pool?.publish(message));
    if (commands.every((command) => command.entries.length === 0)) return this.fence(this.submitted);
    const idle = this.completed === this.submitted;
    const serial = this.submitted + 1;
    for (const command of commands) this.#scratch.reserve(command.scratchBytes, serial);
    this.submitted = serial;
    if (this.#alone || (idle && cost < this.#limits.inline)) this.#runHere(commands);
    else if (idle && cost < this.#limits.shared) {
      this.#enqueue(commands, this.#threads - 1);
      this.#help(serial, performance.now() + longestHelp);
    } else this.#enqueue(commands, this.#threads);
    return this.fence(serial);
  }

  fence(serial: number): Fence {
    const queue = this;
    let done: Promise<void> | undefined;
    return {
      // Made when asked for: most submissions are never awaited, and an unseen rejection would end the process.
      get done() {
        done ??= queue.reached(serial);
        return done;
      },
    };
  }

  /** Settles when submission `serial` has finished. */
  reached(serial: number): Promise<void> {
    if (this.completed >= serial) return Promise.resolve();
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ serial, resolve, reject });
      this.#watch();
    });
  }

  /** As `reached`, and blocks. A thread that may not sleep, or whose workers are not up yet, does the work itself. */
  waitFor(serial: number): void {
    const { words } = this.#pool ?? {};
    let progressAt = performance.now();
    let progress = -1;
    while (this.completed < serial && !this.#failure) {
      if (!words || !this.#mayBlock || this.#pool!.ready === 0) {
        this.#help(serial);
        continue;
      }
      const seen = Atomics.load(words, word.notice);
      this.#poll();
      if (this.#completed >= serial || this.#failure) break;
      if (Atomics.wait(words, word.notice, seen, 1000) !== 'timed-out') continue;
      const now = Atomics.load(words, word.state) + Atomics.load(words, word.done);
      if (now !== progress) progressAt = performance.now();
      else if (performance.now() - progressAt > stallMilliseconds) {
        this.fail(
          new DeviceError('the worker threads have stopped working', { fix: 'open the device again' }),
        );
      }
      progress = now;
    }
    if (this.#completed < serial) throw this.#failure!;
  }

  /** No more work is taken, and everybody who waits is told why. */
  fail(error: TuttiError): void {
    this.#failure ??= error;
    this.#overflow = [];
    this.#settle();
    this.#pool?.stop();
  }

  /** Runs commands on this thread. @throws nothing: a failure is kept, and the fence tells it. */
  #runHere(commands: readonly Encoded[]): void {
    if (this.#failure) return;
    this.#modules.loadHere();
    const { functions } = this.#modules;
    const scratch = this.#scratch.mainAddress;
    for (const { entries } of commands) {
      for (let at = 0; at < entries.length; at += entryWords) {
        const units = entries[at + entry.units]!;
        if (units === 0) continue;
        try {
          functions[entries[at + entry.function]!]!(0, units, entries[at + entry.args]!, scratch);
        } catch (error) {
          this.fail(this.#trap(entries[at + entry.function]!, String(error)));
          return;
        }
      }
    }
    this.#completed = this.submitted;
  }

  /** @param workers How many to wake. */
  #enqueue(commands: readonly Encoded[], workers: number): void {
    this.#pool!.start();
    const last = commands.findLastIndex((command) => command.entries.length > 0);
    const { words } = this.#pool!;
    let tail = words[word.tail]!;
    for (const [i, { entries }] of commands.entries()) {
      if (this.#overflow.length > 0 || !this.#hasRoom(tail, entries.length / entryWords)) {
        this.#overflow.push(this.#copyOf(entries, i === last));
        continue;
      }
      tail = this.#place(entries, tail);
      if (i === last) this.#markLast(tail);
    }
    this.#publish(tail, workers);
    if (this.#overflow.length > 0) this.#watch();
  }

  #hasRoom(tail: number, stages: number): boolean {
    const head = Atomics.load(this.#pool!.words, word.state) >>> chunkBits;
    return ((tail - head) & serialMask) + stages <= ringSlots;
  }

  #place(entries: Int32Array, tail: number): number {
    const { words } = this.#pool!;
    const { address, stride } = this.#scratch;
    let serial = tail;
    for (let from = 0; from < entries.length; from += entryWords) {
      const at = word.ring + (serial & (ringSlots - 1)) * entryWords;
      words[at + entry.function] = entries[from + entry.function]!;
      words[at + entry.units] = entries[from + entry.units]!;
      words[at + entry.chunkUnits] = entries[from + entry.chunkUnits]!;
      words[at + entry.chunks] = entries[from + entry.chunks]!;
      words[at + entry.args] = entries[from + entry.args]!;
      words[at + entry.scratch] = address;
      words[at + entry.scratchStride] = stride;
      words[at + entry.last] = entries[from + entry.last]!;
      serial = (serial + 1) & serialMask;
    }
    return serial;
  }

  #markLast(tail: number): void {
    const slot = (tail - 1) & (ringSlots - 1);
    this.#pool!.words[word.ring + slot * entryWords + entry.last] = 1;
  }

  #copyOf(entries: Int32Array, last: boolean): Int32Array {
    const copy = entries.slice();
    if (last) copy[copy.length - entryWords + entry.last] = 1;
    return copy;
  }

  #publish(tail: number, workers: number): void {
    const { words } = this.#pool!;
    if (tail === words[word.tail]) return;
    Atomics.store(words, word.tail, tail);
    wake(words, workers);
  }

  /** Moves on what found no room. */
  #flush(): void {
    if (this.#overflow.length === 0) return;
    let tail = this.#pool!.words[word.tail]!;
    let moved = 0;
    for (const entries of this.#overflow) {
      if (!this.#hasRoom(tail, entries.length / entryWords)) break;
      tail = this.#place(entries, tail);
      moved++;
    }
    this.#overflow.splice(0, moved);
    this.#publish(tail, this.#threads);
  }

  /** Looks at what the threads have done. */
  #poll(): void {
    if (!this.#pool || this.#failure) return;
    const { words } = this.#pool;
    const finished = Atomics.load(words, word.finished);
    this.#completed += (finished - this.#finishedSeen) | 0;
    this.#finishedSeen = finished;
    if (Atomics.load(words, word.failed) !== 0) {
      let failed = Atomics.load(words, word.failed);
      while (failed < 0) failed = Atomics.load(words, word.failed); // the text is being written
      const bytes = new Uint8Array(words.buffer, word.text * 4, textBytes).slice(0, words[word.textLength]);
      this.fail(this.#trap(failed - 1, new TextDecoder().decode(bytes)));
      return;
    }
    this.#flush();
    if (this.#waiters.length > 0) this.#settle();
  }

  #settle(): void {
    const waiting: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (waiter.serial <= this.#completed) waiter.resolve();
      else if (this.#failure) waiter.reject(this.#failure);
      else waiting.push(waiter);
    }
    this.#waiters = waiting;
  }

  /** While somebody waits: keeps the process alive and listens for news from the threads. */
  #watch(): void {
    if (this.#watching || !this.#pool) return;
    this.#watching = true;
    this.#pool.keepAlive(true);
    this.#listen();
  }

  #listen(): void {
    const { words } = this.#pool!;
    for (;;) {
      const seen = Atomics.load(words, word.notice);
      this.#poll();
      if (this.#waiters.length === 0 && this.#overflow.length === 0) {
        this.#watching = false;
        this.#pool!.keepAlive(false);
        return;
      }
      if (words[word.report]) return; // a message will call #news
      const wait = Atomics.waitAsync(words, word.notice, seen);
      if (wait.async) {
        void wait.value.then(() => this.#listen());
        return;
      }
    }
  }

  #news(): void {
    if (this.#watching) this.#listen();
  }

  /** Takes part in the work until submission `serial` has finished, or the time is `deadline`. */
  #help(serial: number, deadline = Infinity): void {
    this.#modules.loadHere();
    while (this.completed < serial && !this.#failure) {
      this.#helper!.tryChunk();
      if (performance.now() > deadline) break;
    }
    // A stage that this thread published without waking the others must not be left to nobody.
    if (this.#completed < this.submitted) wake(this.#pool!.words);
  }

  /** A worker died by itself. Before it came up, that means there are no workers; later, that its work is lost. */
  #lost(error: unknown): void {
    if (this.#failure || this.#alone) return;
    const text = messageOf(error);
    if (this.#pool!.ready > 0) {
      this.fail(
        new DeviceError(`a worker thread died: ${text}`, { fix: 'open the device again', cause: error }),
      );
      return;
    }
    notice(
      `the worker threads could not start (${text}); running on one thread.\n` +
        '  fix: when bundling, let the bundler emit the file worker.js of @tutti/cpu next to the bundle',
    );
    this.#alone = true;
    this.#help(this.submitted);
    this.#settle();
  }

  #trap(index: number, text: string): TuttiError {
    const program = this.#modules.programOf(index);
    const name = program?.name ?? `function ${index}`;
    return new KernelError(`the kernel ${name} failed while it ran: ${text}`, {
      op: name,
      received: program?.source(),
      fix: 'open the device again; if the indices given are all in range, please report this as a defect',
    });
  }

  dispose(): void {
    this.fail(disposedDevice('cpu'));
  }
}
