/** ONNX Runtime with its WebGPU execution provider, in a page. Weights are part of the model, as they are in one that is deployed. */
import type * as Ort from 'onnxruntime-web/webgpu';
import type { Operands } from '../operands.ts';
import { isPlain, notPlain, type Work } from '../work.ts';
import type { Adapter, Prepared, Session } from './adapter.ts';
import { describeAdapter } from './gpu.ts';
import { encodeModel, type Model, type Node } from './onnx.ts';

export const adapter: Adapter = {
  name: 'onnxruntime-web',
  async open(): Promise<Session> {
    const ort = await import('onnxruntime-web/webgpu');
    ort.env.logLevel = 'error';
    ort.env.wasm.numThreads = 1; // nothing here runs on the processor
    const info = (await navigator.gpu.requestAdapter())!.info;
    return {
      description: `${describeAdapter(info)}; waits by onSubmittedWorkDone`,
      prepare: (work, operands) => prepare(ort, work, operands, info),
    };
  },
};

async function prepare(
  ort: typeof Ort,
  work: Work,
  operands: Operands,
  info: GPUAdapterInfo,
): Promise<Prepared | string> {
  const model = modelOf(work, operands, info);
  if (typeof model === 'string') return model;
  const session = await ort.InferenceSession.create(encodeModel(model), {
    executionProviders: ['webgpu'],
    preferredOutputLocation: 'gpu-buffer',
  });
  const device = (await ort.env.webgpu.device) as GPUDevice;
  const feeds = Object.fromEntries(
    Object.entries(model.inputs).map(([name, dims]) => {
      const values = inItsLayout(model, work, operands[name]!);
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      const gpuBuffer = device.createBuffer({ size: values.byteLength, usage });
      device.queue.writeBuffer(gpuBuffer, 0, values);
      return [name, ort.Tensor.fromGpuBuffer(gpuBuffer, { dataType: 'float32', dims })];
    }),
  );
  const compute = async (): Promise<Ort.Tensor> => (await session.run(feeds))['y']!;
  return {
    run: async () => {
      (await compute()).dispose();
      await device.queue.onSubmittedWorkDone();
    },
    result: async () => {
      const values = (await (await compute()).getData(true)) as Float32Array<ArrayBuffer>;
      return inItsLayout(model, work, values, 'back').slice();
    },
  };
}

/** Its fused attention takes (1, length, heads x size) where the reference has (heads, length, size). */
function inItsLayout(
  model: Model,
  work: Work,
  values: Float32Array<ArrayBuffer>,
  direction: 'there' | 'back' = 'there',
): Float32Array<ArrayBuffer> {
  if (work.kind !== 'attention' || model.nodes.length > 1) return values;
  const { heads, length, size } = work;
  const moved = new Float32Array(values.length);
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < length; i++) {
      const [ours, theirs] = [(head * length + i) * size, (i * heads + head) * size];
      const [from, to] = direction === 'there' ? [ours, theirs] : [theirs, ours];
      moved.set(values.subarray(from, from + size), to);
    }
  }
  return moved;
}

/** The model of a work, or why there is none. */
export function modelOf(work: Work, operands: Operands, info: GPUAdapterInfo): Model | string {
  if (!isPlain(work)) return notPlain;
  switch (work.kind) {
    case 'matmul':
    case 'firstResult': {
      const n = work.kind === 'matmul' ? work.n : 2;
      return { nodes: [node('MatMul', 'a', 'b')], inputs: { a: [n, n], b: [n, n] }, output: [n, n] };
    }
    case 'scaleAdd':
      return elementwise(work.length, [
        ['Mul', 2],
        ['Add', 1],
      ]);
    case 'chain':
      return elementwise(work.length, [
        ['Mul', 1.5],
        ['Add', 0.5],
        ['Tanh'],
        ['Mul', 'itself'],
        ['Add', 1],
        ['Sqrt'],
        ['Sub', 0.25],
        ['Exp'],
        ['Mul', 0.125],
        ['Max', 0.25],
      ]);
    case 'sum':
      return {
        nodes: [{ ...node('ReduceSum', 'x'), attributes: { keepdims: { int: 0 } } }],
        inputs: { x: [work.length] },
        output: [],
      };
    case 'softmax': {
      const shape = [work.rows, work.columns];
      return { nodes: [node('Softmax', 'x')], inputs: { x: shape }, output: shape };
    }
    case 'layerNorm':
      return layerNorm(work, operands);
    case 'conv':
      return conv(work, operands);
    case 'attention':
      return takesFusedAttention(info) ? fusedAttention(work) : attention(work);
    case 'trainStep':
      return 'it does not train in a browser';
    case 'replay':
      return 'it cannot say how many kernels a run submits';
  }
}

const node = (op: string, ...inputs: string[]): Node => ({ op, inputs, output: 'y' });

/** Operations in a row, each with a constant as its second operand, with its own first, or with one operand. */
function elementwise(length: number, steps: readonly (readonly [string, (number | 'itself')?])[]): Model {
  const constants: Record<string, { shape: number[]; values: Float32Array<ArrayBuffer> }> = {};
  const nodes = steps.map(([op, operand], i): Node => {
    const from = i === 0 ? 'x' : `v${i}`;
    const inputs = [from];
    if (operand === 'itself') inputs.push(from);
    if (typeof operand === 'number') {
      constants[`c${i}`] = { shape: [], values: Float32Array.of(operand) };
      inputs.push(`c${i}`);
    }
    return { op, inputs, output: i === steps.length - 1 ? 'y' : `v${i + 1}` };
  });
  return { nodes, inputs: { x: [length] }, constants, output: [length] };
}

function layerNorm(
  { rows, columns }: Extract<Work, { kind: 'layerNorm' }>,
  { weight, bias }: Operands,
): Model {
  const attributes = { axis: { int: -1 }, epsilon: { float: 1e-5 } };
  return {
    nodes: [{ ...node('LayerNormalization', 'x', 'weight', 'bias'), attributes }],
    inputs: { x: [rows, columns] },
    constants: {
      weight: { shape: [columns], values: weight! },
      bias: { shape: [columns], values: bias! },
    },
    output: [rows, columns],
  };
}

function conv(
  { batch, inputs, outputs, size }: Extract<Work, { kind: 'conv' }>,
  { weight }: Operands,
): Model {
  const attributes = { kernel_shape: { ints: [3, 3] }, pads: { ints: [1, 1, 1, 1] } };
  return {
    nodes: [{ ...node('Conv', 'x', 'weight'), attributes }],
    inputs: { x: [batch, inputs, size, size] },
    constants: { weight: { shape: [outputs, inputs, 3, 3], values: weight! } },
    output: [batch, outputs, size, size],
  };
}

type Attention = Extract<Work, { kind: 'attention' }>;

/** On subgroups of 4, which SwiftShader has, its fused attention gives wrong results; it expects 16 and more. */
const takesFusedAttention = ({ subgroupMinSize = 0 }: GPUAdapterInfo): boolean => subgroupMinSize >= 16;

function fusedAttention({ heads, length, size }: Attention): Model {
  const shape = [1, length, heads * size];
  const attributes = { num_heads: { int: heads } };
  const fused = node('MultiHeadAttention', 'q', 'k', 'v');
  return {
    nodes: [{ ...fused, attributes, domain: 'com.microsoft' }],
    inputs: { q: shape, k: shape, v: shape },
    output: shape,
  };
}

function attention({ heads, length, size }: Attention): Model {
  const shape = [heads, length, size];
  return {
    nodes: [
      { op: 'Transpose', inputs: ['k'], output: 'kt', attributes: { perm: { ints: [0, 2, 1] } } },
      { op: 'MatMul', inputs: ['q', 'kt'], output: 'products' },
      { op: 'Mul', inputs: ['products', 'scale'], output: 'scores' },
      { op: 'Softmax', inputs: ['scores'], output: 'weights' },
      node('MatMul', 'weights', 'v'),
    ],
    inputs: { q: shape, k: shape, v: shape },
    constants: { scale: { shape: [], values: Float32Array.of(1 / Math.sqrt(size)) } },
    output: shape,
  };
}
