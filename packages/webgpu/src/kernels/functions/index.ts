/** The library of WGSL functions that generated code draws from: only what is called is put into a module. */
import { type BitsName, bitsFunctions } from './bits.ts';
import { type CastName, castFunctions } from './casts.ts';
import { type ErrorFunctionName, errorFunctions } from './error-function.ts';
import { type ExponentialName, exponentialFunctions } from './exponential.ts';
import type { Functions } from './function.ts';
import { type HalvesName, halvesFunctions } from './halves.ts';
import { type KeyName, keyFunctions } from './keys.ts';
import { type LogarithmName, logarithmFunctions } from './logarithm.ts';
import { type PowerName, powerFunctions } from './power.ts';
import { type RemainderName, remainderFunctions } from './remainder.ts';
import { type TrigonometryName, trigonometryFunctions } from './trigonometry.ts';

export { floatLiteral } from './function.ts';

export type FunctionName =
  | BitsName
  | CastName
  | ErrorFunctionName
  | ExponentialName
  | HalvesName
  | KeyName
  | LogarithmName
  | PowerName
  | RemainderName
  | TrigonometryName;

const functions: Functions<FunctionName> = {
  ...bitsFunctions,
  ...castFunctions,
  ...errorFunctions,
  ...exponentialFunctions,
  ...halvesFunctions,
  ...keyFunctions,
  ...logarithmFunctions,
  ...powerFunctions,
  ...remainderFunctions,
  ...trigonometryFunctions,
};

/** The functions that `text` calls, and those that they call, callees first. */
export function calledFunctions(text: string): readonly string[] {
  const found = new Set<string>();
  const collect = (caller: string): void => {
    for (const [, name] of caller.matchAll(/\b([a-z]\w*)\(/g)) {
      if (!Object.hasOwn(functions, name!) || found.has(functions[name as FunctionName])) continue;
      const callee = functions[name as FunctionName];
      if (callee === caller) continue;
      collect(callee);
      found.add(callee);
    }
  };
  collect(text);
  return [...found];
}
