/** Rewrites of kernels, with which faults are planted. */
import {
  type AccumulatorExpression,
  type AluExpression,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Kernel,
  type LoadExpression,
  type MapPhase,
  type Phase,
  type ReducePhase,
  type Store,
} from '@tutti/core/backend';

/** Where an expression stands: in what is stored or accumulated, or in the index of a load or store. */
export type Place = 'value' | 'index';

/** What a fault may change; each is given expressions whose operands have been rewritten already. */
export interface Rewrites {
  readonly alu?: (e: AluExpression, build: ExpressionBuilder, place: Place) => Expression;
  readonly load?: (e: LoadExpression, build: ExpressionBuilder, kernel: Kernel) => Expression;
  readonly accumulator?: (
    value: AccumulatorExpression,
    build: ExpressionBuilder,
    kernel: Kernel,
  ) => Expression;
  readonly reduce?: (phase: ReducePhase, build: ExpressionBuilder) => ReducePhase;
  readonly map?: (phase: MapPhase, build: ExpressionBuilder) => MapPhase;
  readonly store?: (store: Store, build: ExpressionBuilder, kernel: Kernel) => Store;
  /** Replaces index variables by expressions, in the phase whose loops they are. */
  readonly variable?: (
    variable: IndexVariable,
    phase: Phase,
    build: ExpressionBuilder,
  ) => Expression | undefined;
}

class Rewriter {
  readonly #build = new ExpressionBuilder();
  readonly #kernel: Kernel;
  readonly #rewrites: Rewrites;
  #phase: Phase | undefined;
  #known = { value: new Map<Expression, Expression>(), index: new Map<Expression, Expression>() };

  constructor(kernel: Kernel, rewrites: Rewrites) {
    this.#kernel = kernel;
    this.#rewrites = rewrites;
  }

  kernel(): Kernel {
    return { ...this.#kernel, phases: this.#kernel.phases.map((phase) => this.#rewritePhase(phase)) };
  }

  #rewritePhase(phase: Phase): Phase {
    this.#phase = phase;
    this.#known = { value: new Map(), index: new Map() };
    if (phase.kind === 'reduce') {
      const accumulators = phase.accumulators.map((a) => ({
        ...a,
        value: this.#expression(a.value, 'value'),
        ...(a.position ? { position: this.#expression(a.position, 'index') } : {}),
      }));
      const made = { ...phase, accumulators };
      return this.#rewrites.reduce?.(made, this.#build) ?? made;
    }
    const stores = phase.stores.map((store) => this.#store(store));
    const made = { ...phase, stores };
    return this.#rewrites.map?.(made, this.#build) ?? made;
  }

  #store(store: Store): Store {
    const made = {
      ...store,
      index: this.#expression(store.index, 'index'),
      value: this.#expression(store.value, 'value'),
      ...(store.guard ? { guard: this.#expression(store.guard, 'index') } : {}),
    };
    return this.#rewrites.store?.(made, this.#build, this.#kernel) ?? made;
  }

  #expression(e: Expression, place: Place): Expression {
    const known = this.#known[place].get(e);
    if (known) return known;
    const made = this.#rebuilt(e, place);
    this.#known[place].set(e, made);
    return made;
  }

  #rebuilt(e: Expression, place: Place): Expression {
    const build = this.#build;
    switch (e.op) {
      case 'const':
        return build.const(e.type, e.value);
      case 'scalar':
        return build.scalar(e.type, e.param);
      case 'index':
        return this.#rewrites.variable?.(e.variable, this.#phase!, build) ?? build.index(e.variable);
      case 'accumulator': {
        const made = build.accumulator(e.type, e.id) as AccumulatorExpression;
        return this.#rewrites.accumulator?.(made, build, this.#kernel) ?? made;
      }
      case 'load': {
        const guard = e.guard && this.#expression(e.guard, 'index');
        const made = build.load(
          e.type,
          e.buffer,
          this.#expression(e.index, 'index'),
          guard,
        ) as LoadExpression;
        return this.#rewrites.load?.(made, build, this.#kernel) ?? made;
      }
      case 'alu': {
        const made = build.alu(
          e.alu,
          e.type,
          ...e.args.map((arg) => this.#expression(arg, place)),
        ) as AluExpression;
        return this.#rewrites.alu?.(made, build, place) ?? made;
      }
    }
  }
}

export const rewriteKernel = (kernel: Kernel, rewrites: Rewrites): Kernel =>
  new Rewriter(kernel, rewrites).kernel();
