/** Chromium's DevTools protocol over a pair of pipes: messages are JSON, each ended by a zero byte. */
import type { Readable, Writable } from 'node:stream';
import { KernelError } from '@tutti/core/backend';

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class DevTools {
  readonly #output: Writable;
  readonly #onEvent: (method: string, params: unknown) => void;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #text = '';

  constructor(output: Writable, input: Readable, onEvent: (method: string, params: unknown) => void) {
    this.#output = output;
    this.#onEvent = onEvent;
    output.on('error', () => {}); // the browser has ended, which whoever started it is told
    input.setEncoding('utf8').on('data', (chunk: string) => this.#receive(chunk));
  }

  /** @throws KernelError with what the browser says. */
  send<R>(method: string, params: object, sessionId?: string): Promise<R> {
    const id = ++this.#last;
    this.#output.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise<R>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
    });
  }

  /** Rejects everything that is waited for. */
  end(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #receive(chunk: string): void {
    const parts = (this.#text + chunk).split('\0');
    this.#text = parts.pop()!;
    for (const part of parts) {
      const { id, method, params, result, error } = JSON.parse(part) as Message;
      if (method !== undefined) this.#onEvent(method, params);
      if (id === undefined) continue;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new KernelError(`the browser refused: ${error.message}`));
      else waiting?.resolve(result);
    }
  }
}
