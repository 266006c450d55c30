import type { TuttiError } from '../backend/index.ts';
import type { Tensor } from './tensor.ts';

/** Makes reading `result`, or anything computed from it, throw `error()` when `flag` (bool, shape []) turns out true. */
export function checkData(result: Tensor, flag: Tensor, error: () => TuttiError): Tensor {
  const node = result.node;
  flag.node.retain();
  node.check = { flag: flag.node, error };
  return result;
}
