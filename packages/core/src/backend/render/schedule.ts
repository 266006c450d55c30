/**
 * The order of evaluation of one phase: every value that it needs, operands first, and which of them get a name.
 *
 * Depths are the scopes of the generated code: 0 is the whole function, 1 one point of the space, and more inside loops. A value lives
 * at the depth of the deepest variable under it, and is named when something deeper uses it (that is what hoists it out of a
 * loop), when it has two users, or when it is a load (which then happens before any store of the same iteration).
 */
import { InternalError } from '../errors.ts';
import { operands } from '../expressions.ts';
import type { Expression, IndexVariable } from '../kernel.ts';

/** Depths of the variables that a phase can name. */
export interface PhaseScopes {
  readonly depths: ReadonlyMap<IndexVariable, number>;
  /** Depth of the innermost scope. */
  readonly body: number;
  /** Depth of accumulators of earlier phases. */
  readonly accumulators: number;
  readonly isMutable: (buffer: number) => boolean;
  /** The depth of what depends on two; the deeper of both unless given. */
  readonly join?: (a: number, b: number) => number;
}

const deeper = (a: number, b: number): number => Math.max(a, b);

export interface Item {
  readonly expression: Expression;
  readonly depth: number;
  named: boolean;
  /** Height of the tree that is written out in one piece. */
  height: number;
}

/** Taller expressions are cut: compilers bound how deep expressions nest. */
const mostHeight = 12;

const isFree = ({ op }: Expression): boolean => op === 'const' || op === 'index' || op === 'accumulator';

export class Schedule {
  /** Operands before users. */
  readonly items: readonly Item[];
  readonly scopes: PhaseScopes;
  readonly #depths = new Map<Expression, number>();
  readonly #known = new Map<Expression, Item>();

  /**
   * @param roots What the phase's body reads.
   * @param kept Roots that are read several times.
   * @param isNamed Values that an earlier phase has named in a scope that is still open.
   */
  constructor(
    scopes: PhaseScopes,
    roots: readonly Expression[],
    kept: ReadonlySet<Expression>,
    isNamed: (e: Expression) => boolean,
  ) {
    this.scopes = scopes;
    const items: Item[] = [];
    const visit = (expression: Expression, userDepth: number): number => {
      if (isNamed(expression) || isFree(expression)) return 0;
      let item = this.#known.get(expression);
      if (item) {
        item.named = true;
        return 0;
      }
      const depth = this.depth(expression);
      const named =
        depth < userDepth || expression.op === 'load' || expression.op === 'scalar' || kept.has(expression);
      item = { expression, depth, named, height: 0 };
      this.#known.set(expression, item);
      for (const operand of operands(expression))
        item.height = Math.max(item.height, visit(operand, depth) + 1);
      items.push(item);
      if (item.height >= mostHeight) item.named = true;
      return item.named ? 0 : item.height;
    };
    for (const root of roots) visit(root, scopes.body);
    this.items = items;
  }

  namedAt(depth: number): readonly Item[] {
    return this.items.filter((item) => item.named && item.depth === depth);
  }

  depth(expression: Expression): number {
    let depth = this.#depths.get(expression);
    if (depth === undefined) {
      depth = this.#depthOf(expression);
      this.#depths.set(expression, depth);
    }
    return depth;
  }

  #depthOf(e: Expression): number {
    const { depths, body, accumulators, isMutable, join = deeper } = this.scopes;
    switch (e.op) {
      case 'const':
      case 'scalar':
        return 0;
      case 'accumulator':
        return accumulators;
      case 'index': {
        const depth = depths.get(e.variable);
        if (depth === undefined) throw new InternalError(`index variable ${e.variable.name} is not in scope`);
        return depth;
      }
      case 'load':
        // What is stored to is loaded where it is wanted, and not before.
        if (isMutable(e.buffer)) return body;
        return e.guard ? join(this.depth(e.index), this.depth(e.guard)) : this.depth(e.index);
      case 'alu':
        return e.args.reduce((deepest, arg) => join(deepest, this.depth(arg)), 0);
    }
  }
}
