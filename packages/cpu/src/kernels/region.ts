/**
 * Evaluation of expressions in one stretch of generated code, under one lens.
 *
 * What is in a local is found in the environment; environments nest as scopes do, so that what an outer scope stored serves
 * all code inside it. Vector code may run several *copies* of its body side by side, each four values of the vector
 * variable further on; what varies is kept for each copy.
 */
import { type Expression, type IndexVariable, InternalError, type LoadExpression } from '@tutti/core/backend';
import type { Local } from '../wasm/index.ts';
import type { Code, Emit } from './code.ts';
import type { Access, Form, Lens, Use } from './lens.ts';
import { loadLanes, loadScalar, loadStrided, moved, type Spot } from './memory.ts';
import { scalarAlu, valueTypeOf } from './scalar-alu.ts';
import type { Schedule } from './schedule.ts';
import { extractLane, splat, vectorAlu } from './vector-alu.ts';

export class Environment {
  readonly #outer: Environment | undefined;
  readonly #known = new Map<string, Map<Expression, Local>>();

  constructor(outer?: Environment) {
    this.#outer = outer;
  }

  find(expression: Expression, form: Form, copy: number): Local | undefined {
    return this.#known.get(slot(form, copy))?.get(expression) ?? this.#outer?.find(expression, form, copy);
  }

  bind(expression: Expression, form: Form, copy: number, local: Local): void {
    const key = slot(form, copy);
    let known = this.#known.get(key);
    if (!known) {
      known = new Map();
      this.#known.set(key, known);
    }
    known.set(expression, local);
  }
}

/** Only vectors differ between copies. */
const slot = (form: Form, copy: number): string => (form === 'vector' ? `vector ${copy}` : form);

/** What a whole function shares: its variables, and where its arguments are. */
export interface Frame {
  readonly code: Code;
  readonly variables: Map<IndexVariable, Local>;
  /** Pushes a scalar parameter, or the address of a place (a negative number). */
  readonly parameter: (param: number) => Emit;
}

export class Region {
  readonly frame: Frame;
  readonly lens: Lens;
  readonly environment: Environment;
  readonly copies: number;

  constructor(frame: Frame, lens: Lens, environment: Environment, copies: number) {
    this.frame = frame;
    this.lens = lens;
    this.environment = environment;
    this.copies = copies;
  }

  /** The same code in a nested scope. */
  inner(environment: Environment): Region {
    return new Region(this.frame, this.lens, environment, this.copies);
  }

  /** Stores what the schedule keeps at this depth and no outer scope holds yet. */
  settle(schedule: Schedule, depth: number): void {
    const { code } = this.frame;
    for (const item of schedule.storedAt(depth)) {
      for (let copy = 0; copy < (item.form === 'vector' ? this.copies : 1); copy++) {
        if (this.environment.find(item.expression, item.form, copy)) continue;
        this.#compute(item, copy)();
        const local = code.fn.local(item.form === 'scalar' ? valueTypeOf(item.expression.type) : 'v128');
        code.fn.set(local);
        this.environment.bind(item.expression, item.form, copy, local);
      }
    }
  }

  value(use: Use, copy: number): Emit {
    const local = this.environment.find(use.expression, use.form, copy);
    return local ? this.frame.code.get(local) : this.#compute(use, copy);
  }

  #compute(use: Use, copy: number): Emit {
    const { code } = this.frame;
    const { expression, form } = use;
    if (expression.op === 'const') return this.#constant(expression.type, expression.value, form);
    if (form === 'splat')
      return splat(code, this.value({ expression, form: 'scalar' }, copy), expression.type);
    switch (expression.op) {
      case 'scalar':
        return this.frame.parameter(expression.param);
      case 'index':
        return this.#index(expression.variable, form, copy);
      case 'load':
        return form === 'scalar' ? this.#loadScalar(expression, copy) : this.#loadVector(expression, copy);
      case 'alu': {
        const inputs = this.lens.inputs(use);
        const operands = inputs.map((input) => this.value(input, copy));
        if (form === 'scalar') return scalarAlu(code, expression, operands);
        return vectorAlu(code, expression, operands, inputs[1]?.form === 'scalar');
      }
      case 'accumulator':
        throw new InternalError(`accumulator ${expression.id} is read before its phase`);
    }
  }

  #constant(type: Expression['type'], value: number, form: Form): Emit {
    const { code } = this.frame;
    if (form === 'scalar') return type === 'f32' ? () => code.fn.f32(value) : code.i32(value);
    if (type === 'f32') return code.f32x4(value);
    return code.i32x4(type === 'bool' ? -value : value | 0);
  }

  #variable(variable: IndexVariable): Emit {
    const local = this.frame.variables.get(variable);
    if (!local) throw new InternalError(`index variable ${variable.name} has no local`);
    return this.frame.code.get(local);
  }

  #index(variable: IndexVariable, form: Form, copy: number): Emit {
    const { code } = this.frame;
    const scalar = this.#variable(variable);
    if (form === 'scalar') return scalar;
    const first = 4 * copy;
    return code.op(
      'i32x4.add',
      code.op('i32x4.splat', scalar),
      code.i32x4(first, first + 1, first + 2, first + 3),
    );
  }

  /** Address of the element that a copy's first lane (or scalar code) accesses. */
  spot(access: Access, copy: number): Spot {
    const { code } = this.frame;
    if (access.kind === 'lanes') throw new InternalError('lanes have no common address');
    if (access.kind === 'fixed')
      return { address: this.value({ expression: access.address, form: 'scalar' }, copy), offset: 0 };
    const variable = this.#variable(this.lens.walk);
    const { step } = access;
    const distance =
      step > 0 && (step & (step - 1)) === 0
        ? code.op('i32.shl', variable, code.i32(Math.log2(step)))
        : code.op('i32.mul', variable, code.i32(step));
    const address = code.op(
      'i32.add',
      this.value({ expression: access.base, form: 'scalar' }, copy),
      distance,
    );
    return this.lens.vector ? moved(code, { address, offset: 0 }, 4 * copy * step) : { address, offset: 0 };
  }

  /** The four addresses of a copy; evaluates what they share at once. */
  spots(access: Access, copy: number): readonly Spot[] {
    const { code } = this.frame;
    if (access.kind === 'lanes') {
      const addresses = code.keep(this.value({ expression: access.addresses, form: 'vector' }, copy));
      return [0, 1, 2, 3].map((lane) => ({ address: extractLane(code, addresses, 'i32', lane), offset: 0 }));
    }
    const first = this.spot(access, copy);
    const address = code.keep(first.address, 'i32');
    const step = access.kind === 'walk' ? access.step : 0;
    return [0, 1, 2, 3].map((lane) => moved(code, { address, offset: first.offset }, lane * step));
  }

  #loadScalar(load: LoadExpression, copy: number): Emit {
    const { code } = this.frame;
    const { lens } = this;
    const spot = this.#scalarSpot(load, copy);
    const value = loadScalar(code, lens.graph.places[load.buffer]!.dtype, spot);
    if (!load.guard) return value;
    const type = valueTypeOf(load.type);
    const zero: Emit = () => (type === 'f32' ? code.fn.f32(0) : code.fn.i32(0));
    return code.branch(this.value({ expression: load.guard, form: 'scalar' }, copy), type, value, zero);
  }

  /** A load that vector code needs once for all lanes does not walk. */
  #scalarSpot(load: LoadExpression, copy: number): Spot {
    return this.spot(this.lens.access(load.buffer, load.index), copy);
  }

  #loadVector(load: LoadExpression, copy: number): Emit {
    const { code } = this.frame;
    const { lens } = this;
    const { dtype } = lens.graph.places[load.buffer]!;
    const access = lens.access(load.buffer, load.index);
    const full: Emit = () => {
      if (access.kind === 'walk') loadStrided(code, dtype, this.spot(access, copy), access.step)();
      else if (access.kind === 'lanes') loadLanes(code, dtype, this.spots(access, copy))();
      else splat(code, loadScalar(code, dtype, this.spot(access, copy)), load.type)();
    };
    if (!load.guard) return full;
    const guard = lens.control(load.guard);
    const zero = code.i32x4(0);
    if (guard.form === 'scalar') return code.branch(this.value(guard, copy), 'v128', full, zero);
    return () => {
      const mask = code.keep(this.value(guard, copy));
      const some: Emit = () =>
        loadLanes(code, dtype, this.spots(access, copy), (lane) => extractLane(code, mask, 'i32', lane))();
      const partial = code.branch(code.op('v128.any_true', mask), 'v128', some, zero);
      code.branch(code.op('i32x4.all_true', mask), 'v128', full, partial)();
    };
  }
}
