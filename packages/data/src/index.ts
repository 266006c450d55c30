export * from './collate.ts';
export * from './dataset.ts';
export * from './file.ts';
export * from './idx.ts';
export * from './loader.ts';
export * from './mnist.ts';
export { isNdArray, type NdArray, ndarray, type TypedArray, toTensor } from './ndarray.ts';
export { permutation, RandomStream } from './random.ts';
export * from './transforms.ts';
