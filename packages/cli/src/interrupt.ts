/**
 * Ctrl-C. A terminal, a shell and npm may each pass the same one on, so signals that arrive within half a second are one.
 */
const oneInterrupt = 500;

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof exitCodes;

/** Ends the process on an interrupt, after `restore` and after what must not be cut short. */
export class InterruptGuard {
  readonly #restore: () => void;
  readonly #lost: () => string;
  #first: { readonly signal: Signal; readonly time: number } | undefined;
  /** Files being written. */
  #protected = 0;

  /**
   * @param restore Gives the terminal back as it was.
   * @param lost What the interrupt costs, in a few words; empty for nothing.
   */
  constructor(restore: () => void, lost: () => string = () => '') {
    this.#restore = restore;
    this.#lost = lost;
    for (const signal of Object.keys(exitCodes)) process.on(signal, this.#interrupt);
  }

  /** Work that an interrupt waits for, such as writing a file. A second interrupt does not wait. */
  async protect<T>(work: () => Promise<T>): Promise<T> {
    this.#protected++;
    try {
      return await work();
    } finally {
      this.#protected--;
      if (this.#first && this.#protected === 0) this.#exit(this.#first.signal);
    }
  }

  /** Takes the handlers away. */
  release(): void {
    for (const signal of Object.keys(exitCodes)) process.off(signal, this.#interrupt);
  }

  readonly #interrupt = (signal: Signal): void => {
    const time = performance.now();
    const impatient = this.#first !== undefined && time - this.#first.time > oneInterrupt;
    this.#first ??= { signal, time };
    if (this.#protected === 0 || impatient) this.#exit(signal);
  };

  #exit(signal: Signal): never {
    this.#restore();
    const lost = this.#lost();
    process.stderr.write(`interrupted${lost && `: ${lost}`}\n`);
    process.exit(exitCodes[signal]);
  }
}
