/** Programs written by hand, for what runs programs. */
import type { KernelProgram, KernelStage, StageParameter } from '../../src/program.ts';

const threads = 64;
const buffer = (index: number): StageParameter => ({ kind: 'buffer', index });
const scalar = (index: number): StageParameter => ({ kind: 'scalar', index });
const workspace: StageParameter = { kind: 'workspace', byteOffset: 0 };

/** A kernel with a thread for each of n places, `i`. */
function stage(
  n: number,
  signature: string,
  body: string,
  parameters: readonly StageParameter[],
): KernelStage {
  const code = `extern "C" __global__ void entry(${signature}) {
  int i = blockIdx.x * ${threads} + threadIdx.x;
  if (i >= ${n}) return;
  ${body}
}
`;
  return {
    kind: 'kernel',
    code,
    entry: 'entry',
    parameters,
    grid: [Math.ceil(n / threads), 1, 1],
    block: [threads, 1, 1],
    sharedBytes: 0,
  };
}

export function program(
  name: string,
  stages: readonly KernelStage[],
  rest: Partial<KernelProgram> = {},
): KernelProgram {
  const source = (): string => stages.map(({ code }) => code).join('\n');
  return { name, stages, scalarTypes: [], workspaceBytes: 0, source, ...rest };
}

/** `b[i] = a[i] * 3 + scalar`, wrapping, after `turns` turns that change nothing. */
export function affine(n: number, turns = 1): KernelProgram {
  const body = `unsigned x = a[i];
  for (int turn = 0; turn < ${turns}; turn++) x = x * 3u - (x << 1);
  b[i] = x * 3u + s;`;
  const signature = 'const unsigned* a, unsigned* b, unsigned s';
  return program('affine', [stage(n, signature, body, [buffer(0), buffer(1), scalar(0)])], {
    scalarTypes: ['i32'],
  });
}

/** `a[i] += 1` */
export const increment = (n: number, name = 'increment'): KernelProgram =>
  program(name, [stage(n, 'int* a', 'a[i] += 1;', [buffer(0)])]);

/** Two stages: the workspace takes `a` reversed, then `b[i] = workspace[i] + i`. */
export const reversed = (n: number): KernelProgram =>
  program(
    'reversed',
    [
      stage(n, 'const int* a, int* w', `w[i] = a[${n - 1} - i];`, [buffer(0), workspace]),
      stage(n, 'const int* w, int* b', 'b[i] = w[i] + i;', [workspace, buffer(1)]),
    ],
    { workspaceBytes: n * 4 },
  );

/** Stores its scalars, of all types, as raw bits. The pointer stands between them, where it has to be aligned. */
export const storeScalars: KernelProgram = program(
  'storeScalars',
  [
    stage(
      1,
      'float f, int* b, int i1, unsigned u, unsigned t, float nan, float inf, int least, unsigned no',
      `b[0] = __float_as_int(f); b[1] = i1; b[2] = u; b[3] = t;
  b[4] = __float_as_int(nan); b[5] = __float_as_int(inf); b[6] = least; b[7] = no;`,
      [scalar(0), buffer(0), scalar(1), scalar(2), scalar(3), scalar(4), scalar(5), scalar(6), scalar(7)],
    ),
  ],
  { scalarTypes: ['f32', 'i32', 'u32', 'bool', 'f32', 'f32', 'i32', 'bool'] },
);

/** `b[block] = sum of a over the block`, through dynamic shared memory. */
export function blockSums(n: number): KernelProgram {
  const code = `extern "C" __global__ void entry(const int* a, int* b) {
  extern __shared__ unsigned char shared[];
  int* sums = (int*)shared;
  sums[threadIdx.x] = a[blockIdx.x * ${threads} + threadIdx.x];
  __syncthreads();
  for (int step = ${threads / 2}; step > 0; step >>= 1) {
    if (threadIdx.x < step) sums[threadIdx.x] += sums[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0) b[blockIdx.x] = sums[0];
}
`;
  const { kind, entry, block } = stage(n, '', '', []);
  const grid = [n / threads, 1, 1] as const;
  return program('blockSums', [
    { kind, entry, block, grid, code, parameters: [buffer(0), buffer(1)], sharedBytes: threads * 4 },
  ]);
}

/** Does not compile: line 4 names something that is not there. */
export const invalid: KernelProgram = program('invalid', [
  stage(1, 'int* a', 'a[0] = missing;', [buffer(0)]),
]);

/** Writes far outside of its buffer. */
export const astray: KernelProgram = program('astray', [
  stage(1, 'int* a', 'a[1LL << 40] = 1;', [buffer(0)]),
]);

/** Asks for a block that no device has. */
export const tooLarge: KernelProgram = program('tooLarge', [
  { ...increment(1).stages[0]!, block: [4096, 1, 1] },
]);
