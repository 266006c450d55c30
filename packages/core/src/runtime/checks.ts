/** Conditions on data that were computed along with results, looked at when a result is read. */
import type { Backend, DeviceBuffer } from '../backend/index.ts';
import type { DataCheck } from '../tensor/node.ts';
import { Outcome, type Verdict } from '../tensor/verdict.ts';

interface Outstanding {
  readonly flag: DeviceBuffer;
  readonly error: DataCheck['error'];
  readonly outcome: Outcome;
  /** Shared by all who wait for this flag. */
  reading: Promise<void> | undefined;
}

/** A flag is a uint32. */
const flagBytes = 4;

/** So many may be waiting before they are read without being asked for. */
const mostOutstanding = 256;

/** The checks of one device that nobody has looked at yet. */
export class Checks {
  readonly #outstanding = new Set<Outstanding>();
  readonly #backend: Backend;
  /** Those that nobody reads yet. */
  #unread = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Takes ownership of the flag. */
  add(flag: DeviceBuffer, error: DataCheck['error']): Outcome {
    const outcome = new Outcome();
    this.#unread++;
    this.#outstanding.add({ flag, error, outcome, reading: undefined });
    return outcome;
  }

  /** Looks at the flags when very many are waiting, so that a program that reads nothing does not collect them for ever. */
  limit(): void {
    if (this.#unread > mostOutstanding) this.settle().catch(() => {}); // the reader of a result is told
  }

  #judge({ outcome, error }: Outstanding, bytes: Uint8Array): void {
    if (outcome.known) return;
    outcome.known = true;
    const flag = new DataView(bytes.buffer, bytes.byteOffset, flagBytes).getUint32(0, true);
    if (flag !== 0) outcome.error = error(flag);
  }

  #forget(check: Outstanding): void {
    if (this.#outstanding.delete(check)) this.#backend.free(check.flag);
  }

  async #read(check: Outstanding): Promise<void> {
    this.#unread--;
    this.#judge(check, await this.#backend.read(check.flag, 0, flagBytes));
    this.#forget(check);
  }

  /** Resolves when everything that is outstanding now is known. */
  async settle(): Promise<void> {
    await Promise.all([...this.#outstanding].map((check) => (check.reading ??= this.#read(check))));
  }

  settleSync(): void {
    for (const check of this.#outstanding) {
      this.#judge(check, this.#backend.readSync!(check.flag, 0, flagBytes));
      if (check.reading) continue; // the buffer cannot be given back yet
      this.#unread--;
      this.#forget(check);
    }
  }
}

/** True when it takes a look at flags to know whether the data was good. */
export const isOpen = (verdict: Verdict): boolean => verdict.some((outcome) => !outcome.known);

/** @throws the error of the first condition that was found broken. */
export function raise(verdict: Verdict | undefined): void {
  const broken = verdict?.find((outcome) => outcome.error);
  if (broken) throw broken.error!;
}
