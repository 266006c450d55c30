import { ArgumentError, GradientError, isFloat } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { context } from '../tensor/context.ts';
import { describe } from '../tensor/describe.ts';
import { type GraphNode, nextNodeId } from '../tensor/node.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { Tensor } from '../tensor/tensor.ts';
import { mapTree, type Tree, treeTensors } from '../tensor/tree.ts';
import { fill } from './arithmetic.ts';
import { checkSeed, pullBack } from './backward.ts';
import { enableGrad } from './mode.ts';
import { releaseKept } from './pass.ts';

/** What a gradient with respect to T looks like: the same tree with a tensor for each tensor, and undefined for other leaves. */
export type GradientOf<T> = T extends Tensor
  ? Tensor
  : T extends (...args: never[]) => unknown
    ? undefined
    : T extends readonly unknown[] | Readonly<Record<string, unknown>>
      ? { -readonly [K in keyof T]: GradientOf<T[K]> }
      : undefined;

/** Positions of the arguments to differentiate with respect to: one, or several. */
export type ArgNums = number | readonly number[];

/** Gradients for arguments of the types A at the positions N. */
export type GradientsAt<A extends readonly unknown[], N extends ArgNums> = N extends number
  ? GradientOf<A[N]>
  : N extends readonly number[]
    ? { -readonly [K in keyof N]: GradientOf<A[N[K] & keyof A]> }
    : never;

export interface GradOptions {
  /** `fn` returns `[value, aux]`; aux comes out beside the gradient and is not differentiated. Default false. */
  readonly hasAux?: boolean;
}

const gradOptions: OptionNames<GradOptions> = { hasAux: true };

/** `x` without its history: the same value, through which no gradient flows. Shape and dtype stay. */
export const detach = (x: Tensor): Tensor => apply('detach', [x], {});

const detached = (tree: Tree): Tree => mapTree(tree, (x) => (x.node.tracked ? detach(x) : x));

/** An application of a function to arguments of which some are watched through `alias` nodes. */
interface Recording {
  /** What the function returned. */
  readonly result: unknown;
  /** The watched arguments, every tensor in them an alias of the caller's. */
  readonly watched: readonly Tree[];
  readonly aliases: ReadonlySet<GraphNode>;
  /** Nodes made by the function are at least this new. */
  readonly since: number;
}

function watch(op: string, tree: Tree, strict: boolean): Tree {
  return mapTree(tree, (x) => {
    if (isFloat(x.dtype)) return apply('alias', [x], {});
    if (!strict) return x;
    throw new GradientError(`${op}: an argument has dtype ${x.dtype}, which has no gradient`, {
      op,
      received: x.dtype,
      fix: 'differentiate with respect to float32 tensors only; other arguments are passed along when argnums leaves them out',
    });
  });
}

function record(
  op: string,
  fn: (...args: never[]) => unknown,
  args: readonly unknown[],
  positions: readonly number[],
  strict: boolean,
): Recording {
  return enableGrad(() => {
    const since = nextNodeId();
    const watched = new Map(positions.map((position) => [position, watch(op, args[position], strict)]));
    const tensors = [...watched.values()].flatMap(treeTensors);
    const aliases = new Set(tensors.map((x) => x.node).filter((node) => node.op === 'alias'));
    const given = args.map((arg, position) => (watched.has(position) ? watched.get(position) : arg));
    const result = fn(...(given as never[]));
    if (typeof (result as { then?: unknown } | null | undefined)?.then === 'function') {
      throw new ArgumentError(`${op}: the function returned a promise`, {
        op,
        fix: 'pass a function that is not async; values are read from what the transformed function returns',
      });
    }
    return { result, watched: positions.map((position) => watched.get(position)), aliases, since };
  });
}

/**
 * True when the results depend on anything else that may be differentiated later: a variable, the argument of an enclosing
 * `grad`. Their gradients must then have gradients, and the recorded graph must live on.
 */
function hasOtherSources(outputs: readonly GraphNode[], aliases: ReadonlySet<GraphNode>): boolean {
  const seen = new Set<GraphNode>();
  const pending = outputs.filter((node) => node.tracked);
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    const inputs = node.inputs.filter((input) => input.tracked);
    if (inputs.length === 0 && !aliases.has(node)) return true;
    pending.push(...inputs);
  }
  return false;
}

/** The pulled gradients in the form of the watched argument; zeros where nothing arrived. */
const gradientTree = (
  watched: Tree,
  aliases: ReadonlySet<GraphNode>,
  pulled: ReadonlyMap<GraphNode, Tensor>,
): Tree =>
  mapTree(
    watched,
    (x) => (aliases.has(x.node) ? (pulled.get(x.node) ?? fill(0, x, x.dtype)) : undefined),
    () => undefined,
  );

function checkScalar(op: string, value: unknown): Tensor {
  if (value instanceof Tensor && value.size === 1 && isFloat(value.dtype)) return value;
  throw new GradientError(`${op}: the function returned ${String(value)}`, {
    op,
    received: value,
    fix: 'return one float tensor of one element, for example with sum() or mean(); use vjp for other results',
  });
}

function checkPositions(op: string, argnums: ArgNums, args: readonly unknown[]): readonly number[] {
  const positions = typeof argnums === 'number' ? [argnums] : argnums;
  for (const position of positions) {
    if (
      Number.isInteger(position) &&
      position >= 0 &&
      position < args.length &&
      treeTensors(args[position]).length > 0
    )
      continue;
    throw new GradientError(`${op}: argument ${position} of ${args.length} holds no tensor`, {
      op,
      received: argnums,
      fix: 'argnums counts from 0 and names arguments that are tensors, or arrays and plain objects of tensors',
    });
  }
  return positions;
}

type AnyFunction = (...args: never[]) => unknown;

function checkTransform(op: string, fn: unknown, options: GradOptions): void {
  checkOptions(op, options, gradOptions);
  if (typeof fn === 'function') return;
  throw new ArgumentError(`${op}: expected a function, received ${describe(fn)}`, {
    op,
    received: fn,
    fix: `write ${op}((x) => loss(x))(x): it takes a function and gives one`,
  });
}

function evaluate(
  op: string,
  fn: AnyFunction,
  argnums: ArgNums,
  options: GradOptions,
  args: readonly unknown[],
) {
  const positions = checkPositions(op, argnums, args);
  const { result, watched, aliases, since } = record(op, fn, args, positions, true);
  const [returned, aux] = (options.hasAux ? result : [result]) as readonly unknown[];
  const value = checkScalar(op, returned);
  const lasting = context.gradEnabled && hasOtherSources([value.node], aliases);
  const seed = fill(1, value, value.dtype);
  const pulled = pullBack([value.node], [seed], (node) => aliases.has(node), lasting);
  const trees = watched.map((tree) => gradientTree(tree, aliases, pulled));
  const gradient = typeof argnums === 'number' ? trees[0] : trees;
  if (!lasting) releaseKept([value.node], since);
  /** What else the function returned, in the form in which it leaves the transform. */
  const leave = (tree: Tree): Tree => (lasting ? tree : detached(tree));
  return { gradient, value: () => leave(value), aux: () => leave(aux) };
}

/**
 * The function that gives the value of `fn` and its gradient: x -> [fn(x), d fn(x) / dx].
 *
 * As {@link grad}, which see. With `hasAux` it gives `[[value, aux], gradient]`.
 *
 * @example
 * const [loss, gradients] = valueAndGrad((p) => model(p, images).sub(labels).square().mean())(parameters);
 */
export function valueAndGrad<A extends readonly unknown[], const N extends ArgNums = 0>(
  fn: (...args: A) => Tensor,
  argnums?: N,
  options?: { readonly hasAux?: false },
): (...args: A) => [value: Tensor, gradient: GradientsAt<A, N>];
export function valueAndGrad<A extends readonly unknown[], Aux, const N extends ArgNums = 0>(
  fn: (...args: A) => readonly [Tensor, Aux],
  argnums: N | undefined,
  options: { readonly hasAux: true },
): (...args: A) => [value: [Tensor, Aux], gradient: GradientsAt<A, N>];
export function valueAndGrad(fn: AnyFunction, argnums: ArgNums = 0, options: GradOptions = {}): AnyFunction {
  checkTransform('valueAndGrad', fn, options);
  return (...args: unknown[]) => {
    const { value, aux, gradient } = evaluate('valueAndGrad', fn, argnums, options, args);
    return [options.hasAux ? [value(), aux()] : value(), gradient];
  };
}

/**
 * The gradient of a function: x -> d fn(x) / dx, where fn gives one float tensor of one element.
 *
 * The gradient has the form of the argument: a tensor of its shape and dtype, or the same arrays and plain objects of them
 * (undefined in place of what is not a tensor). The derivative is with respect to exactly that argument. `fn` may use
 * variables; where it does, the gradient can be differentiated with respect to them, and `grad(grad(f))` is the second
 * derivative. Inside `noGrad` the gradient is a plain value, and memory is given back earlier.
 *
 * @param argnums the position of the argument, default 0, or several, for an array of gradients.
 * @throws GradientError when an argument holds no tensor or one that is not float, or fn gives something else.
 *
 * @example
 * const f = (x) => x.mul(x).mul(x).sum();
 * await grad(f)(tensor([2])).array(); // [12]
 * await grad((x) => grad(f)(x).sum())(tensor([2])).array(); // [12]
 */
export function grad<A extends readonly unknown[], const N extends ArgNums = 0>(
  fn: (...args: A) => Tensor,
  argnums?: N,
  options?: { readonly hasAux?: false },
): (...args: A) => GradientsAt<A, N>;
export function grad<A extends readonly unknown[], Aux, const N extends ArgNums = 0>(
  fn: (...args: A) => readonly [Tensor, Aux],
  argnums: N | undefined,
  options: { readonly hasAux: true },
): (...args: A) => [gradient: GradientsAt<A, N>, aux: Aux];
export function grad(fn: AnyFunction, argnums: ArgNums = 0, options: GradOptions = {}): AnyFunction {
  checkTransform('grad', fn, options);
  return (...args: unknown[]) => {
    const { aux, gradient } = evaluate('grad', fn, argnums, options, args);
    return options.hasAux ? [gradient, aux()] : gradient;
  };
}

/** A handle that is in no scope. */
function ownHandle(x: Tensor): Tensor {
  const own = new Tensor(x.node);
  context.scope?.delete(own);
  return own;
}

/** Pulls a gradient of a result back to the arguments. It may be called more than once. */
export type Pull<A extends readonly unknown[], R> = (gradient?: GradientOf<R>) => {
  -readonly [K in keyof A]: GradientOf<A[K]>;
};

/**
 * The value of fn(...args), and the function that takes a gradient g with respect to it to gᵀ · d fn / d args.
 *
 * fn may give a tensor or a tree of tensors; g has the same form, and may be left out for one tensor of one element. The
 * pull gives an array with one entry for each argument, in its form, with undefined for what is not a float tensor.
 *
 * @throws GradientError from the pull, when the gradient does not have the form, shapes and dtypes of the value.
 *
 * @example
 * const [y, pull] = vjp((a, b) => a.matmul(b), a, b);
 * const [da, db] = pull(onesLike(y));
 */
export function vjp<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  ...args: A
): [value: R, pull: Pull<A, R>] {
  const recording = record(
    'vjp',
    fn,
    args,
    args.map((_, position) => position),
    false,
  );
  const { aliases } = recording;
  const shared =
    context.gradEnabled &&
    hasOtherSources(
      treeTensors(recording.result).map((x) => x.node),
      aliases,
    );
  const value = shared ? recording.result : detached(recording.result);
  // Handles of its own: those of the user may be disposed before the pull is called.
  const result = mapTree(recording.result, ownHandle);
  const watched = recording.watched.map((tree) =>
    mapTree(tree, (x) => (aliases.has(x.node) ? ownHandle(x) : undefined)),
  );
  const pull = (gradient?: unknown): unknown => {
    const { outputs, seeds } = pairs(result, gradient);
    const lasting = context.gradEnabled && (shared || seeds.some((seed) => seed.node.tracked));
    const pulled = pullBack(
      outputs.map((x) => x.node),
      seeds,
      (node) => aliases.has(node),
      lasting,
    );
    return watched.map((tree) => gradientTree(tree, aliases, pulled));
  };
  return [value as R, pull as Pull<A, R>];
}

const floatTensors = (tree: Tree): Tensor[] => treeTensors(tree).filter((x) => isFloat(x.dtype));

/** The float tensors of a result and the seed of each. */
function pairs(result: Tree, gradient: unknown): { outputs: Tensor[]; seeds: Tensor[] } {
  const outputs = floatTensors(result);
  const seeds = result instanceof Tensor ? [gradient as Tensor | undefined] : floatTensors(gradient);
  if (outputs.length !== seeds.length) {
    throw new GradientError(`vjp: ${seeds.length} gradients for ${outputs.length} results`, {
      op: 'vjp',
      fix: 'the gradient has the form of the value: the same arrays and objects, with a tensor for each float tensor',
    });
  }
  return { outputs, seeds: outputs.map((output, i) => checkSeed('vjp', output, seeds[i])) };
}
