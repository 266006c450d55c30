/** Who carries out an assignment, and where. */
import { driverEnvironment } from '@tutti/testbed';
import type { Answer, Assignment } from '../carry-out.ts';
import type { PagePlace, Place } from '../suites.ts';
import { type Pages, servePages } from './page.ts';
import { inFreshProcess } from './process.ts';

/** Carries out one assignment in a process or page of its own. Never rejects for what the library does. */
export type Carrier = (assignment: Assignment, timeout: number) => Promise<Answer>;

/** The carriers of all places. What they need is set up when it is first used, and let go by `close`. */
export class Places {
  #pages: Promise<Pages> | undefined;

  readonly carriers: Readonly<Record<Place, Carrier>> = {
    node: (assignment, timeout) => inFreshProcess('node', assignment, timeout),
    dawn: async (assignment, timeout) =>
      inFreshProcess('dawn', assignment, timeout, await driverEnvironment()),
    webgpuPage: (assignment, timeout) => this.#inPage('webgpuPage', assignment, timeout),
    webglPage: (assignment, timeout) => this.#inPage('webglPage', assignment, timeout),
  };

  async #inPage(place: PagePlace, assignment: Assignment, timeout: number): Promise<Answer> {
    this.#pages ??= servePages();
    return (await this.#pages).measure(place, assignment, timeout);
  }

  async close(): Promise<void> {
    await (await this.#pages)?.close();
  }
}
