/**
 * How the code of one phase sees expressions: where each may be computed, and in what form.
 *
 * Depths are the scopes of the generated function: 0 once for each call, 1 once for each row of the space, 2 once for each
 * point (or group of four), 3 and up inside the phase's loops. An expression lives at the depth of the deepest variable under it.
 *
 * In vector code one variable, the lens's `vector`, stands for four consecutive values, one in each lane. What depends on it *varies*
 * and is a vector; the rest stays scalar, and is splat where vectors need it.
 */
import { type Expression, type IndexVariable, InternalError, type LoadExpression } from '@tutti/core/backend';
import type { Graph, GraphPhase } from './graph.ts';

/** `splat`: a scalar in all four lanes. A bool is 0 or 1 as a scalar, and all bits of its lane in a vector. */
export type Form = 'scalar' | 'splat' | 'vector';

export interface Use {
  readonly expression: Expression;
  readonly form: Form;
}

/** Where the element of a load or store is. */
export type Access =
  /** At `base + walk * step` bytes, where `walk` is the lens's walking variable. */
  | { readonly kind: 'walk'; readonly base: Expression; readonly step: number }
  /** At one address for all lanes. */
  | { readonly kind: 'fixed'; readonly address: Expression }
  /** Each lane has its own address. */
  | { readonly kind: 'lanes'; readonly addresses: Expression };

export class Lens {
  readonly graph: Graph;
  readonly phase: GraphPhase;
  /** The variable whose values are in the lanes; undefined in scalar code. */
  readonly vector: IndexVariable | undefined;
  /** The variable in which addresses advance: `vector`, or the innermost one. */
  readonly walk: IndexVariable;
  /** Depth of the phase's body. */
  readonly bodyDepth: number;
  readonly #variableDepths = new Map<IndexVariable, number>();
  readonly #depths = new Map<Expression, number>();
  readonly #varying = new Map<Expression, boolean>();
  readonly #accumulatorsVary: boolean;

  constructor(graph: Graph, phase: GraphPhase, vector?: IndexVariable) {
    this.graph = graph;
    this.phase = phase;
    this.vector = vector;
    const inner = graph.space.at(-1)!;
    this.walk = vector ?? phase.loops.at(-1) ?? inner;
    for (const variable of graph.space) this.#variableDepths.set(variable, variable === inner ? 2 : 1);
    for (const [i, loop] of phase.loops.entries()) this.#variableDepths.set(loop, 3 + i);
    this.bodyDepth = 2 + phase.loops.length;
    this.#accumulatorsVary = vector === inner;
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
    switch (e.op) {
      case 'const':
      case 'scalar':
        return 0;
      case 'accumulator':
        return 2;
      case 'index': {
        const depth = this.#variableDepths.get(e.variable);
        if (depth === undefined) throw new InternalError(`index variable ${e.variable.name} is not in scope`);
        return depth;
      }
      case 'load': {
        // In a sequential map an earlier iteration may have stored to what this one loads.
        const pinned =
          this.phase.kind === 'map' &&
          this.phase.order === 'sequential' &&
          !this.graph.places[e.buffer]!.constant;
        return pinned ? this.bodyDepth : Math.max(this.depth(e.index), e.guard ? this.depth(e.guard) : 0);
      }
      case 'alu':
        return e.args.reduce((deepest, arg) => Math.max(deepest, this.depth(arg)), 0);
    }
  }

  varies(expression: Expression): boolean {
    if (!this.vector) return false;
    let varies = this.#varying.get(expression);
    if (varies === undefined) {
      varies = this.#variesOf(expression);
      this.#varying.set(expression, varies);
    }
    return varies;
  }

  #variesOf(e: Expression): boolean {
    switch (e.op) {
      case 'const':
      case 'scalar':
        return false;
      case 'accumulator':
        return this.#accumulatorsVary;
      case 'index':
        return e.variable === this.vector;
      case 'load':
        return this.varies(e.index) || (e.guard !== undefined && this.varies(e.guard));
      case 'alu':
        return e.args.some((arg) => this.varies(arg));
    }
  }

  access(place: number, index: Expression): Access {
    const { builder, places } = this.graph;
    const address = builder.elementAddress(place, places[place]!.dtype, index);
    const step = builder.stride(address, this.walk);
    if (step === undefined)
      return this.vector ? { kind: 'lanes', addresses: address } : { kind: 'fixed', address };
    // An accumulator in an address is constant along the walk, and yet differs between lanes.
    if (step === 0)
      return this.varies(address) ? { kind: 'lanes', addresses: address } : { kind: 'fixed', address };
    const base = builder.atZero(address, this.walk);
    if (this.varies(base)) return { kind: 'lanes', addresses: address };
    return { kind: 'walk', base, step };
  }

  /** In the form that vector code wants: varying values as vectors, others splat. */
  use(expression: Expression): Use {
    if (!this.vector) return { expression, form: 'scalar' };
    return { expression, form: this.varies(expression) ? 'vector' : 'splat' };
  }

  /** A condition or an address: scalar unless it varies. */
  control(expression: Expression): Use {
    return { expression, form: this.varies(expression) ? 'vector' : 'scalar' };
  }

  accessUse(access: Access): Use {
    if (access.kind === 'walk') return { expression: access.base, form: 'scalar' };
    if (access.kind === 'fixed') return { expression: access.address, form: 'scalar' };
    return { expression: access.addresses, form: 'vector' };
  }

  /** What computing `use` reads, in the order that the generator reads it. */
  inputs({ expression, form }: Use): readonly Use[] {
    if (form === 'splat') return [{ expression, form: 'scalar' }];
    switch (expression.op) {
      case 'load':
        return this.#loadInputs(expression);
      case 'alu': {
        if (form === 'scalar')
          return expression.args.map((arg): Use => ({ expression: arg, form: 'scalar' }));
        if (expression.alu === 'shl' || expression.alu === 'shr') {
          const [value, amount] = expression.args as [Expression, Expression];
          return this.varies(amount)
            ? expression.args.map((arg) => this.use(arg))
            : [this.use(value), this.control(amount)];
        }
        return expression.args.map((arg) => this.use(arg));
      }
      default:
        return [];
    }
  }

  #loadInputs(load: LoadExpression): readonly Use[] {
    const address = this.accessUse(this.access(load.buffer, load.index));
    return load.guard ? [address, this.control(load.guard)] : [address];
  }
}
