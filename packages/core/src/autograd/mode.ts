import { context } from '../tensor/context.ts';
import { isPromise } from '../tensor/describe.ts';

/** A call that runs with gradients on or off. Open regions form a list, because asynchronous ones need not close in order. */
interface Region {
  /** What holds outside, and again when the region closes. */
  outside: boolean;
}

const open: Region[] = [];

function leave(region: Region): void {
  const at = open.indexOf(region);
  const next = open[at + 1];
  if (next) next.outside = region.outside;
  else context.gradEnabled = region.outside;
  open.splice(at, 1);
}

/** @internal Runs `fn` with gradients on or off, and restores what was when it returns, or when its promise settles. */
export function withGradients<T>(enabled: boolean, fn: () => T): T {
  const region: Region = { outside: context.gradEnabled };
  open.push(region);
  context.gradEnabled = enabled;
  let result: T;
  try {
    result = fn();
  } catch (error) {
    leave(region);
    throw error;
  }
  if (isPromise(result))
    return result.then(
      (value) => {
        leave(region);
        return value;
      },
      (error: unknown) => {
        leave(region);
        throw error;
      },
    ) as T;
  leave(region);
  return result;
}

/**
 * Runs `fn` without recording gradients: what it computes is constant to a later `backward()`, and no intermediate value
 * is kept for one.
 *
 * `fn` may be async; the region then lasts until its promise settles. The switch is one for the whole program, so while
 * such a region waits, whatever else runs is inside it too: await it before you compute something that needs gradients.
 *
 * @example
 * const accuracy = await noGrad(async () => correct(model.forward(images), labels).mean().item());
 */
export const noGrad = <T>(fn: () => T): T => withGradients(false, fn);

/** Runs `fn` with gradients recorded, inside of `noGrad` too. Async functions as with {@link noGrad}. */
export const enableGrad = <T>(fn: () => T): T => withGradients(true, fn);
