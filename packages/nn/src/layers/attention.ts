import {
  ArgumentError,
  add,
  arange,
  chunk,
  dropout,
  le,
  linear,
  matmul,
  mul,
  reshape,
  ShapeError,
  scaledDotProductAttention,
  scope,
  slice,
  softmax,
  type Tensor,
  transpose,
  unsqueeze,
  type Variable,
  where,
} from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';
import * as init from '../init.ts';
import { Module } from '../module.ts';
import { checkProbability } from './dropout.ts';
import { Linear } from './linear.ts';
import { checkSizes, type LayerOptions, layerOptions, parameter } from './parameter.ts';

export interface MultiHeadAttentionOptions extends LayerOptions {
  /** Probability that an attention weight is dropped in training. Default 0. */
  readonly dropout?: number;
  /** Whether the projections have a bias. Default true. */
  readonly bias?: boolean;
  /** True: tensors are (batch, length, features). False: (length, batch, features). Default true, unlike PyTorch. */
  readonly batchFirst?: boolean;
}

export interface AttentionCallOptions {
  /**
   * Broadcasts to (batch, heads, L, S). bool: true where attention is allowed. float: added to the scores. For a mask per
   * sequence of a batch, give it the shape (batch, 1, 1, S).
   */
  readonly mask?: Tensor;
  /** Query i sees keys 0 .. i only. Default false. */
  readonly causal?: boolean;
}

const attentionOptions: OptionNames<MultiHeadAttentionOptions> = {
  ...layerOptions,
  dropout: true,
  bias: true,
  batchFirst: true,
};
const callOptions: OptionNames<AttentionCallOptions> = { mask: true, causal: true };

/**
 * `concat(head_1, .., head_h) W_out^T + b_out`, `head_i = softmax(q_i k_i^T / sqrt(E / h) + mask) v_i`, where q, k and v are
 * projections of query, key and value, cut into h heads (Vaswani et al., 2017).
 *
 * Shapes: query (N, L, E), key and value (N, S, E) -> (N, L, E). Key and value default to the query, which is
 * self-attention. A query that may see no key gives NaN.
 *
 * Parameters: `in_proj_weight` (3E, E), `in_proj_bias` (3E), `out_proj.weight` (E, E), `out_proj.bias` (E). The input
 * projection starts by Xavier's uniform rule with bias 0, the output projection as {@link Linear} does, with bias 0.
 *
 * @throws ArgumentError unless `features` is a multiple of `heads`.
 * @example const y = new MultiHeadAttention(64, 8).call(x, x, x, { causal: true });
 */
export class MultiHeadAttention extends Module<
  [query: Tensor, key?: Tensor, value?: Tensor, options?: AttentionCallOptions]
> {
  readonly inWeight: Variable;
  readonly inBias: Variable | undefined;
  readonly out: Linear;
  readonly #heads: number;
  readonly #dropout: number;
  readonly #batchFirst: boolean;
  readonly #generator: LayerOptions['generator'];

  constructor(features: number, heads: number, options: MultiHeadAttentionOptions = {}) {
    super();
    checkOptions('MultiHeadAttention', options, attentionOptions);
    checkSizes('MultiHeadAttention', { features, heads });
    if (features % heads !== 0) {
      throw new ArgumentError(`MultiHeadAttention: ${features} features in ${heads} heads`, {
        op: 'MultiHeadAttention',
        received: [features, heads],
        fix: 'the number of features is a multiple of the number of heads',
      });
    }
    const { bias = true, batchFirst = true, generator, device } = options;
    this.inWeight = parameter(
      init.xavierUniform([3 * features, features], { generator, device }),
      'in_proj_weight',
    );
    if (bias) this.inBias = parameter(init.zeros([3 * features], { device }), 'in_proj_bias');
    this.out = new Linear(features, features, { bias, generator, device });
    scope(() => this.out.bias?.assign(init.zeros([features], { device })));
    this.#heads = heads;
    this.#dropout = checkProbability('MultiHeadAttention', options.dropout ?? 0);
    this.#batchFirst = batchFirst;
    this.#generator = generator;
  }

  protected override stateName(field: string): string {
    return names[field] ?? field;
  }

  override forward(
    query: Tensor,
    key: Tensor = query,
    value: Tensor = key,
    options: AttentionCallOptions = {},
  ): Tensor {
    checkOptions('MultiHeadAttention', options, callOptions);
    const features = this.out.weight.shape[0]!;
    for (const x of [query, key, value]) checkInput(x, features);
    return scope(() => {
      const turned = (x: Tensor): Tensor => (this.#batchFirst ? x : transpose(x, 0, 1));
      const [q, k, v] = this.#project(query, key, value).map((x) => this.#split(turned(x))) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const heads = this.#attend(q, k, v, options);
      const [batch, , length] = heads.shape;
      const joined = reshape(transpose(heads, 1, 2), [batch!, length!, features]);
      return this.out.call(turned(joined));
    });
  }

  /** Projections to queries, keys and values: one product where all come from one tensor. */
  #project(query: Tensor, key: Tensor, value: Tensor): Tensor[] {
    if (query === key && key === value) return chunk(linear(query, this.inWeight, this.inBias), 3, -1);
    const features = query.shape.at(-1)!;
    return [query, key, value].map((x, i) => {
      const rows = [i * features, (i + 1) * features] as const;
      return linear(x, slice(this.inWeight, [...rows]), this.inBias && slice(this.inBias, [...rows]));
    });
  }

  /** (N, L, E) -> (N, heads, L, E / heads) */
  #split(x: Tensor): Tensor {
    const [batch, length, features] = x.shape as [number, number, number];
    return transpose(reshape(x, [batch, length, this.#heads, features / this.#heads]), 1, 2);
  }

  #attend(q: Tensor, k: Tensor, v: Tensor, options: AttentionCallOptions): Tensor {
    const p = this.training ? this.#dropout : 0;
    if (p === 0) return scaledDotProductAttention(q, k, v, options);
    const scores = mul(matmul(q, transpose(k)), 1 / Math.sqrt(q.shape.at(-1)!));
    const weights = softmax(masked(scores, options));
    return matmul(dropout(weights, p, { generator: this.#generator }), v);
  }
}

const names: Readonly<Record<string, string>> = {
  inWeight: 'in_proj_weight',
  inBias: 'in_proj_bias',
  out: 'out_proj',
};

function checkInput(x: Tensor, features: number): void {
  if (x.rank === 3 && x.shape[2] === features) return;
  throw new ShapeError(`MultiHeadAttention: input of shape [${x.shape}]`, {
    op: 'MultiHeadAttention',
    received: x.shape,
    fix: `the inputs have three axes, the last of ${features} features`,
  });
}

/** Scores (.., L, S) in which what may not be seen is -Infinity. */
function masked(scores: Tensor, { mask, causal = false }: AttentionCallOptions): Tensor {
  let result = scores;
  if (causal) {
    const [length, sources] = scores.shape.slice(-2) as [number, number];
    const position = (count: number): Tensor => arange(0, count, 1, { device: scores.device });
    const seen = le(position(sources), unsqueeze(position(length), -1));
    result = where(seen, result, Number.NEGATIVE_INFINITY);
  }
  if (!mask) return result;
  return mask.dtype === 'bool' ? where(mask, result, Number.NEGATIVE_INFINITY) : add(result, mask);
}
