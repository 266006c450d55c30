import { MnistModel, normalizePixels } from '@tutti/cli/mnist';
import { flatten, nn, relu, type Tensor } from 'tutti';

/**
 * Two linear layers; 50,890 parameters.
 *
 * Shapes: images uint8 (N, 1, 28, 28) -> logits float32 (N, 10).
 */
class Mlp extends nn.Module {
  readonly hidden: nn.Linear = new nn.Linear(28 * 28, 64);
  readonly out: nn.Linear = new nn.Linear(64, 10);

  forward(images: Tensor): Tensor {
    return this.out.call(relu(this.hidden.call(flatten(normalizePixels(images), 1))));
  }
}

/** What can be trained. `cnn` is the model of `tutti train mnist`. */
export const models = {
  cnn: () => new MnistModel(),
  mlp: () => new Mlp(),
} as const satisfies Record<string, () => nn.Module>;

export type ModelName = keyof typeof models;
