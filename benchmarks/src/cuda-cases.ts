/** The cases of the suite `cuda`: what a large GPU is busy with, and the same at sizes that an emulated one gets through. */
import type { Case } from './suites.ts';
import type { Precision, Work } from './work.ts';

type CudaCase = Omit<Case, 'place'>;

interface Sizes {
  /** Sides of the matrix products, with how often each is queued before it is waited for. */
  readonly matmul: readonly (readonly [n: number, iterations: number])[];
  readonly length: number;
  readonly rows: number;
  readonly columns: number;
  readonly attention: { readonly heads: number; readonly length: number; readonly size: number };
  readonly conv: {
    readonly batch: number;
    readonly inputs: number;
    readonly outputs: number;
    readonly size: number;
  };
  readonly trainBatch: number;
  readonly languageModel: Omit<Extract<Work, { kind: 'languageModel' }>, 'kind' | 'precision'>;
  readonly kernels: number;
  readonly upload: { readonly n: number; readonly products: number; readonly count: number };
  /** How often short work is queued before it is waited for, and longer work. */
  readonly short: number;
  readonly long: number;
  /** The same of the training step of the language model. */
  readonly steps: number;
}

export const fullSizes: Sizes = {
  matmul: [
    [1024, 200],
    [2048, 50],
    [4096, 20],
    [8192, 5],
  ],
  length: 1 << 26,
  rows: 8192,
  columns: 4096,
  attention: { heads: 16, length: 2048, size: 64 },
  conv: { batch: 32, inputs: 64, outputs: 64, size: 56 },
  trainBatch: 128,
  languageModel: { batch: 8, context: 1024, layers: 12, width: 768, heads: 12, vocabulary: 50257 },
  kernels: 500,
  upload: { n: 4096, products: 4, count: 8 },
  short: 20,
  long: 10,
  steps: 4,
};

export const smallSizes: Sizes = {
  matmul: [[64, 2]],
  length: 1 << 12,
  rows: 8,
  columns: 64,
  attention: { heads: 2, length: 32, size: 16 },
  conv: { batch: 2, inputs: 4, outputs: 8, size: 8 },
  trainBatch: 2,
  languageModel: { batch: 2, context: 16, layers: 2, width: 32, heads: 2, vocabulary: 96 },
  kernels: 10,
  upload: { n: 32, products: 2, count: 2 },
  short: 2,
  long: 2,
  steps: 1,
};

const precisions: readonly Precision[] = ['float32', 'tf32', 'float16', 'bfloat16'];

export function cudaCases(sizes: Sizes): Case[] {
  const cases = [
    ...matmuls(sizes),
    ...memoryBound(sizes),
    ...attentions(sizes),
    ...convolutions(sizes),
    ...training(sizes),
    ...overheads(sizes),
  ];
  return cases.map((each) => ({ ...each, place: 'cuda' }));
}

const matmuls = ({ matmul }: Sizes): CudaCase[] =>
  precisions.flatMap((precision) =>
    matmul.map(([n, iterations]) => ({
      name: `matmul ${n}, ${precision}`,
      work: { kind: 'matmul', n, precision },
      iterations,
    })),
  );

function memoryBound({ length, rows, columns, short: iterations }: Sizes): CudaCase[] {
  const elements = countOf(length);
  return [
    { name: `chain of 10, ${elements}`, work: { kind: 'chain', length }, iterations },
    { name: `sum ${elements}`, work: { kind: 'sum', length }, iterations },
    { name: `softmax ${rows}x${columns}`, work: { kind: 'softmax', rows, columns }, iterations },
    { name: `layerNorm ${rows}x${columns}`, work: { kind: 'layerNorm', rows, columns }, iterations },
  ];
}

const countOf = (length: number): string =>
  length >= 1 << 20 ? `${length / (1 << 20)}M` : `${length / (1 << 10)}K`;

function attentions({ attention, short, long }: Sizes): CudaCase[] {
  const { heads, length, size } = attention;
  const name = `attention ${heads}x${length}x${size}`;
  return (['float32', 'bfloat16'] as const).flatMap((precision) =>
    withGradients(`${name}, ${precision}`, { kind: 'attention', ...attention, precision }, short, long),
  );
}

function convolutions({ conv, short, long }: Sizes): CudaCase[] {
  const { batch, inputs, outputs, size } = conv;
  const name = `conv 3x3 ${batch}x${inputs}x${size}x${size}->${outputs}`;
  return (['float32', 'float16'] as const).flatMap((precision) =>
    withGradients(`${name}, ${precision}`, { kind: 'conv', ...conv, precision }, short, long),
  );
}

function withGradients(
  name: string,
  work: Extract<Work, { kind: 'attention' | 'conv' }>,
  short: number,
  long: number,
): CudaCase[] {
  return [
    { name, work, iterations: short },
    { name: `${name}, with gradients`, work: { ...work, gradients: true }, iterations: long },
  ];
}

function training({ trainBatch: batch, languageModel, long, steps }: Sizes): CudaCase[] {
  const { layers, width, context, batch: texts } = languageModel;
  const name = `train step, GPT-2 of ${layers}x${width}, batch ${texts}x${context}`;
  return [
    { name: `train step, CNN, batch ${batch}`, work: { kind: 'trainStep', batch }, iterations: long },
    ...(['tf32', 'bfloat16'] as const).map(
      (precision): CudaCase => ({
        name: `${name}, ${precision}`,
        work: { kind: 'languageModel', ...languageModel, precision },
        iterations: steps,
      }),
    ),
  ];
}

const overheads = ({ kernels, upload, long }: Sizes): CudaCase[] => [
  { name: `replay of ${kernels} tiny kernels`, work: { kind: 'replay', kernels }, iterations: long },
  { name: `queueing of ${kernels} tiny kernels`, work: { kind: 'replay', kernels, queueOnly: true } },
  { name: 'uploads beside work', work: { kind: 'upload', ...upload } },
  { name: 'import to first result', work: { kind: 'firstResult' } },
];
