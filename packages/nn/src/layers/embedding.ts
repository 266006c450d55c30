import {
  ArgumentError,
  arange,
  detach,
  embedding,
  eq,
  scope,
  type Tensor,
  unsqueeze,
  type Variable,
  where,
} from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';
import * as init from '../init.ts';
import { Module } from '../module.ts';
import { checkSizes, type LayerOptions, layerOptions, parameter } from './parameter.ts';

export interface EmbeddingOptions extends LayerOptions {
  /** An index whose row starts at 0 and is not trained. */
  readonly paddingIndex?: number;
}

const embeddingOptions: OptionNames<EmbeddingOptions> = { ...layerOptions, paddingIndex: true };

/**
 * `y[.., :] = weight[index[..], :]`. Shapes: index (...) of integers, weight (count, features) -> (..., features).
 *
 * The weight starts normal with mean 0 and deviation 1.
 *
 * @throws ArgumentError for a size below 1, or a padding index outside of 0 .. count - 1.
 */
export class Embedding extends Module {
  readonly weight: Variable;
  readonly #paddingIndex: number | undefined;

  constructor(count: number, features: number, options: EmbeddingOptions = {}) {
    super();
    checkOptions('Embedding', options, embeddingOptions);
    checkSizes('Embedding', { count, features });
    const { paddingIndex, generator, device } = options;
    if (
      paddingIndex !== undefined &&
      !(Number.isInteger(paddingIndex) && paddingIndex >= 0 && paddingIndex < count)
    ) {
      throw new ArgumentError(`Embedding: padding index ${paddingIndex} with ${count} rows`, {
        op: 'Embedding',
        received: paddingIndex,
        fix: `the padding index lies between 0 and ${count - 1}`,
      });
    }
    this.#paddingIndex = paddingIndex;
    const first = init.normal([count, features], 0, 1, { generator, device });
    this.weight = parameter(paddingIndex === undefined ? first : withoutRow(first, paddingIndex), 'weight');
  }

  override forward(index: Tensor): Tensor {
    const padding = this.#paddingIndex;
    if (padding === undefined) return embedding(this.weight, index);
    return scope(() => {
      const rows = embedding(this.weight, index);
      return where(unsqueeze(eq(index, padding), -1), detach(rows), rows);
    });
  }
}

function withoutRow(weight: Tensor, row: number): Tensor {
  const result = scope(() => {
    const rows = arange(weight.shape[0]!, undefined, 1, { device: weight.device });
    return where(unsqueeze(eq(rows, row), -1), 0, weight);
  });
  weight.dispose();
  return result;
}
