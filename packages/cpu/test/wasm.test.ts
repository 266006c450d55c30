import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { features } from '../src/runtime/features.ts';
import { ByteWriter, type FunctionBuilder, ModuleBuilder, type ValueType } from '../src/wasm/index.ts';
import { laneOps, memoryOps, plainOps } from '../src/wasm/opcodes.ts';

type Exported = (...args: number[]) => number;

/** Builds, compiles and runs one function. */
function compileOne(
  params: ValueType[],
  results: ValueType[],
  emit: (fn: FunctionBuilder, module: ModuleBuilder) => void,
): { run: Exported; memory: WebAssembly.Memory } {
  const module = new ModuleBuilder({ shared: false });
  module.export(
    'run',
    module.function('run', { params, results }, (fn) => emit(fn, module)),
  );
  const memory = new WebAssembly.Memory({ initial: 1 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.build()), { env: { memory } });
  return { run: instance.exports['run'] as Exported, memory };
}

const bytesOf = (write: (out: ByteWriter) => void): number[] => {
  const out = new ByteWriter();
  write(out);
  return out.bytes;
};

describe('LEB128', () => {
  it('writes the examples of the format', () => {
    expect(bytesOf((out) => out.u32(624485))).toEqual([0xe5, 0x8e, 0x26]);
    expect(bytesOf((out) => out.u32(0xffffffff))).toEqual([0xff, 0xff, 0xff, 0xff, 0x0f]);
    expect(bytesOf((out) => out.s32(-123456))).toEqual([0xc0, 0xbb, 0x78]);
    expect(bytesOf((out) => out.s32(63))).toEqual([0x3f]);
    expect(bytesOf((out) => out.s32(64))).toEqual([0xc0, 0x00]);
    expect(bytesOf((out) => out.s32(-64))).toEqual([0x40]);
    expect(bytesOf((out) => out.s32(-65))).toEqual([0xbf, 0x7f]);
  });

  it('carries every i32 and i64 through a module', () => {
    const values = [0, 1, -1, 63, 64, -64, -65, 127, 128, 8191, 8192, -8193, 2 ** 31 - 1, -(2 ** 31)];
    for (const value of values) {
      expect(compileOne([], ['i32'], (fn) => fn.i32(value)).run()).toBe(value);
      const wide = BigInt(value) * 3_000_000_019n;
      expect(compileOne([], ['i64'], (fn) => fn.i64(wide)).run()).toBe(wide);
    }
    // An address above 2 GiB may be written unsigned.
    expect(compileOne([], ['i32'], (fn) => fn.i32(0xffffffff)).run()).toBe(-1);
  });

  it('carries floats bit by bit', () => {
    for (const value of [0, -0, 1.5, Math.fround(0.1), Number.POSITIVE_INFINITY, Number.NaN, 2 ** -149]) {
      expect(compileOne([], ['f32'], (fn) => fn.f32(value)).run()).toBe(value);
      expect(compileOne([], ['f64'], (fn) => fn.f64(value)).run()).toBe(value);
    }
  });
});

describe('control flow', () => {
  it('loops over a range, and does not enter an empty one', () => {
    const { run } = compileOne(['i32', 'i32'], ['i32'], (fn) => {
      const [from, to] = fn.params;
      const sum = fn.local('i32');
      const i = fn.local('i32');
      fn.loopRange(i, from!, to!, 3, () => fn.get(sum).get(i).op('i32.add').set(sum));
      fn.get(sum);
    });
    expect(run(0, 10)).toBe(0 + 3 + 6 + 9);
    expect(run(5, 5)).toBe(0);
    expect(run(5, -5)).toBe(0);
  });

  it('counts branch depths through nested blocks', () => {
    const { run } = compileOne(['i32'], ['i32'], (fn) => {
      const [x] = fn.params;
      const i = fn.local('i32');
      const outer = fn.block();
      fn.loopRange(i, 0, 100, 1, (exit) => {
        fn.get(i).get(x!).op('i32.eq').brIf(outer);
        const inner = fn.block();
        fn.get(i).i32(50).op('i32.lt_s').brIf(inner);
        fn.br(exit);
        fn.end();
      });
      fn.i32(-1).op('return').end().get(i);
    });
    expect(run(7)).toBe(7);
    expect(run(70)).toBe(-1);
  });

  it('chooses with if and else, and calls helpers that are added once', () => {
    let emitted = 0;
    const { run } = compileOne(['i32'], ['i32'], (fn, module) => {
      const fib = module.helper('fib', { params: ['i32'], results: ['i32'] }, (helper) => {
        emitted++;
        const [n] = helper.params;
        const self = module.helper('fib', { params: ['i32'], results: ['i32'] }, () => {});
        helper.get(n!).i32(2).op('i32.lt_s').if('i32');
        helper.get(n!).else();
        for (const back of [1, 2]) helper.get(n!).i32(back).op('i32.sub').call(self);
        helper.op('i32.add').end();
      });
      fn.get(fn.params[0]!).call(fib);
    });
    expect(run(10)).toBe(55);
    expect(emitted).toBe(1);
  });

  it('refuses what would be an invalid module', () => {
    expect(() => compileOne([], [], (fn) => fn.block())).toThrow(/not closed/);
    expect(() => compileOne([], [], (fn) => fn.end())).toThrow(/without an open block/);
    expect(() =>
      compileOne([], [], (fn) => {
        const label = fn.block();
        fn.end().br(label);
      }),
    ).toThrow(/closed/);
  });
});

describe('vectors and memory', () => {
  it('multiplies a vector in memory', () => {
    const { run, memory } = compileOne(['i32', 'i32'], ['f32'], (fn) => {
      const [from, to] = fn.params;
      const v = fn.local('v128');
      fn.get(from!).load('v128.load', 16).f32x4(2).op('f32x4.mul').set(v);
      fn.get(to!).get(v).store('v128.store', 0, 4);
      fn.get(v).lane('f32x4.extract_lane', 3);
    });
    new Float32Array(memory.buffer).set([1, 2, 3, 4], 5);
    expect(run(4, 100)).toBe(8);
    expect([...new Float32Array(memory.buffer, 100, 4)]).toEqual([2, 4, 6, 8]);
  });

  it('shuffles, takes lanes, copies and fills', () => {
    const { run, memory } = compileOne([], ['i32'], (fn) => {
      const v = fn.local('v128');
      fn.i32x4(1, 2, 3, 4).i32x4(5, 6, 7, 8).shuffle32(3, 4, 0, 7).set(v);
      fn.i32(0).get(v).store('v128.store');
      fn.i32(16).get(v).storeLane('v128.store32_lane', 3);
      fn.i32(20).i32(0).i32(8).memoryCopy();
      fn.i32(28).i32(7).i32(4).memoryFill();
      fn.i32(16).i32x4(9).loadLane('v128.load8_lane', 1).lane('i32x4.extract_lane', 0);
    });
    expect(run()).toBe(9 + 8 * 256);
    expect([...new Int32Array(memory.buffer, 0, 8)]).toEqual([4, 5, 1, 8, 8, 4, 5, 0x07070707]);
  });
});

/** Operand and result types of every plain instruction, by its name. An independent statement of the specification. */
function typeOf(op: string): { params: ValueType[]; results: ValueType[] } {
  const [shape, name] = op.includes('.') ? (op.split('.') as [string, string]) : ['', op];
  const lane: Record<string, ValueType> = {
    i8x16: 'i32',
    i16x8: 'i32',
    i32x4: 'i32',
    i64x2: 'i64',
    f32x4: 'f32',
    f64x2: 'f64',
  };
  const vector = shape in lane || shape === 'v128';
  if (vector) {
    if (name === 'splat') return { params: [lane[shape]!], results: ['v128'] };
    if (/any_true|all_true|bitmask/.test(name)) return { params: ['v128'], results: ['i32'] };
    if (/^sh[lr]/.test(name)) return { params: ['v128', 'i32'], results: ['v128'] };
    if (/bitselect|relaxed_n?madd/.test(name)) return { params: ['v128', 'v128', 'v128'], results: ['v128'] };
    const unary =
      /^(not|abs|neg|popcnt|ceil|floor|trunc|nearest|sqrt|ext(end|add)_|convert|trunc_sat|demote|promote)/;
    return { params: unary.test(name) ? ['v128'] : ['v128', 'v128'], results: ['v128'] };
  }
  const type = shape as ValueType;
  const from = /_(i32|i64|f32|f64)/.exec(name)?.[1] as ValueType | undefined;
  if (from) return { params: [from], results: [type] };
  if (name === 'eqz') return { params: [type], results: ['i32'] };
  if (/^(eq|ne|[lg][te])(_|$)/.test(name)) return { params: [type, type], results: ['i32'] };
  const unary = /^(clz|ctz|popcnt|abs|neg|ceil|floor|trunc|nearest|sqrt|extend)/;
  return { params: unary.test(name) ? [type] : [type, type], results: [type] };
}

describe('every instruction', () => {
  const special = new Set(['unreachable', 'nop', 'return', 'drop', 'select']);

  it('is accepted by the engine with the types its name says', () => {
    expect(features.relaxedMadd).toBe(true);
    for (const op of plainOps.keys()) {
      if (special.has(op)) continue;
      const { params, results } = typeOf(op);
      const emit = (fn: FunctionBuilder) => {
        for (const p of fn.params) fn.get(p);
        fn.op(op as never);
      };
      expect(() => compileOne(params, results, emit), op).not.toThrow();
    }
  });

  it('has its own opcode', () => {
    const all = [...plainOps, ...laneOps, ...memoryOps];
    expect(new Set(all.map(([, bytes]) => bytes.join())).size).toBe(all.length);
  });

  it('with a lane or an address is accepted too', () => {
    for (const op of laneOps.keys()) {
      const { params, results } = typeOf(op.replace(/\..*/, '.splat'));
      compileOne(['v128', ...params], op.includes('extract') ? params : results, (fn) => {
        fn.get(fn.params[0]!);
        if (op.includes('replace')) fn.get(fn.params[1]!);
        fn.lane(op as never, 1);
      });
    }
    for (const op of memoryOps.keys()) {
      const type = op.slice(0, op.indexOf('.')) as ValueType;
      compileOne([type], op.includes('store') ? [] : [type], (fn) => {
        fn.i32(8);
        if (op.endsWith('_lane')) {
          fn.get(fn.params[0]!);
          if (op.includes('store')) fn.storeLane(op as never, 1);
          else fn.loadLane(op as never, 1);
        } else if (op.includes('store')) fn.get(fn.params[0]!).store(op as never);
        else fn.load(op as never);
      });
    }
  });
});

it('the package imports no Node module, so that it loads in a browser', () => {
  for (const file of ['host', 'features']) {
    const text = readFileSync(new URL(`../src/runtime/${file}.ts`, import.meta.url), 'utf8');
    expect(text).not.toMatch(/^import .*node:/m);
  }
});
