/** Products by cuBLASLt: what it takes, what it is told, and what happens where it is not there. */
import { type DotAnchor, ExpressionBuilder, simplifyDot } from '@tutti/core/backend';
import {
  type DotCase,
  type DotLayout,
  type DotOptions,
  dispatch,
  dotAnchor,
  dotCase,
  dotFamilies,
  download,
  randomDotCases,
  upload,
} from '@tutti/core/testing';
import { describe, expect, it, test } from 'vitest';
import type { CudaFeatures, ProductStage } from '../src/program.ts';
import { dotRoutine, dotVariants } from '../src/routines/dot.ts';
import { child } from './support/child.ts';
import { emulator, make, withLibrary } from './support/device.ts';
import { hopper } from './support/features.ts';
import { checkRoutines, rounding } from './support/routines.ts';

const features: CudaFeatures = { ...hopper, blas: true };
const tf32: CudaFeatures = { ...rounding, blas: true };
const timeout = 60_000;

const programOf = (anchor: DotAnchor, on: CudaFeatures = features) => dotRoutine(anchor, on, 'library');
const productOf = (anchor: DotAnchor, on: CudaFeatures = features): ProductStage | undefined => {
  const stage = programOf(anchor, on)?.stages[0];
  return stage?.kind === 'product' ? stage : undefined;
};

/** Those of the cases that the library takes; the others are for other tests. */
const taken = (cases: readonly DotCase[]): DotCase[] => cases.filter(({ anchor }) => productOf(anchor));

/** `sum + bias[column]`, and whether the sum comes first. */
function biased(m: number, n: number, k: number, options: DotOptions = {}, sumFirst = true): DotAnchor {
  const anchor = dotAnchor(m, n, k, options);
  const b = new ExpressionBuilder();
  const space = [...anchor.batch, m, n].map((extent, i) => ({ name: `i${i}`, extent }));
  const sum = { op: 'accumulator', type: 'f32', id: 0 } as const;
  const own = b.load('f32', 3, b.index(space.at(-1)!));
  const value = b.alu('add', 'f32', ...(sumFirst ? ([sum, own] as const) : ([own, sum] as const)));
  const { dtype } = anchor.buffers[2]!;
  return {
    ...anchor,
    buffers: [...anchor.buffers, { dtype, length: n, access: 'read' }],
    epilogue: { space, value },
  };
}

/** Of types that the library stores, and of those that it does not. */
const narrowResults = (): DotCase[] =>
  (['float32', 'float16', 'bfloat16'] as const).flatMap((dtype) =>
    (['float32', 'float16', 'bfloat16', 'int32', 'bool'] as const).flatMap((out) => [
      ...(out === 'int32' || out === 'bool'
        ? []
        : [dotCase([9, 14, 11], { dtypes: [dtype, dtype, out], layouts: ['rows', 'columns'] })]),
      dotCase([6, 8, 5], { dtypes: [dtype, dtype, out], epilogue: { space: [6, 8], bias: 0 } }),
    ]),
  );

describe('gives what it should', () => {
  const shared = [
    'sizes',
    'layouts',
    'batches',
    'long sums',
    'epilogues',
    'NaN and Inf',
    'accuracy',
  ] as const;
  const families = [
    ...shared.map((name) => [name, dotFamilies[name]] as const),
    ['narrow results', narrowResults] as const,
    ['random products', () => randomDotCases(3, 60)] as const,
  ];
  it.each(families)('%s', { timeout }, async (_, cases) => {
    const backend = await make({ cache: 'off', ...withLibrary });
    const list = taken(cases());
    expect(list.length).toBeGreaterThan(0);
    await checkRoutines(backend, list, ({ anchor }) => [programOf(anchor)]);
  });

  const types = ['float32', 'float16', 'bfloat16'] as const;
  const layouts: readonly (readonly [DotLayout, DotLayout])[] = [
    ['rows', 'rows'],
    ['rows', 'columns'],
    ['columns', 'rows'],
    ['columns', 'columns'],
    ['padded', 'padded'],
  ];
  it.each(types)('%s in every layout, with batches', { timeout }, async (dtype) => {
    const cases = layouts.flatMap((each) =>
      [[], [3], [2, 3]].map((batch) =>
        dotCase([9, 14, 11], { dtypes: [dtype, dtype, dtype], layouts: each, batch, shared: [false, true] }),
      ),
    );
    const backend = await make({ cache: 'off', ...withLibrary });
    expect(taken(cases)).toHaveLength(cases.length);
    await checkRoutines(backend, cases, ({ anchor }) => [programOf(anchor), programOf(anchor, tf32)]);
  });

  it('a bias', { timeout }, async () => {
    const [m, n, k] = [4, 3, 2];
    const anchor = biased(m, n, k);
    const backend = await make({ cache: 'off', ...withLibrary });
    const program = backend.load(programOf(anchor)!);
    const floats = (...values: number[]) => upload(backend, new Int32Array(Float32Array.from(values).buffer));
    const lhs = floats(1, 2, 3, 4, 5, 6, 7, 8);
    const rhs = floats(1, 0, 2, 0, 1, 3);
    const out = upload(backend, new Int32Array(m * n));
    await program.ready;
    backend.submit([dispatch(program, [lhs, rhs, out, floats(10, 20, 30)])]);
    const got = new Float32Array(Int32Array.from(await download(backend, out)).buffer);
    expect([...got]).toEqual([11, 22, 38, 13, 24, 48, 15, 26, 58, 17, 28, 68]);
  });
});

describe('what the library is told', () => {
  it('operands, as they lie', () => {
    const stage = productOf(
      dotAnchor(6, 10, 8, {
        dtypes: ['bfloat16', 'bfloat16', 'float32'],
        layouts: ['columns', 'padded'],
        batch: [3],
        shared: [true, false],
      }),
    );
    expect(stage).toMatchObject({
      product: {
        operandType: 'bfloat16',
        resultType: 'float32',
        tf32: false,
        batches: 3,
        m: 6,
        n: 10,
        k: 8,
        lhs: { transposed: true, leading: 6, batchStride: 0, alignment: 256 },
        // 8 elements of 2 bytes from the start.
        rhs: { transposed: false, leading: 20, batchStride: 150, alignment: 16 },
        bias: false,
      },
      rhs: { kind: 'buffer', index: 1, byteOffset: 16 },
      result: { kind: 'buffer', index: 2 },
    });
  });

  it('TF32, where float32 may be rounded', () => {
    const half = ['float16', 'float16', 'float16'] as const;
    expect(productOf(dotAnchor(6, 6, 6), tf32)!.product.tf32).toBe(true);
    expect(productOf(dotAnchor(6, 6, 6, { dtypes: half }), tf32)!.product.tf32).toBe(false);
  });

  it('a bias along the columns, of the type of the result', () => {
    const half = { dtypes: ['float16', 'float16', 'float16'] } as const;
    for (const anchor of [biased(4, 6, 8), biased(4, 6, 8, { batch: [3] }, false), biased(4, 6, 8, half)]) {
      expect(productOf(anchor)).toMatchObject({
        product: { bias: true },
        bias: { kind: 'buffer', index: 3 },
      });
      expect(programOf(anchor)!.stages).toHaveLength(1);
    }
    const other = biased(4, 6, 8, half);
    const buffers = other.buffers.map((each, i) => (i === 3 ? { ...each, dtype: 'float32' as const } : each));
    expect(productOf({ ...other, buffers })).toMatchObject({
      product: { bias: false, resultType: 'float32' },
    });
  });

  it('nothing of other epilogues, which come after it', () => {
    const { stages, workspaceBytes } = programOf(
      dotAnchor(20, 30, 8, { epilogue: { space: [20, 30], bias: 1 } }),
    )!;
    expect(stages.map(({ kind }) => kind)).toEqual(['product', 'kernel']);
    expect(stages[0]).toMatchObject({
      result: { kind: 'workspace', byteOffset: 0 },
      scratch: { kind: 'workspace', byteOffset: 2560 },
    });
    expect(workspaceBytes).toBe(2560 + 32 * 2 ** 20);
  });
});

describe('what it does not take', () => {
  const others: readonly (readonly [string, DotAnchor])[] = [
    ['integers', dotAnchor(8, 8, 8, { type: 'i32' })],
    ['operands of two types', dotAnchor(8, 8, 8, { dtypes: ['float16', 'bfloat16', 'float32'] })],
    ['neither rows nor columns contiguous', dotAnchor(8, 8, 8, { layouts: ['strided', 'rows'] })],
    ['a row that is all rows', dotAnchor(8, 8, 8, { layouts: ['same row', 'rows'] })],
    ['a vector', dotAnchor(1, 8, 8)],
    [
      'batches at uneven distances',
      (() => {
        const anchor = dotAnchor(8, 8, 8, { batch: [2, 3], shared: [false, false] });
        return { ...anchor, rhs: { ...anchor.rhs, batch: [0, 64] } };
      })(),
    ],
  ];
  it.each(others)('%s', (_, anchor) => {
    expect(programOf(anchor)).toBeUndefined();
  });
});

test('the choice follows the shape', () => {
  const isFirst = (m: number, n: number, k: number, options: DotOptions = {}, on = features): boolean =>
    dotVariants(simplifyDot(dotAnchor(m, n, k, options)), on)[0] === 'library';
  expect(isFirst(1024, 1024, 1024)).toBe(true);
  expect(isFirst(64, 64, 64, { batch: [12, 16] })).toBe(true);
  expect(isFirst(1024, 1024, 1024, {}, hopper)).toBe(false);
  expect(isFirst(64, 64, 64)).toBe(false);
  expect(isFirst(1, 4096, 4096)).toBe(false);
  expect(isFirst(8, 4096, 4096)).toBe(false);
  const epilogue = { space: [1024, 1024], bias: 1 };
  expect(isFirst(1024, 1024, 1024, { epilogue })).toBe(true);
  expect(isFirst(1024, 1024, 128, { epilogue })).toBe(false);
  // Sums of 4 GiB.
  expect(isFirst(32768, 32768, 1024, { epilogue: { space: [32768, 32768], bias: 1 } })).toBe(false);
});

describe('on a device', () => {
  it('says what it has, and the memory that it works in is released', async () => {
    const backend = await make({ cache: 'off', ...withLibrary });
    expect(backend.info.description).toContain('cuBLASLt 13.0');
    const routine = backend.routine(dotAnchor(256, 256, 256))!;
    await routine.ready;
    expect(routine.source()).toMatch(
      /^\/\/ stage 1 of 1\n\/\/ a product by cuBLASLt: \{"operandType":"float32"/,
    );
    expect(backend.statistics.products).toBe(1);
    const bytes = 256 * 256 * 4;
    const [lhs, rhs, out] = [bytes, bytes, bytes].map((each) => backend.allocate(each));
    backend.submit([dispatch(routine, [lhs!, rhs!, out!])]);
    await backend.read(out!, 0, 4);
    expect(backend.memory().reserved).toBeGreaterThan(32 * 2 ** 20);
    for (const each of [lhs, rhs, out]) backend.free(each!);
    backend.dispose();
    expect(backend.memory()).toMatchObject({ bytes: 0, reserved: 0 });
  });

  it('runs again and again as part of a graph', async () => {
    const backend = await make({ cache: 'off', ...withLibrary });
    const program = backend.load(programOf(dotAnchor(2, 2, 2))!);
    await program.ready;
    const floats = (...values: number[]) => upload(backend, new Int32Array(Float32Array.from(values).buffer));
    const step = floats(1, 1, 0, 1);
    const all = Array.from({ length: 9 }, () => floats(1, 0, 0, 1));
    const commands = all.slice(1).map((to, i) => dispatch(program, [all[i]!, step, to]));
    for (let turn = 0; turn < 5; turn++) backend.submit(commands);
    expect(backend.statistics.graphs).toBe(1);
    const got = new Float32Array(Int32Array.from(await download(backend, all[8]!)).buffer);
    expect([...got]).toEqual([1, 8, 0, 1]);
  });

  it('without the library, the device says so, and programs are our own', async () => {
    const backend = await make({ cache: 'off' });
    expect(backend.info.description).toContain('cuBLASLt off');
    expect(backend.routine(dotAnchor(256, 256, 256))!.source()).not.toContain('cuBLASLt');
  });
});

const script = (body: string): string => `
  const backend = await createCudaBackend({ ...${JSON.stringify({ cache: 'off' })}, emulation: true,
    driver: ${JSON.stringify(emulator.driver)}, nvrtc: ${JSON.stringify(emulator.compiler)} }).open(0);
  const anchor = ${JSON.stringify(dotAnchor(256, 256, 256))};
  const bytes = 256 * 256 * 4;
  const ones = new Uint8Array(Float32Array.from({ length: 256 * 256 }, () => 1).buffer);
  const run = async (routine) => {
    await routine.ready;
    const buffers = [0, 1, 2].map(() => backend.allocate(bytes));
    for (const each of buffers) backend.write(each, ones);
    backend.submit([dispatch(routine, ...buffers)]);
    const got = new Float32Array((await backend.read(buffers[2], 0, 8)).slice().buffer);
    console.log([...got].join(), routine.source().split('\\n')[0]);
  };
  ${body}
  backend.dispose();`;

describe('where the library fails', () => {
  const environment = { TUTTI_CUDA_CUBLASLT: emulator.blas! };

  it('to find an algorithm, a routine of ours takes its place and says so', { timeout }, async () => {
    const result = await child(
      script('await run(backend.routine(anchor));'),
      { faults: { blasHeuristic: 1 }, leaks: true },
      environment,
    );
    expect(result).toEqual({
      code: 0,
      output:
        '256,256 // without cuBLASLt, which has nothing for it: cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_NOT_SUPPORTED',
      errors: '',
    });
  });

  it('in a call, it is told and the device goes on', { timeout }, async () => {
    const result = await child(
      script('const routine = backend.routine(anchor); await run(routine).catch(told); await run(routine);'),
      { faults: { blas: 1 }, leaks: true },
      environment,
    );
    expect(result.errors).toBe('');
    expect(result.output).toMatch(
      /^TUTTI_KERNEL: .*CUBLAS_STATUS_EXECUTION_FAILED.*\n256,256 \/\/ stage 1 of 1/,
    );
  });
});
