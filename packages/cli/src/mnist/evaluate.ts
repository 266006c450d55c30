import { argMax, cast, data, eq, jit, type nn, noGrad, sum, type Tensor } from 'tutti';
import type { MnistSamples } from './data.ts';

const batchSize = 500;

/** Number of images whose most likely digit is the right one. */
export async function countCorrect(model: nn.Module, images: MnistSamples): Promise<number> {
  const loader = new data.DataLoader(images, { batchSize });
  const countBatch = jit((image: Tensor, label: Tensor) =>
    noGrad(() => {
      const digit = argMax(model.call(image), 1);
      return sum(cast(eq(digit, label), 'int32'));
    }),
  );
  model.eval();
  let correct = 0;
  for await (const { image, label } of loader) {
    const count = await countBatch(image, label);
    correct += Number(await count.item());
    for (const tensor of [image, label, count]) tensor.dispose();
  }
  model.train();
  countBatch.dispose();
  return correct;
}
