/** Which part of the suite runs. What does not is told in the report. */
import type { DType } from '@tutti/core/backend';
import type { OpCase, Sample } from '../cases/case.ts';
import { backendModes } from './modes.ts';
import type { Mode } from './report.ts';

export const allModes: readonly Mode[] = [
  'reference',
  'derivative',
  'second derivative',
  ...backendModes,
  'random',
];

/** Those that need a device. The others judge the oracle, which a run with a reference backend does. */
export const deviceModes: readonly Mode[] = [...backendModes, 'random'];

/** Random graphs of each kind, where nothing else is asked for. */
const usualRandomGraphs = 60;

export interface SelectionOptions {
  /** Default: all. */
  readonly modes?: readonly Mode[];
  /** Random graphs of each kind, for each device. Default 60. */
  readonly randomGraphs?: number;
  /**
   * n runs all samples of a case in its first dtype (float32, where the operation has it), and every n-th in each of the
   * others, in turn, so that these run different ones. For devices on which every kernel takes long to compile.
   * Default 1: all samples in all dtypes.
   */
  readonly every?: number;
}

export class Selection {
  readonly modes: readonly Mode[];
  readonly randomGraphs: number;
  readonly #every: number;
  #samples = 0;
  #kept = 0;

  constructor({ modes = allModes, randomGraphs = usualRandomGraphs, every = 1 }: SelectionOptions) {
    this.modes = modes;
    this.randomGraphs = randomGraphs;
    this.#every = every;
  }

  /** The samples of a case that run in a dtype: never none. */
  samplesOf(opCase: OpCase, dtype: DType): readonly Sample[] {
    const all = opCase.samples(dtype);
    const turn = opCase.dtypes.indexOf(dtype);
    const step = turn === 0 ? 1 : Math.min(this.#every, all.length);
    const kept = all.filter((_, i) => (i + turn) % step === 0);
    this.#samples += all.length;
    this.#kept += kept.length;
    return kept;
  }

  /** One sentence for each kind of thing that did not run so far. */
  leftOut(): string[] {
    const modes = allModes.filter((mode) => !this.modes.includes(mode));
    const sentences = modes.length > 0 ? [`modes: ${modes.join(', ')}`] : [];
    if (this.#kept < this.#samples) {
      sentences.push(
        `${this.#samples - this.#kept} of ${this.#samples} samples: in dtypes other than a case's first, ` +
          `each runs every ${ordinal(this.#every)}`,
      );
    }
    if (this.modes.includes('random') && this.randomGraphs < usualRandomGraphs)
      sentences.push(
        `${usualRandomGraphs - this.randomGraphs} of ${usualRandomGraphs} random graphs of each kind`,
      );
    return sentences;
  }
}

const ordinal = (n: number): string => (n === 2 ? '2nd' : n === 3 ? '3rd' : `${n}th`);
