import type { TuttiError } from '../backend/index.ts';
import type { Tensor } from './tensor.ts';

/**
 * Makes reading `result`, or anything computed from it, throw `error(flag)` when `flag` (uint32, shape []) turns out not to
 * be 0.
 */
export function checkData(result: Tensor, flag: Tensor, error: (flag: number) => TuttiError): Tensor {
  result.node.setCheck({ flag: flag.node, error });
  return result;
}
