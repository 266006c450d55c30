/** Comparisons, logic and choice: operators on scalars, functions of other names on vectors. */
import type { Functions, FunctionText } from './function.ts';

type Ordered = 'f32' | 'i32' | 'u32';
export type BasicsName =
  | `${'lt' | 'le' | 'eq'}_${Ordered}`
  | `select_${Ordered | 'bool'}`
  | 'both'
  | 'either'
  | 'differ'
  | 'negated'
  | 'any_of';

const builtins = { lt: ['<', 'lessThan'], le: ['<=', 'lessThanEqual'], eq: ['==', 'equal'] } as const;
const types = { f32: ['float', 'vec4'], i32: ['int', 'ivec4'], u32: ['uint', 'uvec4'] } as const;

function comparison(operation: keyof typeof builtins, type: Ordered): FunctionText {
  const name = `${operation}_${type}`;
  const [operator, builtin] = builtins[operation];
  const [scalar, vector] = types[type];
  return {
    scalar: `bool ${name}(${scalar} a, ${scalar} b) {
  return a ${operator} b;
}`,
    vector: `bvec4 ${name}(${vector} a, ${vector} b) {
  return ${builtin}(a, b);
}`,
  };
}

/** Both sides are there before the choice, so that it is one and no branch. */
function choice(name: string, scalar: string, vector: string): FunctionText {
  const lanes = ['x', 'y', 'z', 'w'].map((c) => `c.${c} ? b.${c} : a.${c}`).join(', ');
  return {
    scalar: `${scalar} ${name}(${scalar} a, ${scalar} b, bool c) {
  return c ? b : a;
}`,
    vector: `${vector} ${name}(${vector} a, ${vector} b, bvec4 c) {
  return ${vector === 'vec4' ? 'mix(a, b, c)' : `${vector}(${lanes})`};
}`,
  };
}

function logic(name: string, operator: string): FunctionText {
  const lanes = ['x', 'y', 'z', 'w'].map((c) => `a.${c} ${operator} b.${c}`).join(', ');
  return {
    scalar: `bool ${name}(bool a, bool b) {
  return a ${operator} b;
}`,
    vector: `bvec4 ${name}(bvec4 a, bvec4 b) {
  return bvec4(${lanes});
}`,
  };
}

export const basicFunctions: Functions<BasicsName> = {
  lt_f32: comparison('lt', 'f32'),
  le_f32: comparison('le', 'f32'),
  eq_f32: comparison('eq', 'f32'),
  lt_i32: comparison('lt', 'i32'),
  le_i32: comparison('le', 'i32'),
  eq_i32: comparison('eq', 'i32'),
  lt_u32: comparison('lt', 'u32'),
  le_u32: comparison('le', 'u32'),
  eq_u32: comparison('eq', 'u32'),
  select_f32: choice('select_f32', 'float', 'vec4'),
  select_i32: choice('select_i32', 'int', 'ivec4'),
  select_u32: choice('select_u32', 'uint', 'uvec4'),
  select_bool: choice('select_bool', 'bool', 'bvec4'),
  both: logic('both', '&&'),
  either: logic('either', '||'),
  differ: logic('differ', '^^'),
  negated: {
    scalar: `bool negated(bool a) {
  return !a;
}`,
    vector: `bvec4 negated(bvec4 a) {
  return not(a);
}`,
  },
  any_of: {
    scalar: `bool any_of(bool a) {
  return a;
}`,
    vector: `bool any_of(bvec4 a) {
  return any(a);
}`,
  },
};
