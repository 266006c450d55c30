/** What was found fastest on which adapter. */

/** The fastest of several ways to compute something, and how long each took. */
export interface TuningChoice {
  readonly variant: string;
  /** Milliseconds of one run, by variant. */
  readonly milliseconds: Readonly<Record<string, number>>;
}

/**
 * Choices by adapter and class of shapes. They are made when a program of a new class is first compiled, by timing it; then they are
 * remembered here, and can be kept for the next process:
 *
 * @example localStorage.setItem('tuning', JSON.stringify(tuning)); // and later: tuning.load(JSON.parse(text))
 */
export class Tuning {
  readonly #choices = new Map<string, TuningChoice>();

  get(key: string): TuningChoice | undefined {
    return this.#choices.get(key);
  }

  set(key: string, choice: TuningChoice): void {
    this.#choices.set(key, choice);
  }

  /** Adds choices that were saved earlier. Those that do not exist any more are made anew. */
  load(saved: Readonly<Record<string, TuningChoice>>): void {
    for (const [key, choice] of Object.entries(saved)) this.#choices.set(key, choice);
  }

  /** Forgets everything: programs that are compiled from now on are timed again. */
  clear(): void {
    this.#choices.clear();
  }

  toJSON(): Record<string, TuningChoice> {
    return Object.fromEntries(this.#choices);
  }
}

/** The choices of all devices that were opened without a `tuning` of their own. */
export const tuning: Tuning = new Tuning();
