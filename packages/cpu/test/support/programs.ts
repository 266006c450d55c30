/** Programs written by hand, so that the runtime is tested without the compilers. Types are those of the built package. */
import type { WasmProgram } from '../../dist/program.js';
import type { FunctionBuilder } from '../../dist/wasm/index.js';

type Stage = WasmProgram['stages'][number];

export function program(
  name: string,
  bufferCount: number,
  stages: readonly Stage[],
  more: Partial<WasmProgram> = {},
): WasmProgram {
  return {
    name,
    source: () => `source of ${name}`,
    stages,
    bufferCount,
    scalarCount: 0,
    scalarTypes: [],
    workspaceBytes: 0,
    scratchBytes: 0,
    ...more,
  };
}

/** Emits `body` for each unit i of the range. */
function eachUnit(fn: FunctionBuilder, body: (i: FunctionBuilder['params'][0]) => void): void {
  const i = fn.local('i32');
  fn.loopRange(i, fn.params[0]!, fn.params[1]!, 1, () => body(i));
}

/** The address of element i (4 bytes) of a buffer; the workspace comes behind the last. */
const element = (fn: FunctionBuilder, buffer: number, i: FunctionBuilder['params'][0]): FunctionBuilder =>
  fn
    .get(fn.params[2]!)
    .load('i32.load', buffer * 4)
    .get(i)
    .i32(4)
    .op('i32.mul')
    .op('i32.add');

/** out[i] = in[i] * 3 + scalar, in i32. */
export const affine = (n: number, cost: number): WasmProgram =>
  program(
    'affine',
    2,
    [
      {
        units: n,
        grain: 1,
        cost,
        emit: (fn) =>
          eachUnit(fn, (i) => {
            element(fn, 1, i);
            element(fn, 0, i).load('i32.load').i32(3).op('i32.mul');
            fn.get(fn.params[2]!).load('i32.load', 12).op('i32.add').store('i32.store');
          }),
      },
    ],
    { scalarCount: 1, scalarTypes: ['i32'] },
  );

/** a[i] += 1, in i32. */
export const increment = (n: number): WasmProgram =>
  program('increment', 1, [
    {
      units: n,
      grain: 1,
      cost: 1,
      emit: (fn) =>
        eachUnit(fn, (i) => {
          element(fn, 0, i);
          element(fn, 0, i).load('i32.load').i32(1).op('i32.add').store('i32.store');
        }),
    },
  ]);

/** out[i] = in[n-1-i] + i, through the workspace. */
export const reversed = (n: number): WasmProgram =>
  program(
    'reversed',
    2,
    [
      {
        units: n,
        grain: 4,
        cost: 100,
        emit: (fn) =>
          eachUnit(fn, (i) => {
            const mirrored = fn.local('i32');
            fn.i32(n - 1)
              .get(i)
              .op('i32.sub')
              .set(mirrored);
            element(fn, 2, i);
            element(fn, 0, mirrored).load('i32.load').store('i32.store');
          }),
      },
      {
        units: n,
        grain: 4,
        cost: 100,
        emit: (fn) =>
          eachUnit(fn, (i) => {
            element(fn, 1, i);
            element(fn, 2, i).load('i32.load').get(i).op('i32.add').store('i32.store');
          }),
      },
    ],
    { workspaceBytes: n * 4 },
  );

/** Stores its scalars, of all types, as raw bits. */
export const storeScalars: WasmProgram = program(
  'storeScalars',
  1,
  [
    {
      units: 8,
      grain: 1,
      cost: 1,
      emit: (fn) =>
        eachUnit(fn, (i) => {
          element(fn, 0, i);
          // Scalars are behind the addresses of the buffer and of the workspace.
          fn.get(fn.params[2]!).get(i).i32(4).op('i32.mul').op('i32.add').load('i32.load', 8);
          fn.store('i32.store');
        }),
    },
  ],
  { scalarCount: 8, scalarTypes: ['f32', 'i32', 'u32', 'bool', 'f32', 'f32', 'i32', 'bool'] },
);

/**
 * out[i] = in[n-1-i] + i, through the workspace, with a stage that only one thread runs in between, which stores the
 * sum of the workspace in out[n]. Wrong whenever a barrier is missing.
 */
export const threeStages = (n: number, cost: number): WasmProgram => {
  const workspace = (fn: FunctionBuilder): FunctionBuilder => fn.get(fn.params[2]!).load('i32.load', 8);
  return program(
    'threeStages',
    2,
    [
      {
        units: n,
        grain: 4,
        cost,
        emit: (fn) =>
          eachUnit(fn, (i) => {
            workspace(fn)
              .i32(n - 1)
              .get(i)
              .op('i32.sub')
              .i32(4)
              .op('i32.mul')
              .op('i32.add');
            element(fn, 0, i).load('i32.load').store('i32.store');
          }),
      },
      {
        units: 1,
        grain: 1,
        cost,
        emit: (fn) => {
          const i = fn.local('i32');
          const sum = fn.local('i32');
          fn.loopRange(i, 0, n, 1, () => {
            workspace(fn).get(i).i32(4).op('i32.mul').op('i32.add').load('i32.load');
            fn.get(sum).op('i32.add').set(sum);
          });
          fn.get(fn.params[2]!)
            .load('i32.load', 4)
            .get(sum)
            .store('i32.store', n * 4);
        },
      },
      {
        units: n,
        grain: 4,
        cost,
        emit: (fn) =>
          eachUnit(fn, (i) => {
            element(fn, 1, i);
            workspace(fn).get(i).i32(4).op('i32.mul').op('i32.add').load('i32.load');
            fn.get(i).op('i32.add').store('i32.store');
          }),
      },
    ],
    { workspaceBytes: n * 4 },
  );
};

/** Writes each chunk's units through scratch memory: out[i] = i, by way of scratch. Wrong when threads share scratch. */
export const throughScratch = (n: number, cost: number): WasmProgram =>
  program(
    'throughScratch',
    1,
    [
      {
        units: n,
        grain: 1,
        cost,
        emit: (fn) => {
          const [begin, end, , scratch] = fn.params as [
            FunctionBuilder['params'][0],
            FunctionBuilder['params'][0],
            FunctionBuilder['params'][0],
            FunctionBuilder['params'][0],
          ];
          const i = fn.local('i32');
          const slot = () =>
            fn.get(scratch).get(i).get(begin).op('i32.sub').i32(4).op('i32.mul').op('i32.add');
          fn.loopRange(i, begin, end, 1, () => slot().get(i).store('i32.store'));
          fn.loopRange(i, begin, end, 1, () => {
            element(fn, 0, i);
            slot().load('i32.load').store('i32.store');
          });
        },
      },
    ],
    { scratchBytes: n * 4 },
  );

/** Keeps a thread busy: `turns` rounds of arithmetic for each of two units. */
export const burn = (turns: number): WasmProgram =>
  program('burn', 0, [
    {
      units: 2,
      grain: 1,
      cost: turns,
      emit: (fn) =>
        eachUnit(fn, () => {
          const j = fn.local('i32');
          const x = fn.local('i32');
          fn.loopRange(j, 0, turns, 1, () =>
            fn.get(x).i32(1664525).op('i32.mul').i32(1).op('i32.add').set(x),
          );
        }),
    },
  ]);

/** Traps in one of its units. */
export const trap = (units = 64): WasmProgram =>
  program('trapping', 0, [
    {
      units,
      grain: 1,
      cost: 1e6,
      emit: (fn) =>
        eachUnit(fn, (i) => {
          fn.get(i)
            .i32(units >> 1)
            .op('i32.eq')
            .if();
          fn.op('unreachable').end();
        }),
    },
  ]);

/** Is no valid WebAssembly: it leaves a value on the stack. */
export const invalid: WasmProgram = program('invalid', 0, [
  { units: 1, grain: 1, cost: 1, emit: (fn) => void fn.i32(1) },
]);
