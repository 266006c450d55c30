/** What has a name in generated code, and where. */
import { InternalError } from '../errors.ts';
import type { Expression, IndexVariable } from '../kernel.ts';

/**
 * A scope of generated code. It may hold several *copies* of the body, for several values of its variables: what depends on them is
 * evaluated once for each copy, side by side.
 */
export class Scope {
  readonly depth: number;
  readonly copies: number;
  /** The text of each variable of this scope, for each copy; one text where it is the same for all. */
  readonly variables: Map<IndexVariable, readonly string[]> = new Map();
  readonly names: Map<Expression, readonly string[]> = new Map();

  constructor(depth: number, copies = 1) {
    this.depth = depth;
    this.copies = copies;
  }

  bind(variable: IndexVariable, ...texts: string[]): void {
    this.variables.set(variable, texts);
  }
}

const ofCopy = (texts: readonly string[], copy: number): string => texts[texts.length > 1 ? copy : 0]!;

/** The scopes that are open, and the accumulators that are finished. */
export class Scopes<S extends Scope> {
  readonly #open: S[] = [];
  readonly #accumulators = new Map<number, string>();

  /** The innermost open scope. */
  get scope(): S {
    return this.#open.at(-1)!;
  }

  open(scope: S): void {
    this.#open.push(scope);
  }

  close(): void {
    this.#open.pop();
  }

  isNamed(e: Expression): boolean {
    return this.#open.some((scope) => scope.names.has(e));
  }

  nameOf(e: Expression, copy: number): string | undefined {
    for (let i = this.#open.length - 1; i >= 0; i--) {
      const names = this.#open[i]!.names.get(e);
      if (names) return ofCopy(names, copy);
    }
    return undefined;
  }

  variable(variable: IndexVariable, copy: number): string {
    for (let i = this.#open.length - 1; i >= 0; i--) {
      const texts = this.#open[i]!.variables.get(variable);
      if (texts) return ofCopy(texts, copy);
    }
    throw new InternalError(`index variable ${variable.name} has no value`);
  }

  /** Gives a finished accumulator its name. */
  finish(id: number, name: string): void {
    this.#accumulators.set(id, name);
  }

  accumulator(id: number): string {
    const name = this.#accumulators.get(id);
    if (!name) throw new InternalError(`accumulator ${id} is read before its phase`);
    return name;
  }
}
