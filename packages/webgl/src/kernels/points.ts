/** From the number of a quad of points to their index variables. */
import { bare, type IndexVariable, type Scope } from '@tutti/core/backend';
import type { Width } from './functions/index.ts';
import { typeName } from './types.ts';
import type { Values } from './values.ts';

const lanes = 'ivec4(0, 1, 2, 3)';

/**
 * Declares those variables of the space that are `used`, `point` among them, and binds them in `scope`. Lanes behind the last point
 * have its position.
 */
export function declarePoints(
  values: Values,
  scope: Scope,
  quad: string,
  used: ReadonlySet<IndexVariable>,
): void {
  const { lanes: plan, code } = values;
  const { dimensions, inner, point } = plan;
  const isDimension = (variable: IndexVariable): boolean => dimensions.includes(variable);
  scope.bind(plan.quad, quad);
  const byPoint = !inner && dimensions.some((variable) => used.has(variable));
  if (used.has(point) || byPoint) {
    const name = code.variable('point');
    const all = `${quad === '0' ? '' : `${quad} * 4 + `}${lanes}`;
    code.line(`ivec4 ${name} = ${point.extent % 4 === 0 ? all : `min(${all}, ${point.extent - 1})`};`);
    scope.bind(point, name);
    if (byPoint) decode(values, scope, name, 'vector', dimensions, used);
  }
  if (!inner || inner.number === plan.quad) return;
  const rows = [...dimensions.slice(0, -1), inner.number];
  const needed = new Set(used);
  if (used.has(inner.variable)) needed.add(inner.number);
  if ([...needed].some((variable) => isDimension(variable) || variable === inner.number))
    decode(values, scope, quad, 'scalar', rows, needed);
  if (used.has(inner.variable)) {
    const name = code.variable(inner.variable.name);
    code.line(`ivec4 ${name} = ${scope.variables.get(inner.number)![0]} * 4 + ${lanes};`);
    scope.bind(inner.variable, name);
  }
}

/** Binds those of `variables` that are used, at a row-major position. */
function decode(
  values: Values,
  scope: Scope,
  position: string,
  width: Width,
  variables: readonly IndexVariable[],
  used: ReadonlySet<IndexVariable>,
): void {
  const { code, arithmetic } = values;
  const type = typeName('i32', width);
  const long = variables.filter(({ extent }) => extent > 1);
  for (const variable of variables) if (variable.extent === 1) scope.bind(variable, '0');
  const outermost = long.findIndex((variable) => used.has(variable));
  let rest = position;
  /** What `rest` is less than. */
  let bound = long.reduce((product, { extent }) => product * extent, 1);
  for (let i = long.length - 1; i >= outermost && outermost >= 0; i--) {
    const variable = long[i]!;
    if (i === 0) {
      scope.bind(variable, rest);
      return;
    }
    const whole = { text: rest, width };
    if (used.has(variable)) {
      const name = code.variable(variable.name);
      code.line(`${type} ${name} = ${bare(arithmetic.divide(whole, variable.extent, bound, 'remainder'))};`);
      scope.bind(variable, name);
    }
    if (i > outermost) {
      rest = code.keep(type, 'q', arithmetic.divide(whole, variable.extent, bound, 'quotient'));
      bound /= variable.extent;
    }
  }
}
