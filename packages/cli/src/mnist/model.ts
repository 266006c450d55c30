import { cast, flatten, maxPool2d, nn, relu, type Tensor } from 'tutti';

/** Mean and standard deviation of all pixels of the training images, after division by 255. */
const mean = 0.1307;
const deviation = 0.3081;

/** Pixels with mean 0 and deviation 1: uint8 (..) -> float32 (..). */
export const normalizePixels = (images: Tensor): Tensor =>
  cast(images, 'float32').div(255).sub(mean).div(deviation);

/**
 * A small convolutional network for MNIST: two convolutions with pooling, and two linear layers; 206,922 parameters.
 *
 * Shapes: images uint8 (N, 1, 28, 28) -> logits float32 (N, 10).
 */
export class MnistModel extends nn.Module {
  readonly conv1: nn.Conv2d = new nn.Conv2d(1, 16, 3, { padding: 1 });
  readonly conv2: nn.Conv2d = new nn.Conv2d(16, 32, 3, { padding: 1 });
  readonly fc1: nn.Linear = new nn.Linear(32 * 7 * 7, 128);
  readonly fc2: nn.Linear = new nn.Linear(128, 10);

  forward(images: Tensor): Tensor {
    let x = maxPool2d(relu(this.conv1.call(normalizePixels(images))), 2); // (N, 16, 14, 14)
    x = maxPool2d(relu(this.conv2.call(x)), 2); // (N, 32, 7, 7)
    x = relu(this.fc1.call(flatten(x, 1))); // (N, 128)
    return this.fc2.call(x);
  }
}
