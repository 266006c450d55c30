/** Who carries out an assignment, and where. */
import type { Answer, Assignment } from '../carry-out.ts';
import type { PagePlace, Place } from '../suites.ts';
import { CudaPlace } from './cuda.ts';
import type { Pages } from './page.ts';
import { inFreshProcess } from './process.ts';

/** Carries out one assignment in a process or page of its own. Never rejects for what the library does. */
export type Carrier = (assignment: Assignment, timeout: number) => Promise<Answer>;

export interface PlaceOptions {
  /** The id of the device of a suite that has one. */
  readonly device: string | undefined;
  /** The interpreter that peers in Python run in. */
  readonly python: string;
}

/**
 * The carriers of all places. What they need is imported and set up when it is first used, and let go by `close`: a machine that measures
 * on a GPU has no browser.
 */
export class Places {
  readonly #cuda: CudaPlace;
  #pages: Promise<Pages> | undefined;

  constructor({ device = 'cuda', python }: PlaceOptions) {
    this.#cuda = new CudaPlace(device, python);
  }

  readonly carriers: Readonly<Record<Place, Carrier>> = {
    node: (assignment, timeout) => inFreshProcess({ place: 'node', device: 'cpu', assignment }, timeout),
    dawn: async (assignment, timeout) => {
      const { driverEnvironment } = await import('@tutti/testbed');
      return inFreshProcess(
        { place: 'dawn', device: 'webgpu', assignment },
        timeout,
        await driverEnvironment(),
      );
    },
    cuda: (assignment, timeout) => this.#cuda.carryOut(assignment, timeout),
    webgpuPage: (assignment, timeout) => this.#inPage('webgpuPage', assignment, timeout),
    webglPage: (assignment, timeout) => this.#inPage('webglPage', assignment, timeout),
  };

  async #inPage(place: PagePlace, assignment: Assignment, timeout: number): Promise<Answer> {
    this.#pages ??= import('./page.ts').then(({ servePages }) => servePages());
    return (await this.#pages).measure(place, assignment, timeout);
  }

  async close(): Promise<void> {
    this.#cuda.close();
    await (await this.#pages)?.close();
  }
}
