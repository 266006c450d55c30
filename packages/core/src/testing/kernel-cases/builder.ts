/** Kernels for tests, in few words. */
import {
  type Accumulator,
  type BufferParam,
  type DType,
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Kernel,
  type ReduceOp,
  type ScalarType,
} from '../../backend/index.ts';
import { sizeOf } from '../../backend/render/index.ts';

/** A kernel of one value for each point of a space; buffer 0 is the output. */
export class KernelBuilder {
  readonly b: ExpressionBuilder = new ExpressionBuilder();
  readonly #name: string;
  readonly #space: readonly IndexVariable[];
  readonly #buffers: BufferParam[] = [];
  readonly #scalars: ScalarType[] = [];
  readonly #accumulators: Accumulator[] = [];
  #loops: readonly IndexVariable[] = [];

  constructor(name: string, space: readonly IndexVariable[], dtype: DType) {
    this.#name = name;
    this.#space = space;
    this.#buffers.push({ dtype, length: sizeOf(space), access: 'write' });
  }

  input(dtype: DType, length: number): (index: Expression, guard?: Expression) => Expression {
    const buffer = this.#buffers.push({ dtype, length, access: 'read' }) - 1;
    return (index, guard) => this.b.load(dtypeInfo[dtype].scalar, buffer, index, guard);
  }

  scalar(type: ScalarType): Expression {
    return this.b.scalar(type, this.#scalars.push(type) - 1);
  }

  /** What the output holds before. */
  before(): Expression {
    const [{ dtype, length }] = this.#buffers as [BufferParam];
    this.#buffers[0] = { dtype, length, access: 'readWrite' };
    return this.b.load(dtypeInfo[dtype].scalar, 0, this.at(this.#space));
  }

  over(...loops: readonly IndexVariable[]): this {
    this.#loops = loops;
    return this;
  }

  accumulate(op: ReduceOp, value: Expression, position?: Expression): Expression {
    const id = this.#accumulators.length;
    this.#accumulators.push({ id, op, type: value.type, value, ...(position ? { position } : {}) });
    return this.b.accumulator(position ? 'i32' : value.type, id);
  }

  /** The row-major position of variables. */
  at(variables: readonly IndexVariable[]): Expression {
    const [first, ...rest] = variables;
    if (!first) return this.b.int(0);
    return rest.reduce(
      (index, each) => this.add(this.mul(index, each.extent), this.b.index(each)),
      this.b.index(first),
    );
  }

  add(a: Expression, b: Expression | number): Expression {
    return this.b.alu('add', 'i32', a, typeof b === 'number' ? this.b.int(b) : b);
  }

  mul(a: Expression, by: number): Expression {
    return this.b.alu('mul', 'i32', a, this.b.int(by));
  }

  /** 0 <= index < extent */
  inside(index: Expression, extent: number): Expression {
    const { b } = this;
    const low = b.alu('le', 'bool', b.int(0), index);
    return b.alu('and', 'bool', low, b.alu('lt', 'bool', index, b.int(extent)));
  }

  /** The kernel that stores this value. */
  store(value: Expression, guard?: Expression): Kernel {
    const store = {
      buffer: 0,
      index: this.at(this.#space),
      value,
      mode: 'set',
      ...(guard ? { guard } : {}),
    } as const;
    const accumulators = this.#accumulators;
    return {
      kind: 'kernel',
      name: this.#name,
      buffers: this.#buffers,
      scalars: this.#scalars,
      space: this.#space,
      phases: [
        ...(accumulators.length > 0 ? [{ kind: 'reduce', loops: this.#loops, accumulators } as const] : []),
        { kind: 'map', loops: [], order: 'parallel', stores: [store] },
      ],
    };
  }
}
