/**
 * Instructions as values, so that formulas read from left to right.
 *
 * An `Emit` writes the instructions that push one value. Formulas nest them: `mul(add(x, y), x)`. What is used twice goes
 * through `keep`, which evaluates it at once into a local and hands back a cheap `Emit` that reads it.
 */
import { features } from '../runtime/features.ts';
import type { FunctionBuilder, Local, ModuleBuilder, PlainOp, ValueType } from '../wasm/index.ts';

export type Emit = () => void;

export class Code {
  readonly fn: FunctionBuilder;
  readonly module: ModuleBuilder;

  constructor(fn: FunctionBuilder, module: ModuleBuilder) {
    this.fn = fn;
    this.module = module;
  }

  /** The instruction `name` on these operands. */
  op(name: PlainOp, ...operands: readonly Emit[]): Emit {
    return () => {
      for (const operand of operands) operand();
      this.fn.op(name);
    };
  }

  /** Evaluates now, into a new local. */
  keep(value: Emit, type: ValueType = 'v128'): Emit {
    value();
    const local = this.fn.local(type);
    this.fn.set(local);
    return this.get(local);
  }

  get(local: Local): Emit {
    return () => this.fn.get(local);
  }

  i32(value: number): Emit {
    return () => this.fn.i32(value | 0);
  }

  f32x4(...lanes: number[]): Emit {
    if (lanes.length === 1) return () => this.fn.f32(lanes[0]!).op('f32x4.splat');
    return () => this.fn.f32x4(...lanes);
  }

  i32x4(...lanes: number[]): Emit {
    if (lanes.length === 1) return () => this.fn.i32(lanes[0]! | 0).op('i32x4.splat');
    return () => this.fn.i32x4(...lanes);
  }

  f64x2(...lanes: number[]): Emit {
    if (lanes.length === 1) return () => this.fn.f64(lanes[0]!).op('f64x2.splat');
    return () => this.fn.f64x2(...lanes);
  }

  /** `a * b + c` on f32x4, in one rounding where the machine has it. */
  madd(a: Emit, b: Emit, c: Emit): Emit {
    if (features.relaxedMadd) return this.op('f32x4.relaxed_madd', a, b, c);
    return this.op('f32x4.add', this.op('f32x4.mul', a, b), c);
  }

  /** `c - a * b` on f32x4. */
  nmadd(a: Emit, b: Emit, c: Emit): Emit {
    if (features.relaxedMadd) return this.op('f32x4.relaxed_nmadd', a, b, c);
    return this.op('f32x4.sub', c, this.op('f32x4.mul', a, b));
  }

  /** As `madd`, on f64x2. */
  madd64(a: Emit, b: Emit, c: Emit): Emit {
    if (features.relaxedMadd) return this.op('f64x2.relaxed_madd', a, b, c);
    return this.op('f64x2.add', this.op('f64x2.mul', a, b), c);
  }

  nmadd64(a: Emit, b: Emit, c: Emit): Emit {
    if (features.relaxedMadd) return this.op('f64x2.relaxed_nmadd', a, b, c);
    return this.op('f64x2.sub', c, this.op('f64x2.mul', a, b));
  }

  /** `c[0] + x (c[1] + x (c[2] + ...))` on f32x4, lowest power first. */
  polynomial(x: Emit, coefficients: readonly number[]): Emit {
    return this.#horner(
      coefficients,
      (c) => this.f32x4(c),
      (sum, c) => this.madd(sum, x, c),
    );
  }

  /** As `polynomial`, on f64x2. */
  polynomial64(x: Emit, coefficients: readonly number[]): Emit {
    return this.#horner(
      coefficients,
      (c) => this.f64x2(c),
      (sum, c) => this.madd64(sum, x, c),
    );
  }

  #horner(
    coefficients: readonly number[],
    constant: (c: number) => Emit,
    step: (sum: Emit, c: Emit) => Emit,
  ): Emit {
    return coefficients.map(constant).reduceRight((sum, c) => step(sum, c));
  }

  /** Lanes of `a` where the mask is set, of `b` elsewhere. */
  choose(mask: Emit, a: Emit, b: Emit): Emit {
    return this.op('v128.bitselect', a, b, mask);
  }

  /** `then` or `otherwise`, only one of which runs. */
  branch(condition: Emit, type: ValueType, then: Emit, otherwise: Emit): Emit {
    return () => {
      condition();
      this.fn.if(type);
      then();
      this.fn.else();
      otherwise();
      this.fn.end();
    };
  }

  /** The shared function `key`, one vector (or several) to one vector. */
  helper(key: string, operands: number, body: (code: Code, ...x: Emit[]) => Emit): number {
    const params = new Array<ValueType>(operands).fill('v128');
    return this.module.helper(key, { params, results: ['v128'] }, (fn) => {
      const inner = new Code(fn, this.module);
      body(inner, ...fn.params.map((local) => inner.get(local)))();
    });
  }

  call(index: number, ...operands: readonly Emit[]): Emit {
    return () => {
      for (const operand of operands) operand();
      this.fn.call(index);
    };
  }
}
