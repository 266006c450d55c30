import type { TuttiError } from '../backend/index.ts';

/** What is known about the data that some results were computed from. */
export class Verdict {
  error: TuttiError | undefined;
  #parents: readonly Verdict[];

  constructor(parents: readonly Verdict[]) {
    this.#parents = parents;
  }

  /** Takes over an error of what this was computed from, and lets go of the rest. */
  settle(): void {
    this.error ??= this.#parents.find((parent) => parent.error)?.error;
    this.#parents = [];
  }
}
