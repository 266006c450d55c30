/** The library of WGSL functions that generated code draws from: only what is called is put into a module. */
import type { ShaderFeatures } from '../../program.ts';
import { type BitsName, bitsFunctions } from './bits.ts';
import { type CastName, castFunctions } from './casts.ts';
import { type ErrorFunctionName, errorFunctions } from './error-function.ts';
import { type ExponentialName, exponentialFunctions } from './exponential.ts';
import type { Functions } from './function.ts';
import { builtInHalves, type HalvesName, halvesFunctions } from './halves.ts';
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

const withBuiltInHalves: Functions<FunctionName> = { ...functions, ...builtInHalves };

/** The functions that `text` calls, and those that they call, callees first. */
export function calledFunctions(
  text: string,
  { exactHalves }: Pick<ShaderFeatures, 'exactHalves'>,
): readonly string[] {
  const library = exactHalves ? withBuiltInHalves : functions;
  const found = new Set<string>();
  const collect = (caller: string): void => {
    for (const [, name] of caller.matchAll(/\b([a-z]\w*)\(/g)) {
      if (!Object.hasOwn(library, name!)) continue;
      const callee = library[name as FunctionName];
      if (callee === caller || found.has(callee)) continue;
      collect(callee);
      found.add(callee);
    }
  };
  collect(text);
  return [...found];
}
