/** How far the GPU has come, found out without waiting for it. */
import type { GlContext } from './context.ts';
import { nextTask, soon } from './tasks.ts';

interface Pending {
  readonly sync: WebGLSync;
  readonly settle: () => void;
}

/**
 * For so many milliseconds a fence is asked for in task after task; then about every millisecond. Most single kernels are done by then,
 * and a page still draws its frames.
 */
const eager = 4;

/** Marks in the stream of commands. Nothing in WebGL tells when one is passed, so they are asked for, the oldest first. */
export class Fences {
  readonly #context: GlContext;
  readonly #pending: Pending[] = [];
  #polling = false;
  #since = 0;

  constructor(context: GlContext) {
    this.#context = context;
    context.health.onFailure(() => this.#release());
  }

  /** Resolves when everything so far has run, or the device has failed. */
  insert(): Promise<void> {
    const { gl } = this.#context;
    const sync = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    if (!sync) {
      this.#context.checkLost();
      return Promise.resolve();
    }
    gl.flush();
    return new Promise((settle) => {
      this.#pending.push({ sync, settle });
      if (this.#polling) return;
      this.#polling = true;
      this.#since = performance.now();
      nextTask(this.#poll);
    });
  }

  readonly #poll = (): void => {
    this.#polling = false;
    if (this.#context.checkLost()) return; // which released all
    const { gl } = this.#context;
    for (;;) {
      const oldest = this.#pending[0];
      if (!oldest) return;
      const status = gl.clientWaitSync(oldest.sync, 0, 0);
      if (status === gl.TIMEOUT_EXPIRED) break;
      this.#pending.shift();
      gl.deleteSync(oldest.sync);
      this.#context.checkErrors(this.#pending.length === 0);
      oldest.settle();
      this.#since = performance.now();
    }
    this.#polling = true;
    if (performance.now() - this.#since < eager) nextTask(this.#poll);
    else soon(this.#poll);
  };

  #release(): void {
    for (const { settle } of this.#pending.splice(0)) settle();
  }
}
