/** Training steps as a user of this library writes them: modules, an optimiser, and the step under `jit`. */
import type { Tensor } from 'tutti';
import { type Operands, recipesOf } from '../operands.ts';
import {
  type LanguageModel,
  languageModelRate,
  learningRate,
  precisionOf,
  trainedSteps,
  type Work,
} from '../work.ts';
import { losses } from './adapter.ts';
import type { Tutti } from './tutti-queue.ts';

/** One step on the batch; gives the loss. */
export type TrainingStep = () => Promise<Tensor>;

export const trainedLosses = (step: TrainingStep): Promise<Float32Array> =>
  losses(trainedSteps, async () => (await step()).item());

/** The steps of a model, which starts with the operands of the names of its parameters, on one batch. */
function stepsOf(
  tutti: Tutti,
  work: Work,
  operands: Operands,
  { model, inputs, lr, lossOf }: Training,
): TrainingStep {
  const given = new Map(
    recipesOf(work).map((recipe) => {
      const values =
        recipe.fill === 'cycle' ? Int32Array.from(operands[recipe.name]!) : operands[recipe.name]!;
      return [recipe.name, tutti.tensor(values, { shape: recipe.shape })];
    }),
  );
  const [x, y] = inputs.map((name) => given.get(name)!) as [Tensor, Tensor];
  for (const name of inputs) given.delete(name);
  model.loadStateDict(Object.fromEntries(given));
  for (const tensor of given.values()) tensor.dispose();
  const optimizer = new tutti.optim.Adam(model.parameters(), { lr });
  const step = tutti.jit((images: Tensor, labels: Tensor) => {
    const loss = lossOf(images, labels);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss;
  });
  return () => step(x, y);
}

interface Training {
  readonly model: InstanceType<Tutti['nn']['Module']>;
  /** The names of the operands that are the batch. */
  readonly inputs: readonly [x: string, y: string];
  readonly lr: number;
  readonly lossOf: (x: Tensor, y: Tensor) => Tensor;
}

export async function cnnStep(tutti: Tutti, work: Work, operands: Operands): Promise<TrainingStep> {
  const { crossEntropy, maxPool2d, nn, relu } = tutti;
  class Cnn extends nn.Module {
    conv1 = new nn.Conv2d(1, 32, 3);
    conv2 = new nn.Conv2d(32, 64, 3);
    fc1 = new nn.Linear(9216, 128);
    fc2 = new nn.Linear(128, 10);
    forward(x: Tensor): Tensor {
      const features = maxPool2d(relu(this.conv2.call(relu(this.conv1.call(x)))), 2);
      return this.fc2.call(relu(this.fc1.call(features.flatten(1))));
    }
  }
  const model = new Cnn();
  return stepsOf(tutti, work, operands, {
    model,
    inputs: ['images', 'labels'],
    lr: learningRate,
    lossOf: (images, labels) => crossEntropy(model.call(images), labels),
  });
}

/** GPT-2 (Radford et al., 2019), without dropout. Layers cast their parameters to the dtype of what they are given. */
export async function languageModelStep(
  tutti: Tutti,
  work: LanguageModel,
  operands: Operands,
): Promise<TrainingStep> {
  const { cast, crossEntropy, gelu, linear, nn, scaledDotProductAttention } = tutti;
  const { layers, width, heads, vocabulary, context } = work;
  const precision = precisionOf(work);
  const dtype = precision === 'tf32' ? 'float32' : precision;

  class Rounded extends nn.Linear {
    override forward(x: Tensor): Tensor {
      return linear(cast(x, dtype), cast(this.weight, dtype), cast(this.bias!, dtype));
    }
  }

  class Block extends nn.Module {
    norm1 = new nn.LayerNorm(width);
    project = new Rounded(width, 3 * width);
    out = new Rounded(width, width);
    norm2 = new nn.LayerNorm(width);
    up = new Rounded(width, 4 * width);
    down = new Rounded(4 * width, width);

    forward(x: Tensor): Tensor {
      const y = x.add(this.out.call(this.attend(this.norm1.call(x))));
      const inner = gelu(this.up.call(this.norm2.call(y)), { approximate: 'tanh' });
      return y.add(this.down.call(inner));
    }

    attend(x: Tensor): Tensor {
      const [batch, length] = x.shape as [number, number];
      const cut = (part: Tensor): Tensor =>
        part.reshape([batch, length, heads, width / heads]).transpose(1, 2);
      const [q, k, v] = this.project.call(x).chunk(3, -1).map(cut) as [Tensor, Tensor, Tensor];
      const joined = scaledDotProductAttention(q, k, v, { causal: true }).transpose(1, 2);
      return joined.reshape([batch, length, width]);
    }
  }

  class Decoder extends nn.Module {
    tokens = new nn.Embedding(vocabulary, width);
    positions = new nn.Embedding(context, width);
    blocks = Array.from({ length: layers }, () => new Block());
    norm = new nn.LayerNorm(width);

    forward(tokens: Tensor): Tensor {
      let x = this.tokens.call(tokens).add(this.positions.weight);
      for (const block of this.blocks) x = block.call(x);
      // The table of tokens is the last layer as well.
      return linear(cast(this.norm.call(x), dtype), cast(this.tokens.weight, dtype));
    }
  }

  const model = new Decoder();
  return stepsOf(tutti, work, operands, {
    model,
    inputs: ['tokens', 'targets'],
    lr: languageModelRate,
    lossOf: (tokens, targets) => {
      const logits = cast(model.call(tokens), 'float32').reshape([-1, vocabulary]);
      return crossEntropy(logits, targets.flatten());
    },
  });
}
