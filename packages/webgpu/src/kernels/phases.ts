/**
 * The phases of a point, one after the other.
 *
 *     one invocation    runs all loops in order
 *     several           each takes every so many-th iteration of the inner loops. What they accumulate is joined through workgroup
 *                       memory, in two steps where they are many: some join a few parts each, then all join those, so that all have
 *                       the result. The order of additions depends on the shape alone.
 */
import {
  type Expression,
  type IndexVariable,
  innerLoops,
  type MapPhase,
  type Phase,
  type PhaseScopes,
  type ReducePhase,
  rootsOf,
  Schedule,
  type Store,
  touches,
} from '@tutti/core/backend';
import type { ShaderFeatures } from '../program.ts';
import { Accumulation } from './accumulate.ts';
import { tailOf } from './flat.ts';
import { type LoopPlan, Loops, type Sharing } from './loops.ts';
import { copiesOf } from './plan.ts';
import { type StoreForms, Stores } from './stores.ts';
import type { Scope, Values } from './values.ts';

export interface RowPhases {
  readonly space: readonly IndexVariable[];
  readonly phases: readonly Phase[];
  readonly forms: StoreForms;
  /** Copies of a phase's body that make words. */
  readonly groups: ReadonlyMap<Phase, number>;
}

/** Invocations that share a point. */
export interface Partners extends Sharing {
  /** Invocations of the workgroup. */
  readonly invocations: number;
  /** The place in workgroup memory of the one with a number among those of this point; both u32. */
  readonly slotOf: (turn: string) => string;
  /** A condition under which the point exists. */
  readonly exists: string | undefined;
}

/** Takes the value of a store that makes a word with those of other points. */
export type Collect = (store: Store, value: string) => void;

/** Parts that one invocation joins one after the other. */
const fewParts = 16;

export class PhaseEmitter {
  readonly #values: Values;
  readonly #row: RowPhases;
  readonly #features: ShaderFeatures;
  readonly #outside: Scope;
  readonly #inside: Scope;

  constructor(
    values: Values,
    row: RowPhases,
    features: ShaderFeatures,
    scopes: { readonly outside: Scope; readonly inside: Scope },
  ) {
    this.#values = values;
    this.#row = row;
    this.#features = features;
    this.#outside = scopes.outside;
    this.#inside = scopes.inside;
  }

  emit(partners?: Partners, collect?: Collect): void {
    const written = new Set<number>();
    for (const phase of this.#row.phases) {
      if (partners && touches(phase, written)) this.#values.code.line('storageBarrier();');
      const plan = this.#loopPlan(phase, partners?.count ?? 1);
      const schedule = this.#schedule(phase, plan);
      this.#values.settle(schedule, this.#outside);
      if (phase.loops.length > 0) this.#values.settle(schedule, this.#inside);
      if (phase.kind === 'reduce') this.#reduce(phase, schedule, plan, partners);
      else this.#map(phase, schedule, plan, partners, collect);
      if (phase.kind === 'map') for (const { buffer } of phase.stores) written.add(buffer);
    }
  }

  #loopPlan(phase: Phase, sharing: number): LoopPlan {
    const count = innerLoops(phase, sharing);
    const outer = phase.loops.slice(0, phase.loops.length - count);
    const inner = phase.loops.slice(phase.loops.length - count);
    const group = this.#row.groups.get(phase) ?? 1;
    const { software } = this.#features;
    if (group > 1) return { outer, inner, copies: group, grouped: true, software };
    return { outer, inner, copies: copiesOf(phase, sharing, this.#features), grouped: false, software };
  }

  #schedule(phase: Phase, plan: LoopPlan): Schedule {
    const depths = new Map<IndexVariable, number>(this.#row.space.map((variable) => [variable, 1]));
    const body = phase.loops.length === 0 ? 1 : 2 + plan.outer.length;
    for (const [i, loop] of plan.outer.entries()) depths.set(loop, 2 + i);
    for (const loop of plan.inner) depths.set(loop, body);
    const { shader } = this.#values;
    const scopes: PhaseScopes = {
      depths,
      body,
      accumulators: 1,
      isMutable: (buffer) => shader.isMutable(buffer),
    };
    // Extremes of floats look at a value twice.
    const kept = phase.kind === 'reduce' ? phase.accumulators.map(({ value }) => value) : [];
    return new Schedule(scopes, rootsOf(phase), new Set<Expression>(kept), (e) => this.#values.isNamed(e));
  }

  #reduce(phase: ReducePhase, schedule: Schedule, plan: LoopPlan, partners: Partners | undefined): void {
    const accumulations = phase.accumulators.map((accumulator) => {
      const [loop] = phase.loops;
      const { position, type } = accumulator;
      // The least integer is a key like others, which an equal one at a lesser position must still replace.
      const ordered =
        phase.loops.length === 1 &&
        position?.op === 'index' &&
        position.variable === loop &&
        (type === 'f32' || type === 'bool');
      return new Accumulation(accumulator, this.#values, ordered);
    });
    for (const each of accumulations) each.declare();
    const body = (): void => {
      for (const each of accumulations) each.update();
    };
    const blocks = {
      begin: () => {
        for (const each of accumulations) each.beginBlock();
      },
      end: () => {
        for (const each of accumulations) each.endBlock();
      },
    };
    new Loops(this.#values, schedule, plan, sharingOf(partners), body, blocks).emit();
    for (const each of accumulations) each.finish();
    if (partners) this.#join(accumulations, partners);
  }

  #join(accumulations: readonly Accumulation[], { count, index, invocations, slotOf }: Partners): void {
    const { code } = this.#values;
    const parts = accumulations.map((each) => each.share(invocations, 'lane'));
    code.line('workgroupBarrier();');
    let left = count;
    if (count > fewParts) {
      // Half of the powers of two in each step.
      const each = 2 ** Math.ceil(Math.log2(count) / 2);
      left = count / each;
      code.block(`if (${index} < ${left})`, () => {
        const turn = code.keep('t', `u32(${index})`);
        for (const part of parts) {
          const joined = part.join(each, (j) => slotOf(`${turn} + ${j} * ${left}u`));
          part.put('lane', joined);
        }
      });
      code.line('workgroupBarrier();');
    }
    for (const [i, part] of parts.entries()) accumulations[i]!.joined(part.join(left, slotOf).result);
  }

  #map(
    phase: MapPhase,
    schedule: Schedule,
    plan: LoopPlan,
    partners: Partners | undefined,
    collect: Collect | undefined,
  ): void {
    const stores = new Stores(this.#values, phase, this.#row.forms);
    const body = (): void => {
      const last = phase.loops.at(-1);
      if (!plan.grouped || !last) {
        stores.emit(collect && phase.loops.length === 0 ? { collect } : {});
        return;
      }
      const [first] = this.#values.scope.variables.get(last)!;
      stores.emit({ tail: tailOf(first!, last.extent, plan.copies) });
    };
    const loops = new Loops(this.#values, schedule, plan, sharingOf(partners), body);
    const alone = partners && phase.loops.length === 0 ? `${partners.index} == 0` : undefined;
    const conditions = [alone, partners?.exists].filter((condition) => condition !== undefined);
    if (conditions.length === 0) loops.emit();
    else this.#values.code.block(`if (${conditions.map((c) => `(${c})`).join(' & ')})`, () => loops.emit());
  }
}

const sharingOf = (partners: Partners | undefined): Sharing => partners ?? { count: 1, index: '0' };
