/** Layers of all kinds, and their gradients. */
import type { ConvOptions } from '../conv-anchor.ts';

/** The channels of the input and of the output are those of one group. */
export const layer = (
  [batch, inChannels, outChannels]: readonly [batch: number, inChannels: number, outChannels: number],
  inSize: readonly number[],
  kernelSize: readonly number[],
  rest: Omit<ConvOptions, 'batch' | 'inChannels' | 'outChannels' | 'inSize' | 'kernelSize'> = {},
): ConvOptions => ({ batch, inChannels, outChannels, inSize, kernelSize, ...rest });

type Layers = Readonly<Record<string, ConvOptions>>;

export const forwardLayers: Layers = {
  plain: layer([2, 5, 7], [9, 11], [3, 3]),
  'same padding': layer([2, 5, 7], [9, 11], [3, 3], { padLow: [1, 1], epilogue: 'bias' }),
  'kernel of one': layer([2, 4, 8], [8, 8], [1, 1], { epilogue: 'bias' }),
  'kernel of one, stride 2': layer([2, 4, 8], [8, 9], [1, 1], { stride: [2, 2] }),
  'a stem': layer([1, 3, 16], [31, 29], [7, 7], { stride: [2, 2], padLow: [3, 3], epilogue: 'scale' }),
  'many channels': layer([3, 80, 70], [7, 7], [3, 3], { padLow: [1, 1] }),
  'many channels, few results': layer([3, 80, 10], [7, 7], [3, 3], { padLow: [1, 1] }),
  'one axis': layer([2, 6, 5], [50], [5], { padLow: [2], epilogue: 'bias' }),
  'three axes': layer([2, 2, 3], [5, 6, 7], [3, 2, 3], {
    padLow: [1, 0, 1],
    stride: [2, 1, 1],
    epilogue: 'bias',
  }),
  'no axis': layer([3, 4, 5], [], []),
  'kernel dilation': layer([1, 3, 4], [12, 13], [3, 3], { kernelDilation: [2, 3], padLow: [2, 3] }),
  groups: layer([2, 4, 5], [8, 8], [3, 3], { groups: 3, padLow: [1, 1] }),
  depthwise: layer([2, 1, 1], [10, 10], [3, 3], { groups: 6, padLow: [1, 1], epilogue: 'bias' }),
  'depthwise with two channels': layer([1, 1, 2], [10, 10], [3, 3], { groups: 6, stride: [2, 2] }),
  'other layouts': layer([3, 3, 4], [6, 6], [2, 2], {
    groups: 2,
    swapLhs: true,
    swapRhs: true,
    flip: true,
    spread: true,
  }),
  'padding beyond the input': layer([1, 2, 3], [2, 3], [2, 5], { padLow: [5, 9] }),
  'float16 to bfloat16': layer([2, 3, 5], [7, 7], [3, 3], {
    padLow: [1, 1],
    dtypes: ['float16', 'bfloat16', 'float16'],
    epilogue: 'bias',
  }),
  'bfloat16 with float32': layer([2, 3, 4], [6, 8], [3, 3], { dtypes: ['bfloat16', 'float32', 'bfloat16'] }),
  'an epilogue that reads bytes': layer([2, 3, 5], [6, 14], [3, 3], { padLow: [1, 1], epilogue: 'mask' }),
  'an epilogue that reads bytes, of odd rows': layer([1, 3, 5], [5, 13], [3, 3], { epilogue: 'mask' }),
  'a group with a remainder of everything': layer([3, 9, 17], [7, 5], [2, 3], {
    groups: 2,
    padLow: [1, 0],
    epilogue: 'bias',
  }),
  'wide rows': layer([1, 2, 3], [3, 230], [3, 3], { padLow: [1, 1], epilogue: 'bias' }),
  'a long row of the kernel, in a loop': layer([2, 2, 3], [3, 40], [2, 15], { padLow: [0, 6] }),
  'a long row of the kernel, dilated': layer([1, 2, 9], [2, 60], [1, 18], {
    padLow: [0, 3],
    kernelDilation: [1, 3],
  }),
  'a long row of the kernel, with strides': layer([1, 2, 3], [2, 90], [1, 29], {
    padLow: [0, 5],
    stride: [1, 3],
    kernelDilation: [1, 2],
  }),
  'more rows of pixels than a texture has texels in a row': layer([2, 12, 5], [40, 45], [3, 3], {
    padLow: [1, 1],
  }),
  'a long row of the kernel for one channel, with strides': layer([1, 2, 1], [2, 90], [1, 29], {
    padLow: [0, 5],
    stride: [1, 3],
    kernelDilation: [1, 2],
  }),
  'a kernel of the size of the image': layer([6, 5, 10], [4, 6], [4, 6], { epilogue: 'bias' }),
  'images of one pixel': layer([9, 20, 6], [1, 1], [1, 1]),
  'grouped kernels of one': layer([2, 8, 5], [4, 8], [1, 1], { groups: 3 }),
  'four axes': layer([2, 2, 2], [3, 3, 4, 3], [2, 3, 2, 1], {
    groups: 2,
    padLow: [1, 0, 1, 0],
    dtypes: ['float32', 'float16', 'float16'],
  }),
  'few channels of a large image': layer([1, 20, 4], [32, 32], [3, 3]),
  'wide rows, half of them padding': layer([1, 2, 3], [2, 301], [2, 5], { padLow: [0, 150] }),
  'one long axis, with strides': layer([1, 1, 1], [1003], [9], { stride: [3], padLow: [4] }),
  'padding where nothing meets': layer([1, 2, 3], [3], [2], { padLow: [10], padHigh: [10] }),
  'a kernel of the size of the image, flipped': layer([2, 3, 4], [5, 6], [5, 6], { flip: true }),
};

/** Which are convolutions as well: of dilated inputs, and with batch and channels in each other's place. */
export const gradientLayers: Layers = {
  'the input gradient': layer([2, 6, 4], [5, 6], [3, 3], { padLow: [2, 2], swapRhs: true, flip: true }),
  'the input gradient of stride 2': layer([2, 6, 4], [5, 6], [3, 3], {
    padLow: [1, 1],
    padHigh: [2, 2],
    inputDilation: [2, 2],
    swapRhs: true,
    flip: true,
  }),
  'the input gradient of stride 3, with an epilogue': layer([2, 3, 4], [4, 4], [2, 2], {
    padLow: [1, 1],
    padHigh: [2, 1],
    inputDilation: [3, 3],
    epilogue: 'bias',
  }),
  'a dilated input under a stride': layer([1, 2, 3], [6, 7], [3, 4], {
    padLow: [2, 1],
    inputDilation: [4, 3],
    stride: [2, 2],
    kernelDilation: [2, 1],
  }),
  'a cropped input': layer([2, 2, 4], [6, 6], [3, 3], { padLow: [-1, -2], padHigh: [0, 0] }),
  'the kernel gradient': layer([3, 20, 5], [8, 9], [6, 7], { swapLhs: true, swapRhs: true }),
  'the kernel gradient with padding, summed in parts': layer([1, 40, 6], [13, 14], [13, 14], {
    padLow: [1, 1],
    swapLhs: true,
    swapRhs: true,
    epilogue: 'scale',
  }),
  'the kernel gradient of small images, summed in parts': layer([1, 300, 6], [3, 3], [3, 3], {
    padLow: [1, 1],
    swapLhs: true,
    swapRhs: true,
  }),
  'the kernel gradient of stride 2': layer([4, 9, 7], [9, 9], [4, 4], {
    outSize: [3, 3],
    kernelDilation: [2, 2],
    padLow: [1, 1],
    swapLhs: true,
    swapRhs: true,
  }),
  'the kernel gradient of a kernel of one': layer([7, 3, 6], [5, 6], [5, 6], {
    swapLhs: true,
    swapRhs: true,
  }),
  'the input gradient of a depthwise layer of stride 2': layer([2, 1, 1], [7, 6], [5, 5], {
    groups: 4,
    padLow: [2, 2],
    padHigh: [3, 3],
    inputDilation: [2, 2],
    flip: true,
  }),
  'the kernel gradient of a depthwise layer': layer([1, 4, 1], [16, 17], [16, 17], {
    groups: 5,
    padLow: [1, 1],
  }),
  'the kernel gradient of a kernel of one, in parts': layer([5, 70, 6], [5, 7], [5, 7], {
    swapLhs: true,
    swapRhs: true,
  }),
  'the input gradient of patches': layer([2, 5, 3], [2, 3], [8, 8], {
    padLow: [7, 7],
    padHigh: [7, 7],
    inputDilation: [8, 8],
    swapRhs: true,
    flip: true,
    epilogue: 'bias',
  }),
  'the kernel gradient of one image': layer([1, 16, 32], [14, 14], [12, 12], {
    swapLhs: true,
    swapRhs: true,
  }),
  'the kernel gradient with padding': layer([4, 9, 7], [8, 8], [8, 8], {
    padLow: [1, 1],
    swapLhs: true,
    swapRhs: true,
  }),
  'the kernel gradient of a large batch': layer([40, 3, 30], [13, 12], [11, 10], {
    swapLhs: true,
    swapRhs: true,
  }),
  'the kernel gradient of groups': layer([3, 4, 5], [10, 12], [8, 9], {
    groups: 2,
    padLow: [0, 1],
    swapRhs: true,
  }),
  'the input gradient of a kernel of one, of strides 2 and 3': layer([2, 3, 5], [6, 7], [1, 1], {
    padHigh: [1, 0],
    inputDilation: [2, 3],
  }),
  'the input gradient of stride 2 and kernel dilation': layer([1, 3, 5], [6, 40], [4, 4], {
    padLow: [2, 2],
    inputDilation: [2, 2],
    kernelDilation: [2, 3],
  }),
  'the input gradient of one axis of stride 4': layer([1, 2, 2], [40], [5], {
    padLow: [3],
    inputDilation: [4],
    kernelDilation: [2],
  }),
  'the input gradient of three axes': layer([1, 2, 2], [3, 4, 5], [3, 3, 3], {
    padLow: [1, 2, 2],
    inputDilation: [2, 1, 2],
  }),
  'the input gradient of a small depthwise layer of stride 2': layer([1, 1, 1], [8, 8], [3, 3], {
    groups: 3,
    padLow: [1, 1],
    padHigh: [2, 2],
    inputDilation: [2, 2],
  }),
  'the input gradient of an even kernel of stride 2': layer([1, 3, 5], [6, 9], [3, 4], {
    padLow: [2, 2],
    inputDilation: [2, 2],
    flip: true,
  }),
};
