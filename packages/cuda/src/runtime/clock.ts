/**
 * How far the device is known to be. Whatever is asked of it has a time, in the order of asking; what has passed has passed with all
 * before it.
 */
export class Clock {
  #now = 0;
  #passed = 0;

  /** The time of the last thing that was asked for. */
  get now(): number {
    return this.#now;
  }

  /** The last time that is known to have passed. The device may be further. */
  get passed(): number {
    return this.#passed;
  }

  /** Something more is asked for. */
  tick(): number {
    return ++this.#now;
  }

  /** Something has been seen of the device that came after this time. */
  note(time: number): void {
    this.#passed = Math.max(this.#passed, time);
  }
}
