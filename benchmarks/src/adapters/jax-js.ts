/** jax-js on any of its backends; every computation under its `jit`. Its functions consume an array unless it is passed as `.ref`. */
import type { Array as JaxArray } from '@jax-js/jax';
import type { Operands } from '../operands.ts';
import {
  cnnParameters,
  isPlain,
  learningRate,
  notPlain,
  type PlainWork,
  trainedSteps,
  type Work,
} from '../work.ts';
import { type Adapter, losses, type Prepared, type Session } from './adapter.ts';
import { describeAdapter } from './gpu.ts';

type Jax = typeof import('@jax-js/jax');

export const jaxJs = (device: 'wasm' | 'webgpu'): Adapter => ({
  name: 'jax-js',
  async open(): Promise<Session> {
    const jax = await import('@jax-js/jax');
    await jax.init(device);
    jax.defaultDevice(device);
    return {
      description: device === 'wasm' ? describeWasm() : describeWebgpu(jax),
      prepare: async (work, operands) => prepare(jax, work, operands),
    };
  },
});

/** It starts workers only where `Worker` is a global, which Node does not have. */
const describeWasm = (): string => `WebAssembly, ${typeof Worker === 'undefined' ? '1 thread' : 'threads'}`;

const describeWebgpu = (jax: Jax): string =>
  `${describeAdapter(jax.getWebGPUDevice().adapterInfo)}; waits by blockUntilReady, which maps an empty buffer`;

function prepare(jax: Jax, work: Work, operands: Operands): Prepared | string {
  if (!isPlain(work)) return notPlain;
  if (work.kind === 'replay') return 'it cannot say how many kernels a jit function submits';
  if (work.kind === 'trainStep') return trainStep(jax, work.batch, operands);
  const compute = computation(jax, work, operands);
  return {
    run: async () => {
      const y = compute();
      await jax.blockUntilReady(y);
      y.dispose();
    },
    result: async () => (await compute().data()) as Float32Array,
  };
}

type SimpleWork = Exclude<PlainWork, { kind: 'trainStep' | 'replay' }>;

function computation(jax: Jax, work: SimpleWork, operands: Operands): () => JaxArray {
  const { numpy: np, nn, lax, jit } = jax;
  const of = (name: string, shape: number[]): JaxArray => np.array(operands[name]!).reshape(shape);
  switch (work.kind) {
    case 'matmul':
    case 'firstResult': {
      const n = work.kind === 'matmul' ? work.n : 2;
      const [a, b] = [of('a', [n, n]), of('b', [n, n])];
      const f = jit((p: JaxArray, q: JaxArray) => np.matmul(p, q));
      return () => f(a.ref, b.ref);
    }
    case 'scaleAdd':
      return unary(
        of('x', [work.length]),
        jit((x: JaxArray) => x.mul(2).add(1)),
      );
    case 'chain':
      return unary(
        of('x', [work.length]),
        jit((x: JaxArray) => chain(jax, x)),
      );
    case 'sum':
      return unary(
        of('x', [work.length]),
        jit((x: JaxArray) => np.sum(x)),
      );
    case 'softmax':
      return unary(
        of('x', [work.rows, work.columns]),
        jit((x: JaxArray) => nn.softmax(x)),
      );
    case 'layerNorm': {
      const [x, weight, bias] = [
        of('x', [work.rows, work.columns]),
        of('weight', [work.columns]),
        of('bias', [work.columns]),
      ];
      const f = jit((p: JaxArray, w: JaxArray, b: JaxArray) => nn.standardize(p, -1).mul(w).add(b));
      return () => f(x.ref, weight.ref, bias.ref);
    }
    case 'conv': {
      const { batch, inputs, outputs, size } = work;
      const x = of('x', [batch, inputs, size, size]);
      const weight = of('weight', [outputs, inputs, 3, 3]);
      const f = jit((p: JaxArray, w: JaxArray) => lax.conv(p, w, [1, 1], 'SAME'));
      return () => f(x.ref, weight.ref);
    }
    case 'attention': {
      const { heads, length, size } = work;
      const [q, k, v] = ['q', 'k', 'v'].map((name) => of(name, [heads, length, size]));
      const f = jit((a: JaxArray, b: JaxArray, c: JaxArray) => attention(jax, a, b, c, size));
      return () => f(q!.ref, k!.ref, v!.ref);
    }
  }
}

/** What its `dotProductAttention` computes, on a layout that needs no transposition. */
function attention({ numpy: np, nn }: Jax, q: JaxArray, k: JaxArray, v: JaxArray, size: number): JaxArray {
  const scores = np.matmul(q, np.matrixTranspose(k)).mul(1 / Math.sqrt(size));
  return np.matmul(nn.softmax(scores, -1), v);
}

function unary(x: JaxArray, f: (x: JaxArray) => JaxArray): () => JaxArray {
  return () => f(x.ref);
}

function chain({ numpy: np }: Jax, x: JaxArray): JaxArray {
  const y = np.tanh(x.mul(1.5).add(0.5));
  const z = np.sqrt(y.ref.mul(y).add(1));
  return np.maximum(np.exp(z.sub(0.25)).mul(0.125), 0.25);
}

type Tree = Record<string, JaxArray>;

function cnnLoss(
  { numpy: np, nn, lax }: Jax,
  batch: number,
  p: Tree,
  images: JaxArray,
  labels: JaxArray,
): JaxArray {
  const bias = (name: string, channels: number): JaxArray => p[name]!.reshape([1, channels, 1, 1]);
  let h = nn.relu(lax.conv(images, p['conv1.weight']!, [1, 1], 'VALID').add(bias('conv1.bias', 32)));
  h = nn.relu(lax.conv(h, p['conv2.weight']!, [1, 1], 'VALID').add(bias('conv2.bias', 64)));
  h = np.max(h.reshape([batch, 64, 12, 2, 12, 2]), [3, 5]).reshape([batch, 9216]);
  h = nn.relu(np.matmul(h, np.matrixTranspose(p['fc1.weight']!)).add(p['fc1.bias']!));
  const logits = np.matmul(h, np.matrixTranspose(p['fc2.weight']!)).add(p['fc2.bias']!);
  return np.mean(np.sum(nn.logSoftmax(logits).mul(nn.oneHot(labels, 10)), -1)).mul(-1);
}

interface TrainState {
  readonly parameters: Tree;
  readonly first: Tree;
  readonly second: Tree;
  readonly step: JaxArray;
}

function trainStep(jax: Jax, batch: number, operands: Operands): Prepared {
  const { numpy: np, tree } = jax;
  const images = np.array(operands['images']!).reshape([batch, 1, 28, 28]);
  const labels = np.array(Int32Array.from(operands['labels']!));
  const fresh = (): TrainState => {
    const of = (make: (name: string, shape: number[]) => JaxArray): Tree =>
      Object.fromEntries(
        Object.entries(cnnParameters).map(([name, shape]) => [name, make(name, [...shape])]),
      );
    return {
      parameters: of((name, shape) => np.array(operands[name]!.slice()).reshape(shape)),
      first: of((_, shape) => np.zeros(shape)),
      second: of((_, shape) => np.zeros(shape)),
      step: np.array(Float32Array.of(0)),
    };
  };
  const update = adamStep(jax, batch);
  let state = fresh();
  const step = async (): Promise<JaxArray> => {
    const { parameters, first, second, step: count } = state;
    const [loss, p, m, v, t] = update(parameters, first, second, count, images.ref, labels.ref);
    state = { parameters: p, first: m, second: v, step: t };
    await jax.blockUntilReady([loss, p, m, v, t]);
    return loss;
  };
  return {
    run: async () => (await step()).dispose(),
    result: () => {
      tree.dispose([state.parameters, state.first, state.second, state.step]);
      state = fresh();
      return losses(trainedSteps, async () => (await (await step()).data())[0]!);
    },
  };
}

type AdamStep = (
  p: Tree,
  m: Tree,
  v: Tree,
  t: JaxArray,
  x: JaxArray,
  y: JaxArray,
) => [JaxArray, Tree, Tree, Tree, JaxArray];

function adamStep(jax: Jax, batch: number): AdamStep {
  const { numpy: np } = jax;
  const step: AdamStep = (parameters, first, second, count, images, labels) => {
    const lossOf = (p: Tree, x: JaxArray, y: JaxArray): JaxArray => cnnLoss(jax, batch, p, x, y);
    const [loss, gradients] = jax.valueAndGrad(lossOf)(jax.tree.ref(parameters), images, labels) as [
      JaxArray,
      Tree,
    ];
    const t = count.add(1);
    const [p, m, v]: [Tree, Tree, Tree] = [{}, {}, {}];
    for (const name of Object.keys(cnnParameters)) {
      const g = gradients[name]!;
      const mean = first[name]!.mul(0.9).add(g.ref.mul(0.1));
      const square = second[name]!.mul(0.999).add(g.ref.mul(g).mul(0.001));
      const corrected = mean.ref.div(np.subtract(1, np.pow(0.9, t.ref)));
      const deviation = np.sqrt(square.ref.div(np.subtract(1, np.pow(0.999, t.ref)))).add(1e-8);
      p[name] = parameters[name]!.sub(corrected.div(deviation).mul(learningRate));
      m[name] = mean;
      v[name] = square;
    }
    return [loss, p, m, v, t];
  };
  return jax.jit(step) as unknown as AdamStep;
}
