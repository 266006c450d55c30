/** How far the device has come, and how far ahead of it the program may run. */
import type { Fence } from '../backend.ts';
import type { Health } from './health.ts';

/** A point in the queue whose passing the device reports. */
interface Mark {
  readonly serial: number;
  readonly passed: Promise<void>;
  readonly madeAt: number;
}

/** At most so many marks are ahead of the device before a caller is asked to wait. */
const mostAhead = 3;
/** Work between two marks should keep the device busy for so many milliseconds. */
const [leastBusy, mostBusy] = [4, 16];
const mostDispatches = 4096;

class QueueFence implements Fence {
  readonly #progress: Progress;
  readonly #serial: number;
  readonly pace: Promise<void> | undefined;

  constructor(progress: Progress, serial: number, pace: Promise<void> | undefined) {
    this.#progress = progress;
    this.#serial = serial;
    this.pace = pace;
  }

  /** Asked of the device when somebody looks: that costs as much as some dispatches. */
  get done(): Promise<void> {
    return this.#progress.reached(this.#serial);
  }
}

/**
 * A long queue slows a device down and keeps a page's own drawing waiting; waiting for every submission leaves the device idle. So marks
 * are set in the queue at distances that the device needs about 10 ms for, and a caller that is more than three of them ahead is told.
 */
export class Progress {
  readonly #passing: () => Promise<void>;
  readonly #health: Health;
  #serial = 0;
  #completed = 0;
  /** Not passed yet, oldest first. */
  readonly #marks: Mark[] = [];
  #dispatches = 0;
  #distance = 1;
  #passedAt = 0;

  /** @param passing Settles when everything that has been submitted by now has run, or the device has failed. */
  constructor(passing: () => Promise<void>, health: Health) {
    this.#passing = passing;
    this.#health = health;
  }

  /** Counts a submission and gives its fence. */
  submitted(dispatches: number): Fence {
    const serial = ++this.#serial;
    this.#dispatches += dispatches;
    if (this.#dispatches >= this.#distance) this.#mark();
    const late = this.#marks[this.#marks.length - mostAhead];
    return new QueueFence(this, serial, late?.passed);
  }

  /** Resolves when a submission, and all before it, have run. */
  reached(serial: number): Promise<void> {
    if (serial <= this.#completed) return this.#health.guard(Promise.resolve());
    const mark = this.#marks.find((each) => each.serial >= serial) ?? this.#mark();
    return this.#health.guard(mark.passed).then(() => this.#health.check());
  }

  #mark(): Mark {
    this.#dispatches = 0;
    const serial = this.#serial;
    const passed = this.#passing().then(
      () => this.#pass(mark),
      () => this.#pass(mark), // the device failed, and `health` says how
    );
    const mark: Mark = { serial, passed, madeAt: performance.now() };
    this.#marks.push(mark);
    return mark;
  }

  #pass(mark: Mark): void {
    this.#completed = Math.max(this.#completed, mark.serial);
    this.#marks.splice(this.#marks.indexOf(mark), 1);
    const now = performance.now();
    const busy = now - Math.max(this.#passedAt, mark.madeAt);
    this.#passedAt = now;
    if (busy < leastBusy) this.#distance = Math.min(mostDispatches, this.#distance * 2);
    if (busy > mostBusy) this.#distance = Math.max(1, Math.ceil(this.#distance / 2));
  }
}
