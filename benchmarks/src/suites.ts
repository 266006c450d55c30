/** The suites: what is measured, where, and against whom. */
import { cudaCases, fullSizes, smallSizes } from './cuda-cases.ts';
import type { Budget } from './measure.ts';
import type { Work } from './work.ts';

/**
 * Where a measurement is made: a process of Node; one whose device is WebGPU through Dawn, or a GPU of NVIDIA's; a page of a browser, on
 * WebGPU or on WebGL.
 */
export type Place = ProcessPlace | PagePlace;
export type ProcessPlace = 'node' | 'dawn' | 'cuda';
export type PagePlace = 'webgpuPage' | 'webglPage';

export interface Case {
  readonly name: string;
  readonly work: Work;
  readonly place: Place;
  /** How often the work is queued before it is waited for, which is part of the time. Default 1. */
  readonly iterations?: number;
}

export interface Suite {
  readonly cases: readonly Case[];
  /** The libraries that `--peers` adds. */
  readonly peers: readonly string[];
  readonly budget: Budget;
  /** The backends whose devices it can run on, where it runs on one: the first unless another is asked for. */
  readonly devices?: readonly [string, ...string[]];
  /** What `--small` measures instead: the same work at sizes for trying the suite. */
  readonly small?: Pick<Suite, 'cases' | 'budget'>;
  /** Longest that one measurement may take, in milliseconds. */
  readonly timeout: number;
}

export const suiteNames = ['micro', 'webgpu', 'webgl', 'cuda'] as const;
export type SuiteName = (typeof suiteNames)[number];

const matmul = (n: number): { name: string; work: Work } => ({
  name: `matmul ${n}`,
  work: { kind: 'matmul', n },
});

const micro: readonly Omit<Case, 'place'>[] = [
  ...[64, 256, 512, 1024, 2048].map(matmul),
  { name: 'x*2+1 4M', work: { kind: 'scaleAdd', length: 1 << 22 } },
  { name: 'chain of 10, 4M', work: { kind: 'chain', length: 1 << 22 } },
  { name: 'sum 4M', work: { kind: 'sum', length: 1 << 22 } },
  { name: 'softmax 4096x1024', work: { kind: 'softmax', rows: 4096, columns: 1024 } },
  { name: 'layerNorm 4096x1024', work: { kind: 'layerNorm', rows: 4096, columns: 1024 } },
  {
    name: 'conv 3x3 32x64x56x56->64',
    work: { kind: 'conv', batch: 32, inputs: 64, outputs: 64, size: 56 },
  },
  { name: 'train step, CNN, batch 128', work: { kind: 'trainStep', batch: 128 } },
  { name: 'replay of 100 tiny kernels', work: { kind: 'replay', kernels: 100 } },
  { name: 'import to first result', work: { kind: 'firstResult' } },
];

/** Sizes that a software adapter finishes in seconds, and on which a GPU is not idle. */
const webgpu: readonly Omit<Case, 'place'>[] = [
  ...[256, 512, 1024].map(matmul),
  {
    name: 'conv 3x3 8x32x28x28->64',
    work: { kind: 'conv', batch: 8, inputs: 32, outputs: 64, size: 28 },
  },
  {
    name: 'conv 3x3 32x64x28x28->64',
    work: { kind: 'conv', batch: 32, inputs: 64, outputs: 64, size: 28 },
  },
  { name: 'softmax 1024x1024', work: { kind: 'softmax', rows: 1024, columns: 1024 } },
  { name: 'layerNorm 1024x1024', work: { kind: 'layerNorm', rows: 1024, columns: 1024 } },
  { name: 'chain of 10, 1M', work: { kind: 'chain', length: 1 << 20 } },
  { name: 'attention 8x256x64', work: { kind: 'attention', heads: 8, length: 256, size: 64 } },
  { name: 'train step, CNN, batch 32', work: { kind: 'trainStep', batch: 32 } },
  { name: 'import to first result', work: { kind: 'firstResult' } },
];

/** What a fragment shader in software finishes in seconds. */
const webgl: readonly Omit<Case, 'place'>[] = [
  matmul(256),
  { name: 'conv 3x3 8x16x28x28->32', work: { kind: 'conv', batch: 8, inputs: 16, outputs: 32, size: 28 } },
  { name: 'chain of 10, 1M', work: { kind: 'chain', length: 1 << 20 } },
  { name: 'sum 256K', work: { kind: 'sum', length: 1 << 18 } },
  { name: 'softmax 512x512', work: { kind: 'softmax', rows: 512, columns: 512 } },
  { name: 'train step, CNN, batch 8', work: { kind: 'trainStep', batch: 8 } },
  { name: 'import to first result', work: { kind: 'firstResult' } },
];

export const suites: Readonly<Record<SuiteName, Suite>> = {
  micro: {
    cases: micro.map((each) => ({ ...each, place: 'node' })),
    peers: ['tfjs-wasm', 'jax-js'],
    budget: { warmUp: 400, sample: 25, samples: 5, slow: 1500 },
    timeout: 120_000,
  },
  webgpu: {
    cases: [
      ...webgpu.map((each): Case => ({ ...each, place: 'webgpuPage' })),
      { name: 'replay of 500 tiny kernels, Node', work: { kind: 'replay', kernels: 500 }, place: 'dawn' },
      {
        name: 'queueing of 500 tiny kernels, Node',
        work: { kind: 'replay', kernels: 500, queueOnly: true },
        place: 'dawn',
      },
    ],
    peers: ['tfjs-webgpu', 'onnxruntime-web', 'jax-js'],
    budget: { warmUp: 400, sample: 50, samples: 5, slow: 4000 },
    timeout: 300_000,
  },
  webgl: {
    cases: webgl.map((each) => ({ ...each, place: 'webglPage' })),
    peers: ['tfjs-webgl'],
    budget: { warmUp: 400, sample: 50, samples: 5, slow: 4000 },
    timeout: 300_000,
  },
  cuda: {
    cases: cudaCases(fullSizes),
    peers: ['torch', 'torch-compile'],
    budget: { warmUp: 400, sample: 50, samples: 5, slow: 4000 },
    timeout: 300_000,
    devices: ['cuda', 'cuda-emulated'],
    small: {
      cases: cudaCases(smallSizes),
      budget: { warmUp: 0, sample: 0, samples: 1, slow: 0 },
    },
  },
};
