/** Losses. All are computed in float32. */
import { ArgumentError, DTypeError, isFloat, ShapeError } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { describe } from '../tensor/describe.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { formatShape, normalizeAxis, type Shape, sameShape } from '../tensor/shape.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { logistic } from './activation.ts';
import { checkedIndex, requireIndex } from './check-index.ts';
import { le, ne, where } from './compare.ts';
import { composite, withGradient } from './composite.ts';
import { add, div, maximum, mul, sub } from './elementwise.ts';
import { isAt } from './indexing.ts';
import { logSoftmaxOf } from './normalization.ts';
import { commonDType, convert, floatDType, shaped } from './promote.ts';
import { mean, reduceKeeping, sum } from './reduce.ts';

/** What becomes of the losses of the elements: their mean, their sum, or nothing. */
export type Reduction = 'mean' | 'sum' | 'none';

export interface LossOptions {
  /** Default `mean`. */
  readonly reduction?: Reduction | undefined;
}

const lossOptions: OptionNames<LossOptions> = { reduction: true };

function reductionOf(op: string, options: LossOptions): Reduction {
  const reduction = options.reduction ?? 'mean';
  if (['mean', 'sum', 'none'].includes(reduction)) return reduction;
  throw new ArgumentError(`${op}: reduction ${describe(reduction)}`, {
    op,
    received: reduction,
    fix: "use 'mean', 'sum' or 'none'",
  });
}

function reduceLoss(losses: Tensor, reduction: Reduction): Tensor {
  if (reduction === 'none') return losses;
  return reduction === 'sum' ? sum(losses) : mean(losses);
}

/** A loss of one number for each element, from operands of one shape. */
function elementwiseLoss(
  op: string,
  x: Tensor,
  target: Tensor,
  options: LossOptions,
  compute: (x: Tensor, target: Tensor) => Tensor,
): Tensor {
  requireTensor(op, x);
  requireTensor(op, target, 'the target');
  const reduction = reductionOf(op, options);
  if (!sameShape(x.shape, target.shape)) {
    throw new ShapeError(`${op}: shapes ${formatShape(x.shape)} and ${formatShape(target.shape)} differ`, {
      op,
      received: [x.shape, target.shape],
      fix: 'reshape one of them; they are not broadcast, because a forgotten axis would go unnoticed',
    });
  }
  const dtype = floatDType(commonDType(op, [x, target]));
  return composite(() =>
    convert(reduceLoss(compute(convert(x, 'float32'), convert(target, 'float32')), reduction), dtype),
  );
}

/** `(x - target)**2`, reduced to its mean unless said otherwise. @throws ShapeError, ArgumentError */
export function mseLoss(x: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkOptions('mseLoss', options, lossOptions);
  return elementwiseLoss('mseLoss', x, target, options, (value, goal) => {
    const difference = sub(value, goal);
    return mul(difference, difference);
  });
}

/** `|x - target|`, reduced to its mean unless said otherwise. @throws ShapeError, ArgumentError */
export function l1Loss(x: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkOptions('l1Loss', options, lossOptions);
  return elementwiseLoss('l1Loss', x, target, options, (value, goal) => apply('abs', [sub(value, goal)], {}));
}

export interface HuberOptions extends LossOptions {
  /** Where the parabola goes over into lines. Default 1. */
  readonly delta?: number | undefined;
}

const huberOptions: OptionNames<HuberOptions> = { ...lossOptions, delta: true };

/**
 * With d = x - target: `d**2 / 2` where |d| <= delta, else `delta * (|d| - delta / 2)`. Reduced to its mean unless said
 * otherwise. (Huber 1964)
 *
 * @throws ShapeError; ArgumentError unless delta > 0
 */
export function huberLoss(x: Tensor, target: Tensor, options: HuberOptions = {}): Tensor {
  checkOptions('huberLoss', options, huberOptions);
  const { delta = 1 } = options;
  if (!(delta > 0 && delta < Number.POSITIVE_INFINITY)) {
    throw new ArgumentError(`huberLoss: delta is ${describe(delta)}`, {
      op: 'huberLoss',
      received: delta,
      fix: 'delta is above 0',
    });
  }
  return elementwiseLoss('huberLoss', x, target, options, (value, goal) => {
    const difference = sub(value, goal);
    const distance = apply('abs', [difference], {});
    const near = le(distance, delta);
    // Far off, the square is not taken, as it may overflow and 0 times its gradient would be NaN.
    const small = where(near, difference, 0);
    return where(near, mul(mul(small, small), 0.5), mul(sub(distance, delta / 2), delta));
  });
}

/**
 * `-(y log(s) + (1 - y) log(1 - s))` with s = sigmoid(x), as max(x, 0) - x y + log1p(exp(-|x|)): neither overflows nor
 * cancels. y may be any number from 0 to 1. Reduced to its mean unless said otherwise.
 *
 * @throws ShapeError, ArgumentError
 */
export function binaryCrossEntropyWithLogits(x: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkOptions('binaryCrossEntropyWithLogits', options, lossOptions);
  return elementwiseLoss('binaryCrossEntropyWithLogits', x, target, options, (logits, labels) => {
    const value = (): Tensor => {
      const tail = apply('log1p', [apply('exp', [apply('neg', [apply('abs', [logits], {})], {})], {})], {});
      return add(sub(maximum(logits, 0), mul(logits, labels)), tail);
    };
    return withGradient([logits, labels], value, (gradient, _, logit, label) => [
      mul(gradient, sub(logistic(logit!), label!)),
      mul(gradient, apply('neg', [logit!], {})),
    ]);
  });
}

export interface NllOptions extends LossOptions {
  /** Axis of the classes. Default 1, or 0 where there is only one axis. */
  readonly axis?: number | undefined;
  /** A label that counts for nothing: its loss is 0, and a mean leaves it out. */
  readonly ignoreIndex?: number | undefined;
}

export interface CrossEntropyOptions extends NllOptions {
  /** The share, 0 to 1, of the target that is spread evenly over all classes. Default 0. (Szegedy et al. 2016) */
  readonly labelSmoothing?: number | undefined;
}

const nllOptions: OptionNames<NllOptions> = { ...lossOptions, axis: true, ignoreIndex: true };
const crossEntropyOptions: OptionNames<CrossEntropyOptions> = { ...nllOptions, labelSmoothing: true };

/** What the losses over classes have in common. */
interface Classes {
  readonly op: string;
  readonly axis: number;
  readonly count: number;
  readonly reduction: Reduction;
  readonly ignoreIndex: number | undefined;
  readonly smoothing: number;
}

function classesOf(op: string, x: Tensor, options: CrossEntropyOptions): Classes {
  requireTensor(op, x, 'the prediction');
  const { ignoreIndex, labelSmoothing = 0 } = options;
  if (!isFloat(x.dtype)) {
    throw new DTypeError(`${op}: the prediction has dtype ${x.dtype}`, {
      op,
      received: x.dtype,
      fix: 'it is a float; labels come second',
    });
  }
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new ArgumentError(`${op}: labelSmoothing is ${describe(labelSmoothing)}`, {
      op,
      received: labelSmoothing,
      fix: 'it is from 0 to 1',
    });
  }
  if (ignoreIndex !== undefined && !Number.isInteger(ignoreIndex)) {
    throw new ArgumentError(`${op}: ignoreIndex is ${describe(ignoreIndex)}`, {
      op,
      received: ignoreIndex,
      fix: 'it is an integer',
    });
  }
  const axis = normalizeAxis(options.axis ?? (x.rank === 1 ? 0 : 1), x.rank, op);
  return {
    op,
    axis,
    count: x.shape[axis]!,
    reduction: reductionOf(op, options),
    ignoreIndex,
    smoothing: labelSmoothing,
  };
}

const withoutAxis = (shape: Shape, axis: number): number[] => shape.filter((_, i) => i !== axis);

function checkLabels(op: string, x: Tensor, labels: Tensor, axis: number): void {
  requireIndex(op, labels, 'the labels');
  const expected = withoutAxis(x.shape, axis);
  if (sameShape(labels.shape, expected)) return;
  throw new ShapeError(
    `${op}: labels of shape ${formatShape(labels.shape)} for a prediction of shape ${formatShape(x.shape)}`,
    {
      op,
      received: [x.shape, labels.shape],
      fix: `the labels have shape ${formatShape(expected)}, that of the prediction without its class axis ${axis}`,
    },
  );
}

/** -log p of each label, with the class axis gone. Smoothing mixes in the mean over all classes. */
function labelLosses(logProbabilities: Tensor, labels: Tensor, { axis, count, smoothing }: Classes): Tensor {
  const { shape } = logProbabilities;
  // A select summed along the row and not a gather, whose gradient would be a scatter: this one fuses both ways. It is exact,
  // as all other summands are 0.
  const chosen = where(isAt(labels, shape, axis), logProbabilities, 0);
  const picked = apply('neg', [sum(chosen, axis)], {});
  if (smoothing === 0) return picked;
  return sub(mul(picked, 1 - smoothing), mul(sum(logProbabilities, axis), smoothing / count));
}

function reduceLabels(losses: Tensor, labels: Tensor, { ignoreIndex, reduction }: Classes): Tensor {
  if (ignoreIndex === undefined) return reduceLoss(losses, reduction);
  const counts = ne(convert(labels, 'int32'), ignoreIndex);
  const kept = where(counts, losses, 0);
  return reduction === 'mean' ? div(sum(kept), sum(counts)) : reduceLoss(kept, reduction);
}

function lossOfLabels(
  x: Tensor,
  labels: Tensor,
  classes: Classes,
  logProbabilities: (x: Tensor) => Tensor,
): Tensor {
  const { op, axis, count, ignoreIndex } = classes;
  checkLabels(op, x, labels, axis);
  return checkedIndex(labels, { op, name: 'label', extent: count, except: ignoreIndex }, () =>
    composite(() => {
      const losses = labelLosses(logProbabilities(convert(x, 'float32')), labels, classes);
      return convert(reduceLabels(losses, labels, classes), x.dtype);
    }),
  );
}

/**
 * `-x[label]` for log-probabilities x: (N, C) with labels (N) -> [], or (N, C, d..) with labels (N, d..); (N..) with
 * reduction 'none'.
 *
 * @throws IndexError for a label outside 0 .. C-1: at once where the labels are on the host, otherwise when a result is read.
 * @throws ShapeError, ArgumentError, AxisError; DTypeError unless x is a float and the labels are integers.
 */
export function nllLoss(x: Tensor, labels: Tensor, options: NllOptions = {}): Tensor {
  checkOptions('nllLoss', options, nllOptions);
  requireTensor('nllLoss', labels, 'the labels');
  return lossOfLabels(x, labels, classesOf('nllLoss', x, options), (value) => value);
}

/** -sum(p log q) for class probabilities p, averaged over everything but the classes. */
function lossOfProbabilities(
  x: Tensor,
  target: Tensor,
  { op, axis, count, reduction, smoothing, ignoreIndex }: Classes,
): Tensor {
  if (sameShape(target.shape, withoutAxis(x.shape, axis))) requireIndex(op, target, 'the labels');
  if (!sameShape(x.shape, target.shape)) {
    throw new ShapeError(
      `${op}: class probabilities of shape ${formatShape(target.shape)} for a prediction of shape ${formatShape(x.shape)}`,
      {
        op,
        received: [x.shape, target.shape],
        fix: 'probabilities have the shape of the prediction; labels are integers',
      },
    );
  }
  if (ignoreIndex !== undefined) {
    throw new ArgumentError(`${op}: ignoreIndex with class probabilities`, {
      op,
      received: ignoreIndex,
      fix: 'use integer labels',
    });
  }
  return composite(() => {
    const given = convert(target, 'float32');
    const wanted = smoothing === 0 ? given : add(mul(given, 1 - smoothing), smoothing / count);
    const losses = apply(
      'neg',
      [reduceKeeping('reduceSum', mul(wanted, logSoftmaxOf(convert(x, 'float32'), axis)), [axis])],
      {},
    );
    const flat = shaped(losses, withoutAxis(x.shape, axis));
    return convert(reduceLoss(flat, reduction), x.dtype);
  });
}

/**
 * `-log(softmax(x)[label])`: (N, C) with integer labels (N) -> [], or (N, C, d..) with labels (N, d..); (N..) with
 * reduction 'none'. A float target of x's shape holds class probabilities p: `-sum(p log(softmax(x)))`. The result has x's
 * dtype.
 *
 * @throws IndexError for a label outside 0 .. C-1: at once where the labels are on the host, otherwise when a result is read.
 * @throws ShapeError, ArgumentError, AxisError; DTypeError unless x is a float.
 *
 * @example crossEntropy(logits, labels, { labelSmoothing: 0.1 })
 */
export function crossEntropy(x: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  checkOptions('crossEntropy', options, crossEntropyOptions);
  const classes = classesOf('crossEntropy', x, options);
  requireTensor('crossEntropy', target, 'the target');
  if (isFloat(target.dtype)) return lossOfProbabilities(x, target, classes);
  return lossOfLabels(x, target, classes, (value) => logSoftmaxOf(value, classes.axis));
}
