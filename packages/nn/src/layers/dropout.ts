import { ArgumentError, dropout, type Generator, type Tensor } from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';
import { Module } from '../module.ts';

export interface DropoutOptions {
  /** What says which elements go. Default: the generator that `manualSeed` seeds. */
  readonly generator?: Generator | undefined;
}

const dropoutOptions: OptionNames<DropoutOptions> = { generator: true };

/**
 * In training each element becomes 0 with probability p, and `x / (1 - p)` otherwise; in `eval()` it stays.
 * Shape (...) -> the same.
 *
 * @throws ArgumentError unless 0 <= p <= 1.
 */
export class Dropout extends Module {
  readonly #p: number;
  readonly #generator: Generator | undefined;

  constructor(p = 0.5, options: DropoutOptions = {}) {
    super();
    checkOptions('Dropout', options, dropoutOptions);
    this.#p = checkProbability('Dropout', p);
    this.#generator = options.generator;
  }

  override forward(x: Tensor): Tensor {
    return dropout(x, this.#p, { training: this.training, generator: this.#generator });
  }
}

/** @throws ArgumentError unless 0 <= p <= 1. */
export function checkProbability(op: string, p: number): number {
  if (p >= 0 && p <= 1) return p;
  throw new ArgumentError(`${op}: probability ${p}`, {
    op,
    received: p,
    fix: 'a probability lies between 0 and 1',
  });
}
