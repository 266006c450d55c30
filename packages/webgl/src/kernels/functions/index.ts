/** The library of GLSL functions that generated code draws from: only what is called is put into a shader. */
import { bare } from '@tutti/core/backend';
import { type BasicsName, basicFunctions } from './basics.ts';
import { type BitsName, bitsFunctions } from './bits.ts';
import { type CastName, castFunctions } from './casts.ts';
import { type ErrorFunctionName, errorFunctions } from './error-function.ts';
import { type ExponentialName, exponentialFunctions } from './exponential.ts';
import type { Functions, FunctionText } from './function.ts';
import { type HalvesName, halvesFunctions } from './halves.ts';
import { type KeyName, keyFunctions } from './keys.ts';
import { type LogarithmName, logarithmFunctions } from './logarithm.ts';
import { type MemoryName, memoryFunctions } from './memory.ts';
import { type PowerName, powerFunctions } from './power.ts';
import { type RemainderName, remainderFunctions } from './remainder.ts';
import { type TrigonometryName, trigonometryFunctions } from './trigonometry.ts';

export { floatLiteral } from './function.ts';

export type FunctionName =
  | BasicsName
  | BitsName
  | CastName
  | ErrorFunctionName
  | ExponentialName
  | HalvesName
  | KeyName
  | LogarithmName
  | MemoryName
  | PowerName
  | RemainderName
  | TrigonometryName;

const functions: Functions<FunctionName> = {
  ...basicFunctions,
  ...bitsFunctions,
  ...castFunctions,
  ...errorFunctions,
  ...exponentialFunctions,
  ...halvesFunctions,
  ...keyFunctions,
  ...logarithmFunctions,
  ...memoryFunctions,
  ...powerFunctions,
  ...remainderFunctions,
  ...trigonometryFunctions,
};

/** One value, or four side by side. */
export type Width = 'scalar' | 'vector';

const types = {
  scalar: { F: 'float', I: 'int', U: 'uint', B: 'bool' },
  vector: { F: 'vec4', I: 'ivec4', U: 'uvec4', B: 'bvec4' },
} as const;

/** Functions that generated code calls, those that they call, and so on. */
export class Library {
  readonly #texts = new Map<string, string>();

  /** A call, with the function seen to. */
  call(name: FunctionName, width: Width, ...args: readonly string[]): string {
    this.#need(name, width);
    return `${name}(${args.map(bare).join(', ')})`;
  }

  /** Everything that is needed, callees first. */
  texts(): string[] {
    return [...this.#texts.values()];
  }

  #need(name: FunctionName, width: Width): void {
    const text = functions[name];
    const key = typeof text === 'object' && 'only' in text ? name : `${name} ${width}`;
    if (this.#texts.has(key)) return;
    const written = textOf(text, width);
    // A template calls functions of its own width; other texts take vectors apart.
    const inner = typeof text === 'string' ? width : 'scalar';
    for (const [, callee] of written.slice(written.indexOf('{')).matchAll(/\b([a-z]\w*)\(/g)) {
      if (Object.hasOwn(functions, callee!)) this.#need(callee as FunctionName, inner);
    }
    this.#texts.set(key, written);
  }
}

function textOf(text: FunctionText, width: Width): string {
  if (typeof text === 'string') return text.replace(/\b[FIUB]\b/g, (type) => types[width][type as 'F']);
  if ('only' in text) return text.only;
  if ('each' in text) return width === 'scalar' ? text.each : laneByLane(text.each);
  return text[width];
}

const vectorOf: Readonly<Record<string, string>> = {
  float: 'vec4',
  int: 'ivec4',
  uint: 'uvec4',
  bool: 'bvec4',
};

/** A function of vectors that calls one of scalars for each of their elements: in a loop, so that it is compiled once. */
function laneByLane(scalar: string): string {
  const [, type, name, parameters] = /^(\w+) (\w+)\(([^)]*)\)/.exec(scalar)!;
  const named = parameters!.split(', ').map((parameter) => parameter.split(' ') as [string, string]);
  const vector = vectorOf[type!]!;
  return `${vector} ${name}(${named.map(([of, as]) => `${vectorOf[of]} ${as}`).join(', ')}) {
  ${vector} result = ${vector}(0);
  for (int lane = 0; lane < 4; lane++) {
    result = ${vector}(result.yzw, ${name}(${named.map(([, as]) => `${as}.x`).join(', ')}));
    ${named.map(([, as]) => `${as} = ${as}.yzwx;`).join('\n    ')}
  }
  return result;
}`;
}
