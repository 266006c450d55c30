/** Conditions on data that were computed along with results, looked at when a result is read. */
import type { Backend, DeviceBuffer, TuttiError } from '../backend/index.ts';
import type { Verdict } from '../tensor/verdict.ts';

interface Outstanding {
  readonly flag: DeviceBuffer;
  readonly error: () => TuttiError;
  readonly verdict: Verdict;
}

/** So many may be waiting before they are read without being asked for. */
const mostOutstanding = 256;

/** The checks of one device that nobody has looked at yet, oldest first. */
export class Checks {
  #outstanding: Outstanding[] = [];
  #verdicts: Verdict[] = [];
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Takes ownership of the flags. */
  add(checks: readonly { readonly flag: DeviceBuffer; readonly error: () => TuttiError }[], verdict: Verdict): void {
    for (const check of checks) this.#outstanding.push({ ...check, verdict });
    this.#verdicts.push(verdict);
    if (this.#outstanding.length > mostOutstanding) void this.settle().catch(() => {}); // the reader of a result is told
  }

  #take(): { outstanding: Outstanding[]; verdicts: Verdict[] } {
    const taken = { outstanding: this.#outstanding, verdicts: this.#verdicts };
    this.#outstanding = [];
    this.#verdicts = [];
    return taken;
  }

  #judge({ error, verdict, flag }: Outstanding, bytes: Uint8Array): void {
    if (bytes[0] !== 0) verdict.error ??= error();
    this.#backend.free(flag);
  }

  async settle(): Promise<void> {
    const { outstanding, verdicts } = this.#take();
    const flags = await Promise.all(outstanding.map(({ flag }) => this.#backend.read(flag, 0, 1)));
    for (const [i, check] of outstanding.entries()) this.#judge(check, flags[i]!);
    for (const verdict of verdicts) verdict.settle();
  }

  settleSync(): void {
    const { outstanding, verdicts } = this.#take();
    for (const check of outstanding) this.#judge(check, this.#backend.readSync!(check.flag, 0, 1));
    for (const verdict of verdicts) verdict.settle();
  }
}
