/** Activation functions as modules. Shape (...) -> the same. */
import {
  elu,
  gelu,
  leakyRelu,
  logSoftmax,
  relu,
  sigmoid,
  silu,
  softmax,
  softplus,
  type Tensor,
  tanh,
} from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';
import { Module } from '../module.ts';

/** `max(x, 0)` */
export class ReLU extends Module {
  override forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/** `x` above 0, `slope * x` below. */
export class LeakyReLU extends Module {
  readonly #slope: number;

  constructor(slope = 0.01) {
    super();
    this.#slope = slope;
  }

  override forward(x: Tensor): Tensor {
    return leakyRelu(x, this.#slope);
  }
}

/** `x` above 0, `alpha * (exp(x) - 1)` below. */
export class ELU extends Module {
  readonly #alpha: number;

  constructor(alpha = 1) {
    super();
    this.#alpha = alpha;
  }

  override forward(x: Tensor): Tensor {
    return elu(x, this.#alpha);
  }
}

export interface GELUOptions {
  /** Default 'none'. */
  readonly approximate?: 'none' | 'tanh';
}

const geluOptions: OptionNames<GELUOptions> = { approximate: true };

/** `x * (1 + erf(x / sqrt(2))) / 2`, or its approximation with tanh. */
export class GELU extends Module {
  readonly #approximate: 'none' | 'tanh';

  constructor(options: GELUOptions = {}) {
    super();
    checkOptions('GELU', options, geluOptions);
    this.#approximate = options.approximate ?? 'none';
  }

  override forward(x: Tensor): Tensor {
    return gelu(x, { approximate: this.#approximate });
  }
}

/** `x * sigmoid(x)` */
export class SiLU extends Module {
  override forward(x: Tensor): Tensor {
    return silu(x);
  }
}

/** `1 / (1 + exp(-x))` */
export class Sigmoid extends Module {
  override forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

/** `log(1 + exp(x))` */
export class Softplus extends Module {
  override forward(x: Tensor): Tensor {
    return softplus(x);
  }
}

/** `tanh(x)` */
export class Tanh extends Module {
  override forward(x: Tensor): Tensor {
    return tanh(x);
  }
}

/** `exp(x) / sum(exp(x))` along an axis. */
export class Softmax extends Module {
  readonly #axis: number;

  constructor(axis = -1) {
    super();
    this.#axis = axis;
  }

  override forward(x: Tensor): Tensor {
    return softmax(x, this.#axis);
  }
}

/** `x - log(sum(exp(x)))` along an axis. */
export class LogSoftmax extends Module {
  readonly #axis: number;

  constructor(axis = -1) {
    super();
    this.#axis = axis;
  }

  override forward(x: Tensor): Tensor {
    return logSoftmax(x, this.#axis);
  }
}
