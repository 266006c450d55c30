/** Turns of the event loop in which the page can do other things in between. */

const waiting: (() => void)[] = [];
let channel: MessageChannel | undefined;

/** Runs an action in a task of its own, as soon as possible: timers wait for milliseconds, and for a second in hidden pages. */
export function nextTask(action: () => void): void {
  if (!channel) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => waiting.shift()?.();
  }
  waiting.push(action);
  channel.port2.postMessage(0);
}

const isHidden = (): boolean =>
  (globalThis as { document?: Document }).document?.visibilityState === 'hidden';

/** Runs an action about a millisecond later. Between the timer and the action is a task, so that browsers do not count nested timers. */
export function soon(action: () => void): void {
  if (isHidden()) nextTask(action);
  else setTimeout(() => nextTask(action), 1);
}

/** Actions one after the other, each in a task of its own. */
export class TaskQueue {
  readonly #actions: (() => void)[] = [];
  #running = false;

  add(action: () => void): void {
    this.#actions.push(action);
    if (this.#running) return;
    this.#running = true;
    nextTask(this.#next);
  }

  readonly #next = (): void => {
    this.#actions.shift()?.();
    this.#running = this.#actions.length > 0;
    if (this.#running) nextTask(this.#next);
  };
}
