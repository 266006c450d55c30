import type { CompiledTrace } from './compiled-trace.ts';

interface Entry {
  readonly trace: Promise<CompiledTrace>;
  made: CompiledTrace | undefined;
  /** Calls that have it and are not done. */
  users: number;
  dropped: boolean;
}

/** Signatures kept for one function. A plan holds memory for its intermediate values, and the constants that it uses. */
const mostEntries = 64;

/** The compiled traces of one function by signature, those used last at the end. */
export class TraceCache {
  readonly #entries = new Map<string, Entry>();

  /** Calls `run` with the trace of a signature, which `make` makes where it is not known. */
  async use<T>(
    key: string,
    make: () => Promise<CompiledTrace>,
    run: (trace: CompiledTrace) => Promise<T>,
  ): Promise<T> {
    const entry = this.#entries.get(key) ?? { trace: make(), made: undefined, users: 0, dropped: false };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size > mostEntries) this.#drop(this.#entries.keys().next().value!);
    entry.users++;
    try {
      entry.made = await entry.trace.catch((error: unknown) => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
        throw error;
      });
      return await run(entry.made);
    } finally {
      entry.users--;
      disposeIfIdle(entry);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key)!;
    this.#entries.delete(key);
    entry.dropped = true;
    disposeIfIdle(entry);
  }

  /** Gives everything back, as soon as the calls under way are done with it. */
  clear(): void {
    for (const key of [...this.#entries.keys()]) this.#drop(key);
  }
}

/** A trace that is still being made has a user: the call that asked for it. */
function disposeIfIdle(entry: Entry): void {
  if (entry.dropped && entry.users === 0) entry.made?.dispose();
}
