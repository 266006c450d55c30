import { controlBytes, controlWords, type ModuleMessage, type WorkerMessage, word } from './control.ts';
import { wake } from './execute.ts';
import { isNode, nodeModule } from './host.ts';

/** A worker of Node or of a browser, as far as they are alike. */
interface Thread {
  post(message: WorkerMessage): void;
  /** Whether the process stays alive for this thread. */
  keepAlive(yes: boolean): void;
  terminate(): void;
}

export interface ThreadEvents {
  /** A worker reported a finished submission (only where `Atomics.waitAsync` is missing). */
  finished(): void;
  /** A worker died, or never started. */
  lost(error: unknown): void;
}

/** The worker threads and the control block they share. They start with the first call of `start`. */
export class ThreadPool {
  readonly control: SharedArrayBuffer = new SharedArrayBuffer(controlBytes);
  readonly words: Int32Array = new Int32Array(this.control, 0, controlWords);
  readonly count: number;
  readonly #memory: WebAssembly.Memory;
  readonly #events: ThreadEvents;
  #threads: Thread[] = [];
  #modules: ModuleMessage[] = [];
  #started = false;

  constructor(count: number, memory: WebAssembly.Memory, events: ThreadEvents) {
    this.count = count;
    this.#memory = memory;
    this.#events = events;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    for (let thread = 0; thread < this.count; thread++) {
      const worker = startThread(thread, this.#events);
      const last = thread === this.count - 1;
      worker.post({ kind: 'start', control: this.control, memory: this.#memory, thread, last });
      worker.keepAlive(false);
      this.#threads.push(worker);
    }
    Atomics.add(this.words, word.messages, 1);
    for (const message of this.#modules) this.#post(message);
    this.#modules = [];
  }

  /** Workers that run. Zero until the first has come up. */
  get ready(): number {
    return Atomics.load(this.words, word.ready);
  }

  /** Gives a module to every worker. They take it before they claim another chunk. */
  publish(message: ModuleMessage): void {
    if (this.#started) this.#post(message);
    else this.#modules.push(message);
  }

  /** Keeps the process alive while somebody waits for the workers, and only then. */
  keepAlive(yes: boolean): void {
    this.#threads[0]?.keepAlive(yes);
  }

  stop(): void {
    Atomics.store(this.words, word.stop, 1);
    Atomics.add(this.words, word.notice, 1);
    Atomics.notify(this.words, word.notice);
    wake(this.words);
    for (const thread of this.#threads) thread.terminate();
    this.#threads = [];
  }

  #post(message: WorkerMessage): void {
    // First posted, then counted: a worker that leaves its loop for a message finds it.
    for (const thread of this.#threads) thread.post(message);
    Atomics.add(this.words, word.messages, 1);
    wake(this.words);
  }
}

function startThread(index: number, events: ThreadEvents): Thread {
  let stopped = false;
  const lost = (error: unknown): void => {
    if (!stopped) events.lost(error);
  };
  if (isNode) {
    const { Worker } = nodeModule<typeof import('node:worker_threads')>('node:worker_threads')!;
    // No arguments of the main program: its loaders and debuggers are of no use here and slow the start down.
    const worker = new Worker(new URL('../worker.js', import.meta.url), {
      name: `tutti-cpu-${index}`,
      execArgv: [],
    });
    worker.on('message', () => events.finished());
    worker.on('error', lost);
    worker.on('exit', (code) => lost(`it exited with code ${code}`));
    return {
      post: (message) => worker.postMessage(message),
      keepAlive: (yes) => (yes ? worker.ref() : worker.unref()),
      terminate: () => {
        stopped = true;
        void worker.terminate();
      },
    };
  }
  // Spelt out in one expression: that is the form which bundlers recognise, and emit the worker's file for.
  const worker = new Worker(new URL('../worker.js', import.meta.url), { type: 'module' });
  worker.onmessage = () => events.finished();
  worker.onerror = (event) => lost(event.message || 'its script could not be loaded');
  return {
    post: (message) => worker.postMessage(message),
    keepAlive: () => {},
    terminate: () => {
      stopped = true;
      worker.terminate();
    },
  };
}
