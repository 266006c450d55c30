/** Whether a device still works, and if not, why. */
import type { TuttiError } from '../errors.ts';

/** The first failure is the one that is told: what comes after it follows from it. */
export class Health {
  #failure: TuttiError | undefined;
  readonly #listeners = new Set<(failure: TuttiError) => void>();

  get failure(): TuttiError | undefined {
    return this.#failure;
  }

  /** @throws the failure. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  fail(failure: TuttiError): void {
    if (this.#failure) return;
    this.#failure = failure;
    for (const listener of this.#listeners) listener(failure);
    this.#listeners.clear();
  }

  /** Rejects with the failure as soon as there is one; otherwise settles as `promise` does. */
  guard<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure);
        promise.catch(() => {});
        return;
      }
      this.#listeners.add(reject);
      const settled = (): unknown => this.#listeners.delete(reject);
      promise.then(
        (value) => {
          settled();
          resolve(value);
        },
        (error: unknown) => {
          settled();
          reject(this.#failure ?? error);
        },
      );
    });
  }

  onFailure(listener: (failure: TuttiError) => void): void {
    this.#listeners.add(listener);
  }
}
