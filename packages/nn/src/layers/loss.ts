/** Losses as modules: `loss.call(prediction, target)`. The functions of the same names say more about shapes. */
import {
  binaryCrossEntropyWithLogits,
  type CrossEntropyOptions,
  crossEntropy,
  type HuberOptions,
  huberLoss,
  type LossOptions,
  l1Loss,
  mseLoss,
  type NllOptions,
  nllLoss,
  type Tensor,
} from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';
import { Module } from '../module.ts';

const lossOptions: OptionNames<LossOptions> = { reduction: true };
const huberOptions: OptionNames<HuberOptions> = { ...lossOptions, delta: true };
const nllOptions: OptionNames<NllOptions> = { ...lossOptions, axis: true, ignoreIndex: true };
const crossEntropyOptions: OptionNames<CrossEntropyOptions> = { ...nllOptions, labelSmoothing: true };

abstract class Loss<Options extends LossOptions = LossOptions> extends Module<
  [prediction: Tensor, target: Tensor]
> {
  protected readonly options: Options;

  constructor(options: Options, names: OptionNames<Options>) {
    super();
    checkOptions(new.target.name, options, names);
    this.options = options;
  }
}

/** `-log softmax(prediction)[label]`. Shapes: (N, C, ..) with labels (N, ..) -> (). */
export class CrossEntropyLoss extends Loss<CrossEntropyOptions> {
  constructor(options: CrossEntropyOptions = {}) {
    super(options, crossEntropyOptions);
  }

  override forward(prediction: Tensor, target: Tensor): Tensor {
    return crossEntropy(prediction, target, this.options);
  }
}

/** `-prediction[label]` of log-probabilities. Shapes: (N, C, ..) with labels (N, ..) -> (). */
export class NLLLoss extends Loss<NllOptions> {
  constructor(options: NllOptions = {}) {
    super(options, nllOptions);
  }

  override forward(prediction: Tensor, target: Tensor): Tensor {
    return nllLoss(prediction, target, this.options);
  }
}

/** `(prediction - target)^2`. Shapes: (...) and the same -> (). */
export class MSELoss extends Loss {
  constructor(options: LossOptions = {}) {
    super(options, lossOptions);
  }

  override forward(prediction: Tensor, target: Tensor): Tensor {
    return mseLoss(prediction, target, this.options);
  }
}

/** `|prediction - target|`. Shapes: (...) and the same -> (). */
export class L1Loss extends Loss {
  constructor(options: LossOptions = {}) {
    super(options, lossOptions);
  }

  override forward(prediction: Tensor, target: Tensor): Tensor {
    return l1Loss(prediction, target, this.options);
  }
}

/** `d^2 / 2` where `|d| = |prediction - target|` is at most delta, else `delta * (|d| - delta / 2)`. Shapes as for MSELoss. */
export class HuberLoss extends Loss<HuberOptions> {
  constructor(options: HuberOptions = {}) {
    super(options, huberOptions);
  }

  override forward(prediction: Tensor, target: Tensor): Tensor {
    return huberLoss(prediction, target, this.options);
  }
}

/** `-(y log s + (1 - y) log(1 - s))` with `s = sigmoid(prediction)`. Shapes as for MSELoss. */
export class BCEWithLogitsLoss extends Loss {
  constructor(options: LossOptions = {}) {
    super(options, lossOptions);
  }

  override forward(prediction: Tensor, target: Tensor): Tensor {
    return binaryCrossEntropyWithLogits(prediction, target, this.options);
  }
}
