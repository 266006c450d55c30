/**
 * The lazy graph, for those who look inside of it: the conformance oracle, transformations of graphs, packages of layers
 * and optimisers. Users of tensors need nothing from here.
 */
export * from './ops/extents.ts';
export { convOutSize } from './ops/infer.ts';
export * from './ops/primitives.ts';
export * from './tensor/index.ts';
