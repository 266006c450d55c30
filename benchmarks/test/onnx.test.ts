import * as ort from 'onnxruntime-web';
import { describe, expect, it } from 'vitest';
import { encodeModel } from '../src/adapters/onnx.ts';
import { modelOf } from '../src/adapters/onnxruntime-web.ts';
import { operandsOf } from '../src/operands.ts';
import { checkResult } from '../src/reference.ts';
import type { Work } from '../src/work.ts';

const works: readonly Work[] = [
  { kind: 'matmul', n: 5 },
  { kind: 'firstResult' },
  { kind: 'scaleAdd', length: 7 },
  { kind: 'chain', length: 7 },
  { kind: 'sum', length: 9 },
  { kind: 'softmax', rows: 3, columns: 5 },
  { kind: 'layerNorm', rows: 3, columns: 5 },
  { kind: 'conv', batch: 2, inputs: 3, outputs: 4, size: 5 },
  { kind: 'attention', heads: 2, length: 3, size: 4 },
];

/** An adapter of which only the size of subgroups matters. */
const withSubgroups = (size: number): GPUAdapterInfo => ({ subgroupMinSize: size }) as GPUAdapterInfo;

describe('models in the format of ONNX', () => {
  it.each(works)('compute $kind', async (work) => {
    const operands = operandsOf(work);
    const model = modelOf(work, operands, withSubgroups(4));
    if (typeof model === 'string') throw new TypeError(model);
    const session = await ort.InferenceSession.create(encodeModel(model));
    const feeds = Object.fromEntries(
      Object.entries(model.inputs).map(([name, dims]) => [
        name,
        new ort.Tensor('float32', operands[name]!, dims),
      ]),
    );
    const { y } = await session.run(feeds);
    expect(y!.dims).toEqual(model.output);
    expect(checkResult(work, operands, y!.data as Float32Array)).toBe(undefined);
  });

  it('compute attention in one node where subgroups are large', async () => {
    const model = modelOf({ kind: 'attention', heads: 2, length: 3, size: 4 }, {}, withSubgroups(32));
    if (typeof model === 'string') throw new TypeError(model);
    expect(model.nodes).toHaveLength(1);
    const session = await ort.InferenceSession.create(encodeModel(model));
    expect(session.inputNames).toEqual(['q', 'k', 'v']);
  });
});
