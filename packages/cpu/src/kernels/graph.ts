/**
 * A kernel as the generator sees it: one DAG for the whole function, with memory made explicit.
 *
 * Three things differ from the LoopIR that came in. Loops of equal extents share their variables across phases, so that
 * work which two phases repeat is one node (and can be kept, see `row-cache.ts`). Index arithmetic is folded. And a *place* stands
 * for each memory that is loaded from or stored to: a buffer of the command, the scratch memory of the thread, or the sums
 * that an epilogue starts from; its base address is a scalar like the others, so that addresses are ordinary expressions
 * which hoist and share like the rest.
 */
import {
  type DType,
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  InternalError,
  type Kernel,
  operands,
  type Phase,
  type ScalarType,
  type Store,
  visitExpressions,
} from '@tutti/core/backend';

/** A memory with elements of one dtype. Loads and stores name it by its position in `Graph.places`. */
export interface Place {
  readonly dtype: DType;
  readonly from: 'buffer' | 'scratch' | 'source';
  /** Only read: loads from it may move across stores. */
  readonly constant: boolean;
  /** Bytes from the start of the scratch memory. */
  readonly offset?: number;
}

/** A phase that may also keep values of its row in scratch memory. */
export type GraphPhase = Phase & { readonly keep?: readonly Store[] };

export interface Graph {
  readonly name: string;
  readonly places: readonly Place[];
  readonly scalars: readonly ScalarType[];
  /** At least one variable. */
  readonly space: readonly IndexVariable[];
  readonly phases: readonly GraphPhase[];
  readonly builder: GraphBuilder;
}

/** Folds the index arithmetic that substitution leaves behind. Floats are left alone: their rounding is the user's. */
export class GraphBuilder extends ExpressionBuilder {
  /** The address of a place, as a scalar parameter with a negative number. */
  address(place: number): Expression {
    return this.scalar('i32', -1 - place);
  }

  override alu(...[alu, type, ...args]: Parameters<ExpressionBuilder['alu']>): Expression {
    const [a, b] = args as [Expression, Expression];
    if (type === 'i32' && b !== undefined && args.length === 2) {
      const left = a.op === 'const' ? a.value : undefined;
      const right = b.op === 'const' ? b.value : undefined;
      if (alu === 'add') {
        if (left === 0) return b;
        if (right === 0) return a;
        if (left !== undefined && right !== undefined) return this.int((left + right) | 0);
      } else if (alu === 'sub') {
        if (right === 0) return a;
        if (left !== undefined && right !== undefined) return this.int((left - right) | 0);
      } else if (alu === 'mul') {
        if (left === 0 || right === 0) return this.int(0);
        if (left === 1) return b;
        if (right === 1) return a;
        if (left !== undefined && right !== undefined) return this.int(Math.imul(left, right));
      }
    }
    return super.alu(alu, type, ...args);
  }

  readonly #zeroed = new Map<IndexVariable, Map<Expression, Expression>>();
  readonly #strides = new Map<IndexVariable, Map<Expression, number | undefined>>();

  /** As the contract's `strideOf`, remembered: index arithmetic is a DAG, and walking it as a tree can take forever. */
  stride(expression: Expression, variable: IndexVariable): number | undefined {
    if (expression.op === 'index') return expression.variable === variable ? 1 : 0;
    let known = this.#strides.get(variable);
    if (!known) {
      known = new Map();
      this.#strides.set(variable, known);
    }
    if (known.has(expression)) return known.get(expression);
    const stride = this.#strideOf(expression, variable);
    known.set(expression, stride);
    return stride;
  }

  #strideOf(expression: Expression, variable: IndexVariable): number | undefined {
    const strides = operands(expression).map((operand) => this.stride(operand, variable));
    if (strides.every((stride) => stride === 0)) return 0;
    if (expression.op !== 'alu' || strides.includes(undefined)) return undefined;
    const [a, b] = strides as [number, number];
    const [left, right] = expression.args as [Expression, Expression];
    if (expression.alu === 'add') return a + b;
    if (expression.alu === 'sub') return a - b;
    if (expression.alu === 'mul' && right.op === 'const') return a * right.value;
    if (expression.alu === 'mul' && left.op === 'const') return b * left.value;
    return undefined;
  }

  /** An affine index at `variable` = 0. */
  atZero(expression: Expression, variable: IndexVariable): Expression {
    if (this.stride(expression, variable) === 0) return expression;
    let known = this.#zeroed.get(variable);
    if (!known) {
      known = new Map();
      this.#zeroed.set(variable, known);
    }
    let result = known.get(expression);
    if (!result) {
      result = this.#substitute(expression, variable);
      known.set(expression, result);
    }
    return result;
  }

  #substitute(expression: Expression, variable: IndexVariable): Expression {
    if (expression.op === 'index') return expression.variable === variable ? this.int(0) : expression;
    if (expression.op !== 'alu') throw new InternalError(`a ${expression.op} is not affine`);
    return this.alu(
      expression.alu,
      expression.type,
      ...expression.args.map((arg) => this.atZero(arg, variable)),
    );
  }

  /** The same expression with its operands mapped. */
  rebuild(e: Expression, map: (operand: Expression) => Expression): Expression {
    if (e.op === 'alu') return this.alu(e.alu, e.type, ...e.args.map(map));
    if (e.op === 'load') return this.load(e.type, e.buffer, map(e.index), e.guard && map(e.guard));
    return e;
  }

  /** The byte address of an element, from an index. */
  elementAddress(place: number, dtype: DType, index: Expression): Expression {
    return this.alu(
      'add',
      'i32',
      this.address(place),
      this.alu('mul', 'i32', index, this.int(dtypeInfo[dtype].bytes)),
    );
  }
}

/** Imports a kernel's expressions into a `GraphBuilder`, with its variables mapped to canonical ones. */
class Importer {
  readonly builder: GraphBuilder = new GraphBuilder();
  readonly #known = new Map<Expression, Expression>();
  readonly #variables = new Map<IndexVariable, IndexVariable>();

  map(from: IndexVariable, to: IndexVariable): void {
    this.#variables.set(from, to);
  }

  /** Accumulators of an epilogue become loads. */
  replace(expression: Expression, by: Expression): void {
    this.#known.set(expression, by);
  }

  /** Forgets what was imported when variables change their meaning: between phases that share a variable object. */
  forget(): void {
    this.#known.clear();
  }

  expression(e: Expression): Expression {
    let result = this.#known.get(e);
    if (!result) {
      result = this.#import(e);
      this.#known.set(e, result);
    }
    return result;
  }

  #import(e: Expression): Expression {
    const { builder } = this;
    switch (e.op) {
      case 'const':
        return builder.const(e.type, e.value);
      case 'index':
        if (e.variable.extent === 1) return builder.int(0);
        return builder.index(this.#variables.get(e.variable) ?? e.variable);
      case 'scalar':
        return builder.scalar(e.type, e.param);
      case 'accumulator':
        return builder.accumulator(e.type, e.id);
      case 'load':
        return builder.load(e.type, e.buffer, this.expression(e.index), e.guard && this.expression(e.guard));
      case 'alu':
        return builder.alu(e.alu, e.type, ...e.args.map((arg) => this.expression(arg)));
    }
  }
}

function importPhase(phase: Phase, loops: readonly IndexVariable[], importer: Importer): Phase {
  if (phase.kind === 'reduce') {
    const accumulators = phase.accumulators.map((a) => ({
      ...a,
      value: importer.expression(a.value),
      ...(a.position ? { position: importer.expression(a.position) } : {}),
    }));
    return { ...phase, loops, accumulators };
  }
  const stores = phase.stores.map(
    (s): Store => ({
      ...s,
      index: importer.expression(s.index),
      value: importer.expression(s.value),
      ...(s.guard ? { guard: importer.expression(s.guard) } : {}),
    }),
  );
  return { ...phase, loops, stores };
}

const places = (kernel: Pick<Kernel, 'buffers'>): Place[] =>
  kernel.buffers.map(({ dtype, access }) => ({ dtype, from: 'buffer', constant: access === 'read' }));

const atLeastOne = (space: readonly IndexVariable[]): readonly IndexVariable[] =>
  space.length > 0 ? space : [{ name: 'point', extent: 1 }];

export function importKernel(kernel: Kernel): Graph {
  const importer = new Importer();
  const canonical = new Map<string, readonly IndexVariable[]>();
  const phases = kernel.phases.map((phase) => {
    const key = phase.loops.map((loop) => loop.extent).join(' ');
    let loops = canonical.get(key);
    if (!loops) {
      loops = phase.loops.map(({ name, extent }) => ({ name, extent }));
      canonical.set(key, loops);
    }
    importer.forget();
    for (const [i, loop] of phase.loops.entries()) importer.map(loop, loops[i]!);
    return importPhase(phase, loops, importer);
  });
  return {
    name: kernel.name,
    places: places(kernel),
    scalars: kernel.scalars,
    space: atLeastOne(kernel.space),
    phases,
    builder: importer.builder,
  };
}

/** What `importEpilogue` needs of an anchor. */
interface AnchorParts extends Pick<Kernel, 'buffers' | 'scalars' | 'name'> {
  readonly type: ScalarType;
  readonly space: readonly IndexVariable[];
  /** Undefined: the sum itself. */
  readonly value?: Expression | undefined;
}

/** `out[flat] = value`, with accumulator 0 loaded from the place behind the buffers, at the same flat index. */
export function importEpilogue(anchor: AnchorParts): Graph {
  const importer = new Importer();
  const { builder } = importer;
  const space = atLeastOne(anchor.space);
  const flat = space.reduce<Expression>(
    (index, variable) =>
      builder.alu(
        'add',
        'i32',
        builder.alu('mul', 'i32', index, builder.int(variable.extent)),
        builder.index(variable),
      ),
    builder.int(0),
  );
  const source = anchor.buffers.length;
  const sum = builder.load(anchor.type, source, flat);
  visitExpressions(anchor.value ? [anchor.value] : [], (e) => {
    if (e.op === 'accumulator') importer.replace(e, sum);
  });
  const value = anchor.value ? importer.expression(anchor.value) : sum;
  const dtype = anchor.type === 'f32' ? 'float32' : anchor.type === 'u32' ? 'uint32' : 'int32';
  return {
    name: `${anchor.name}-epilogue`,
    places: [...places(anchor), { dtype, from: 'source', constant: false }],
    scalars: anchor.scalars,
    space,
    phases: [
      { kind: 'map', loops: [], order: 'parallel', stores: [{ buffer: 2, index: flat, value, mode: 'set' }] },
    ],
    builder,
  };
}
