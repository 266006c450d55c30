import { Tensor } from '../tensor/tensor.ts';
import { type BackwardOptions, backward } from './backward.ts';
import { detach } from './transforms.ts';

declare module '../tensor/tensor.ts' {
  interface Tensor {
    /** As the function `backward`: adds the gradient of this tensor to the `grad` of every leaf. */
    backward(gradient?: Tensor, options?: BackwardOptions): void;
    /** As the function `detach`. */
    detach(): Tensor;
  }
}

Tensor.prototype.backward = function (this: Tensor, gradient?: Tensor, options?: BackwardOptions): void {
  backward(this, gradient, options);
};

Tensor.prototype.detach = function (this: Tensor): Tensor {
  return detach(this);
};
