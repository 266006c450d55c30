/** Batches from the host, and work on each: how much of the uploads the work hides. */
import type { Tensor } from 'tutti';
import type { Operands } from '../operands.ts';
import type { Work } from '../work.ts';
import { asFloats, type Queue, type Tutti } from './tutti-queue.ts';

export async function uploads(
  tutti: Tutti,
  { n, products, count }: Extract<Work, { kind: 'upload' }>,
  operands: Operands,
): Promise<Queue> {
  const batch = (): Tensor => tutti.tensor(operands['x']!, { shape: [n, n] });
  const weight = await tutti.tensor(operands['weight']!, { shape: [n, n] }).realize();
  const step = tutti.jit((x: Tensor, w: Tensor) => {
    let y = x;
    for (let i = 0; i < products; i++) y = tutti.tanh(tutti.matmul(y, w));
    return y;
  });
  const times = async (work: () => Promise<void>): Promise<void> => {
    for (let i = 0; i < count; i++) await work();
  };
  const kept = batch();
  const withFresh = async (work: (x: Tensor) => Promise<Tensor>): Promise<void> => {
    const x = batch();
    (await work(x)).dispose();
    x.dispose();
  };
  return {
    queue: () => times(() => withFresh((x) => step(x, weight))),
    result: async () => asFloats(await (await step(kept, weight)).data()),
    parts: {
      uploads: () => times(async () => (await batch().realize()).dispose()),
      work: () => times(async () => (await step(kept, weight)).dispose()),
    },
  };
}
